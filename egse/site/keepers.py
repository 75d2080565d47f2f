"""Who keeps device servers running: the supervisor of the run directory, or systemd.

Both do the same for those who ask (`Keeper`): the process manager, and `cgse device`. Which one it is says
`LAUNCHER` in the Settings of the process manager.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from egse.env import get_log_file_location
from egse.process import ProgramStatus, Supervision
from egse.settings import Settings
from egse.site.layout import SiteError, current_run_directory
from egse.site.programs import Entry
from egse.site.units import UnitKeeper

LAUNCHERS = ("auto", "supervisor", "systemd")


class Keeper(Protocol):
    """Starts and stops the servers of a site and tells how they are."""

    name: str
    """What it is called, for people."""

    def start(self, entry: Entry, *, simulator: bool = False) -> None:
        """Has a server started that does not run, and returns at once; a crashed one is tried afresh.

        Raises:
            SiteError: when it is not installed.
            LaunchError: when it cannot be asked for.
        """

    def stop(self, names: Iterable[str]) -> None:
        """Has servers stopped and returns at once.

        Raises:
            LaunchError: when that cannot be asked for.
        """

    def states(self, entries: Iterable[Entry]) -> dict[str, ProgramStatus]:
        """Returns how these servers are, by name; one that it does not look after is left out."""

    def is_simulator(self, name: str) -> bool | None:
        """Returns whether a server was started with `--simulator`; None when it does not run here."""


class SupervisorKeeper:
    """Servers under the supervisor of a run directory, which is started when there is none.

    Args:
        run_dir: the run directory.
        log_dir: where the output of the servers goes.
    """

    name = "supervisor"

    def __init__(self, run_dir: Path, log_dir: Path) -> None:
        self.supervision = Supervision(run_dir, log_dir)

    def start(self, entry: Entry, *, simulator: bool = False) -> None:
        """See `Keeper`."""
        self.supervision.declare([entry.program(simulator=simulator)])

    def stop(self, names: Iterable[str]) -> None:
        """See `Keeper`."""
        self.supervision.withdraw(names, wait=False)

    def states(self, entries: Iterable[Entry]) -> dict[str, ProgramStatus]:
        """See `Keeper`."""
        statuses = self.supervision.status()
        return {entry.name: statuses[entry.name] for entry in entries if entry.name in statuses}

    def is_simulator(self, name: str) -> bool | None:
        """See `Keeper`."""
        record = self.supervision.launcher.registry.running(name)
        return None if record is None else "--simulator" in record.command


def site_keeper() -> Keeper:
    """Returns the keeper of the site that the environment names.

    Raises:
        SiteError: when the Settings ask for one that there is not.
        EnvError: when a variable is not set.
    """
    launcher = str(Settings.load("Process Manager Control Server").get("LAUNCHER", "auto"))
    if launcher not in LAUNCHERS:
        raise SiteError(f"LAUNCHER of the process manager is {launcher!r}: choose {', '.join(LAUNCHERS)}")
    if launcher == "systemd" or (launcher == "auto" and own_unit() == "pm_cs.service"):
        return UnitKeeper(current_run_directory())
    return SupervisorKeeper(current_run_directory(), get_log_file_location())


def own_unit(cgroup: str | None = None) -> str:
    """Returns the systemd unit that this process belongs to, empty when it belongs to none.

    Args:
        cgroup: the content of /proc/self/cgroup; read from there when None.
    """
    if cgroup is None:
        try:
            cgroup = Path("/proc/self/cgroup").read_text(encoding="utf-8")
        except OSError:
            return ""
    for line in cgroup.splitlines():
        unit = line.rpartition("/")[2]
        if unit.endswith(".service"):
            return unit
    return ""
