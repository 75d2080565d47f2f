"""Start, stop and status of programs of a site, in the words of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from egse.clock import system_clock
from egse.ports import port_holder
from egse.process import LaunchError, Program, ProgramStatus, State, Supervision
from egse.settings import Settings
from egse.site.ports import busy_ports
from egse.site.programs import Entry

START_TIMEOUT = 60.0
"""How long a site may take to come up [s]."""


@dataclass(frozen=True)
class Row:
    """One line of the table that is shown to people.

    Attributes:
        name: the program.
        state: where it stands; `elsewhere` when it runs but is not supervised here.
        pid: its process id.
        uptime: since its start [s].
        endpoint: where it listens.
        remark: why it is not running, or why it was restarted last.
    """

    name: str
    state: str
    pid: int | None = None
    uptime: float | None = None
    endpoint: str = ""
    remark: str = ""

    @property
    def up(self) -> bool:
        """True when it can be used."""
        return self.state in (State.RUNNING, "elsewhere")


@dataclass(frozen=True)
class Started:
    """What a start has done.

    Attributes:
        rows: the programs that were asked for.
        already: names of those that ran before.
    """

    rows: list[Row]
    already: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[Row]:
        """The programs that do not run."""
        return [row for row in self.rows if not row.up]


def make_row(name: str, status: ProgramStatus | None, elsewhere: str = "") -> Row:
    """Returns the line of a program.

    Args:
        name: the program.
        status: as the supervisor has it; None when it knows nothing of it.
        elsewhere: who has its port, when it runs outside this supervisor.
    """
    if elsewhere:
        return Row(name, "elsewhere", remark=f"not started here: {elsewhere}")
    if status is None:
        return Row(name, State.STOPPED)
    uptime = system_clock().now() - status.since if status.pid is not None else None
    endpoint = status.endpoints[0] if status.endpoints else ""
    remark = (
        status.reason if status.reason else f"restarted {status.restarts} times" if status.restarts else ""
    )
    return Row(name, status.state, status.pid, uptime, endpoint, remark)


def rows_of(
    supervision: Supervision, names: Iterable[str], elsewhere: Mapping[str, str] | None = None
) -> list[Row]:
    """Returns the lines of these programs."""
    statuses = supervision.status()
    return [make_row(name, statuses.get(name), (elsewhere or {}).get(name, "")) for name in names]


def start_programs(
    supervision: Supervision,
    programs: list[Program],
    elsewhere: Mapping[str, str] | None = None,
    timeout: float = START_TIMEOUT,
) -> Started:
    """Starts programs that do not run yet and waits until all are up or given up.

    Args:
        supervision: where they run.
        programs: what shall run.
        elsewhere: programs that run outside this supervisor, with who they are; they are left alone.
        timeout: how long it may take [s].

    Raises:
        LaunchError: when it takes longer.
    """
    ours = [program for program in programs if program.name not in (elsewhere or {})]
    already = supervision.declare(ours) if ours else []
    if ours:
        supervision.wait([program.name for program in ours], timeout)
    return Started(rows_of(supervision, [program.name for program in programs], elsewhere), already)


def running_elsewhere(supervision: Supervision, entries: Iterable[Entry]) -> dict[str, str]:
    """Finds control servers that run without this supervisor: by systemd, or by hand in a terminal.

    Returns:
        For each of them, the process that has its commanding port.
    """
    running = supervision.launcher.status()
    found = {}
    for entry in entries:
        port = _commanding_port(entry)
        if entry.name not in running and port and busy_ports([port]):
            found[entry.name] = port_holder(port)
    return found


def _commanding_port(entry: Entry) -> int | None:
    block = Settings.load().get(entry.settings) if entry.settings else None
    port = block.get("COMMANDING_PORT") if block is not None else None
    return port if isinstance(port, int) else None


def failure_text(failed: Iterable[Row]) -> str:
    """Returns why programs do not run, one paragraph each."""
    return "\n".join(f"{row.name} is {row.state}: {row.remark or 'no reason known'}" for row in failed)


def require_all(started: Started) -> list[Row]:
    """Returns the lines of a start in which everything came up.

    Raises:
        LaunchError: naming each program that did not, and why.
    """
    if started.failed:
        raise LaunchError(failure_text(started.failed))
    return started.rows
