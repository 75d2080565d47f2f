"""Which servers and programs are there, which have gone, and which have lost their device or their housekeeping.

Pure: what was heard, what the supervisor says and what was found out about a silent server go in; conditions come out. There
is one alarm for a server that is gone, `SERVER/gone`, whatever else stands still because of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from egse.monitor.alarms import Condition
from egse.process import ProgramStatus, State

SILENCE = 5.0
"""A server that publishes once a second is looked after when it was silent for so long [s]."""
PERIODS = 3.5
"""One that publishes less often, after so many of its periods."""
COMING_UP = 30.0
"""So long a core service may take to be heard after the start of the monitor [s]."""
DEVICE_GRACE = 10.0
"""So long a device may be away before that is told [s]: it may be starting, or be switched."""
ROWS_GRACE = 10.0
"""So long no housekeeping may come from a server that is there, at least [s]."""

GONE, DEVICE, ROWS = "gone", "device", "housekeeping"
"""What follows the name of the server in the name of an alarm."""
SUPERVISOR = "supervisor"

_DOWN = (State.BACKOFF, State.FATAL, State.ENDED)
_NEVER = float("-inf")


@dataclass
class Server:
    """What is known of a server, or of a program without monitoring stream.

    Attributes:
        name: its name.
        expected: it should be there.
        heard: when it was heard last [s].
        rows_at: when its last housekeeping came [s].
        status: what it has published last.
        program: what the supervisor says of its process; None when it does not look after it.
        gone: why it is gone; empty while it is there.
        dead_pid: process id of the one that has gone.
        away_since: since when its device is away [s]; 0 while it is there.
        had_device: its device was connected at some time.
    """

    name: str
    expected: bool = False
    heard: float = _NEVER
    rows_at: float = _NEVER
    status: Mapping[str, Any] = field(default_factory=dict)
    program: ProgramStatus | None = None
    gone: str = ""
    dead_pid: int | None = None
    away_since: float = 0.0
    had_device: bool = False

    @property
    def has_stream(self) -> bool:
        """True when it was heard at some time."""
        return self.heard != _NEVER


class Servers:
    """All servers of a site.

    Args:
        core: names of the core services, which should always be there.
        needs: by server, the programs that it cannot do without (its simulator).
        now: time of the start [s]; all times are those of a clock that never steps back.
        remembered: names of those that were there when the monitor ended the last time.
        restarts: how often each program had been restarted by then.
        streaming: names of the programs that have a monitoring stream, as far as is known beforehand.
        itself: name of the monitor, which tells of its own absence when it comes back, once, and better than its supervisor.
    """

    def __init__(
        self,
        core: Iterable[str],
        needs: Mapping[str, tuple[str, ...]],
        now: float,
        remembered: Iterable[str] = (),
        restarts: Mapping[str, int] | None = None,
        streaming: Iterable[str] = (),
        itself: str = "",
    ) -> None:
        self._itself = itself
        self._core = frozenset(core)
        self._streaming = frozenset(streaming)
        names = (*self._core, *remembered)
        self.by_name: dict[str, Server] = {name: Server(name, expected=True) for name in names}
        for name, count in (restarts or {}).items():
            self._get(name).program = ProgramStatus(state=State.RUNNING, restarts=count)
        self._needs = needs
        self._started = now
        self._had_supervisor = self._has_supervisor = False

    def is_there(self, name: str) -> bool:
        """Says whether a server sends housekeeping, as far as is known."""
        server = self.by_name.get(name)
        return server is not None and not server.gone and not self._is_excused(server)

    def to_remember(self) -> list[str]:
        """Returns the names of those that only this monitor knows of: started by hand, and expected to be there."""
        return [s.name for s in self.by_name.values() if s.expected and s.program is None and s.has_stream]

    def restarts(self) -> dict[str, int]:
        """Returns how often each program was restarted."""
        return {s.name: s.program.restarts for s in self.by_name.values() if s.program is not None}

    def _get(self, name: str) -> Server:
        return self.by_name.setdefault(name, Server(name))

    # -- what is heard ---------------------------------------------------------------------------------------------

    def hear(
        self, name: str, status: Mapping[str, Any], now: float, is_active: bool = False
    ) -> list[Condition]:
        """Takes what a server has published about itself.

        Args:
            name: of the server.
            status: its status; empty for any other sign of life.
            now: when it came [s].
            is_active: its alarm `gone` is raised, perhaps since before the start of the monitor.
        """
        server = self._get(name)
        found = []
        pid, life, former = status.get("pid"), status.get("incarnation"), server.status.get("incarnation")
        if server.gone and pid is not None and pid == server.dead_pid:
            return []  # its last words, which were still on their way
        if server.gone or is_active:
            found.append(Condition(name=f"{name}/{GONE}", value="running", source=name, clear_after=0.0))
            server.gone, server.dead_pid = "", None
            server.rows_at = now
        elif former and life and life != former and server.program is None:
            reason = "it ended and was started again by hand, without a word"
            found.append(self._gone(server, reason, State.ENDED))
            found.append(Condition(name=f"{name}/{GONE}", value="running", source=name, clear_after=0.0))
            server.gone = ""
        server.expected, server.heard = True, now
        if status:
            server.status = status
            server.had_device = server.had_device or bool(status.get("device_connected"))
            server.away_since = (
                0.0 if status.get("device_connected") is not False else server.away_since or now
            )
        return found

    def hear_row(self, name: str, now: float) -> list[Condition]:
        """Takes notice that housekeeping came from a server."""
        server = self._get(name)
        server.rows_at = now
        return []

    # -- what the supervisor says ----------------------------------------------------------------------------------

    def take_programs(
        self, programs: Mapping[str, ProgramStatus], has_supervisor: bool, now: float
    ) -> list[Condition]:
        """Takes what is known of the processes; returns which have ended, and which are there again.

        Args:
            programs: those that the supervisor looks after.
            has_supervisor: there is one.
            now: the time [s].
        """
        self._has_supervisor = has_supervisor
        found = self._judge_supervisor(has_supervisor)
        for name, program in programs.items():
            server = self._get(name)
            before, server.program = server.program, program
            if program.state is State.RUNNING and name in self._streaming:
                server.expected = True
            crashed = before is not None and program.restarts > before.restarts
            down = program.state in _DOWN and (before is None or before.state not in _DOWN)
            if (crashed or down) and not server.gone and name != self._itself:
                server.dead_pid = before.pid if before is not None else None
                found.append(self._gone(server, program.reason or "its process has ended", program.state))
            elif server.gone and program.state is State.RUNNING and not server.has_stream:
                server.gone = ""
                found.append(Condition(name=f"{name}/{GONE}", value="running", source=name, clear_after=0.0))
        for server in self.by_name.values():
            if server.program is not None and server.name not in programs:
                server.program = None
                found += self._released(server) if has_supervisor else []
        return found

    def _judge_supervisor(self, has_supervisor: bool) -> list[Condition]:
        name = f"{SUPERVISOR}/{GONE}"
        if has_supervisor:
            self._had_supervisor = True
            return [Condition(name=name, value="running", clear_after=0.0)]
        if not self._had_supervisor:
            return []
        return [
            Condition(
                name=name,
                priority="alarm",
                value="gone",
                limit="its process has ended",
                cause="the supervisor of the site was killed; its programs go on, but nobody restarts those that crash",
                action="start it again: `cgse core start`",
            )
        ]

    def _released(self, server: Server) -> list[Condition]:
        """Nobody wants the program to run any more."""
        server.expected, server.gone, server.dead_pid = False, "", None
        server.away_since = 0.0
        server.status = {}
        return [
            Condition(name=f"{server.name}/{kind}", value="stopped on request", clear_after=0.0)
            for kind in (GONE, DEVICE, ROWS)
        ]

    # -- silence ---------------------------------------------------------------------------------------------------

    def suspects(self, now: float) -> list[str]:
        """Returns the servers that are not heard and should be: somebody must find out what is the matter."""
        return [
            server.name
            for server in self.by_name.values()
            if server.expected and not server.gone and self._is_silent(server, now)
        ]

    def _is_silent(self, server: Server, now: float) -> bool:
        if not server.has_stream:
            if self._has_supervisor and server.program is None:
                return False  # nobody wants it to run here
            return now - self._started > COMING_UP
        period = server.status.get("monitoring_period", 1.0)
        allowed = max(SILENCE, PERIODS * period) if isinstance(period, int | float) else SILENCE
        return now - server.heard > allowed

    def take_finding(self, name: str, finding: str, now: float) -> list[Condition]:
        """Takes what was found out about a suspect.

        Args:
            name: of the server.
            finding: what is the matter; empty when it does answer.
            now: the time [s].
        """
        server = self._get(name)
        stopping = server.program is not None and server.program.state in (State.STOPPING, State.STARTING)
        if not finding or server.gone or not server.expected or stopping or not self._is_silent(server, now):
            return []
        pid = server.status.get("pid")
        server.dead_pid = pid if isinstance(pid, int) and "does not answer" not in finding else None
        return [self._gone(server, finding, None)]

    def _gone(self, server: Server, reason: str, state: State | None) -> Condition:
        first = reason.splitlines()[0].rstrip(":")
        server.gone = first
        ended = state is State.ENDED
        core = server.name in self._core
        again = {
            State.BACKOFF: "it is started again by itself; look why: ",
            State.RUNNING: "it was started again by itself; look why: ",
            State.STARTING: "it was started again by itself; look why: ",
        }.get(
            state or State.FATAL, f"start it again: `cgse {'core' if core else 'device'} start`; look why: "
        )
        return Condition(
            name=f"{server.name}/{GONE}",
            priority="warning" if ended else "alarm",
            value="gone",
            limit=first,
            cause=f"{server.name}: {first}; nothing of it is monitored or controlled meanwhile",
            action=f"{again}`cgse log show`",
            source=server.name,
            clear_after=0.0,
        )

    # -- devices and housekeeping ----------------------------------------------------------------------------------

    def look(self, now: float) -> list[Condition]:
        """Returns which servers are without device or without housekeeping, and which have them again."""
        found = []
        for server in self.by_name.values():
            if not server.expected or not server.has_stream or server.gone:
                continue
            found.append(self._judge_device(server, now))
            found.append(self._judge_rows(server, now))
        return [condition for condition in found if condition is not None]

    def _is_excused(self, server: Server) -> bool:
        """Says whether what it needs is gone, its device is away, or it is reserved: nothing is to be expected then."""
        needed = [self.by_name[name] for name in self._needs.get(server.name, ()) if name in self.by_name]
        reserved = bool(server.status.get("reserved"))
        return reserved or server.away_since > 0.0 or any(one.gone for one in needed)

    def _judge_device(self, server: Server, now: float) -> Condition | None:
        name = f"{server.name}/{DEVICE}"
        if not server.away_since:
            return Condition(name=name, value="connected", source=server.name, clear_after=0.0)
        needed = [self.by_name[one] for one in self._needs.get(server.name, ()) if one in self.by_name]
        if any(one.gone for one in needed):
            server.away_since = now  # that is told already
        if now - server.away_since <= DEVICE_GRACE or not server.had_device:
            return None
        return Condition(
            name=name,
            priority="alarm",
            value="not connected",
            limit=f"not connected for {now - server.away_since:.0f} s",
            cause=f"{server.name} has lost its device: switched off, cable, network",
            action=f"look after the device; {server.name} connects by itself when it is there again",
            source=server.name,
            clear_after=0.0,
        )

    def _judge_rows(self, server: Server, now: float) -> Condition | None:
        rows = server.status.get("housekeeping")
        if not isinstance(rows, Mapping) or not rows.get("rows") or server.rows_at == _NEVER:
            return None  # it takes none by itself
        if self._is_excused(server):
            server.rows_at = now
            return None
        period = rows.get("period")
        allowed = max(ROWS_GRACE, PERIODS * period) if isinstance(period, int | float) else ROWS_GRACE
        name = f"{server.name}/{ROWS}"
        if now - server.rows_at <= allowed:
            return Condition(name=name, value="coming in", source=server.name, clear_after=0.0)
        return Condition(
            name=name,
            priority="alarm",
            value="missing",
            limit=f"none for {now - server.rows_at:.0f} s",
            cause=f"{server.name} is there but takes no housekeeping: the device does not answer, or a command is running",
            action=f"look at `{server.name} status --full` and into its log",
            source=server.name,
            clear_after=0.0,
        )
