"""The limit monitor itself: what comes in is judged, what that means is written down, published and told to people.

One lock: streams, the patrol and commands take turns; nothing that waits for another process is done under it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from egse.clock import Clock
from egse.monitor.alarms import AlarmBook, AlarmEvent, Condition
from egse.monitor.heartbeat import NAME as GONE_ALARM
from egse.monitor.heartbeat import PERIOD, Heartbeat, write_heartbeat
from egse.monitor.journal import AlarmJournal
from egse.monitor.limits import Definitions, Evaluator
from egse.monitor.servers import Servers
from egse.process import ProgramStatus
from egse.system import format_datetime, from_unix_time

LOGGER = logging.getLogger(__name__)

REFUSED = "mon_cs/limits"
"""Name of the alarm that tells of definitions that were refused."""
TOLD = 5
"""So many refused definitions stand in the text of that alarm."""
SILENT = ("gone", "device", "housekeeping")
"""Alarms of a server whose values are not to be used any more."""
LAG, CATCH_UP = 2.0, 3.0
"""A monitor that was held up for so long takes so long for what has come in meanwhile before it calls anything silent [s]."""
CLOCK_STEP = 1.0
"""A wall clock that goes away from the other one by more was set [s]."""
SAVE_EVERY = 600.0
"""How often the shortcut for the next start is written [s]."""
CM, DPU, SYN = (
    "Configuration Manager Control Server",
    "DPU Control Server",
    "Synoptics Manager Control Server",
)

_STATES = {"STANDBY_MODE": "INITIALIZED", "ON_MODE": "SAFE"}


class LimitMonitor:
    """Watches everything.

    Args:
        journal: of the alarms; the book is made as it was when the last event was written.
        servers: which servers there are.
        clock: `now()` for the records, `monotonic()` for everything that lasts.
        names: names of the servers, by the names of their blocks in the Settings.
        incarnation: which life of the monitor.

    Attributes:
        book: the alarms.
        evaluator: judges housekeeping.
        lock: to be held by whoever looks at these from another thread.
        rows, events: since the start.
        definitions: what is watched.
        setup_id: Setup that the definitions come from; empty before the first.
        obsid: of the running observation; empty outside.
    """

    def __init__(
        self,
        journal: AlarmJournal,
        servers: Servers,
        clock: Clock,
        names: Mapping[str, str],
        incarnation: str = "",
    ) -> None:
        self.lock = threading.RLock()
        self.journal = journal
        self.servers = servers
        self.book = AlarmBook(self._surroundings)
        journal.restore(self.book)
        self.evaluator = Evaluator(Definitions())
        self.rows = self.events = 0
        self.setup_id = ""
        self.obsid = ""
        self.block_of: dict[str, str] = {name: block for block, name in names.items()}
        self._clock = clock
        self._names = dict(names)
        self._incarnation = incarnation
        self._listeners: list[Callable[[Sequence[AlarmEvent]], None]] = []
        self._mode: tuple[str, bool] = ("", False)
        self._beaten = self._saved = self._ticked = clock.monotonic()
        self._patient_until = float("-inf")
        self._ahead = clock.now() - clock.monotonic()

    def tell(self, listener: Callable[[Sequence[AlarmEvent]], None]) -> None:
        """Has somebody told of all events, once they are in the journal; must return at once."""
        self._listeners.append(listener)

    @property
    def definitions(self) -> Definitions:
        return self.evaluator.definitions

    def _surroundings(self) -> tuple[str, Mapping[str, str]]:
        context = {key: value for key, value in self.evaluator.context.items() if value}
        return self.obsid, {**context, "setup": self.setup_id} if self.setup_id else context

    # -- what comes in ---------------------------------------------------------------------------------------------

    def receive(self, block: str, topic: str, value: dict[str, Any]) -> None:
        """Takes a message of a monitoring stream.

        Args:
            block: name of the block of the server in the Settings.
            topic: housekeeping or status.
            value: the row, or the status.
        """
        with self.lock:
            now = self._clock.monotonic()
            name = self._names.get(block) or _guess(block)
            if topic == "housekeeping":
                self.rows += 1
                self.servers.hear_row(name, now)
                self.note(self.evaluator.take(name, value, now))
            else:
                self._take_status(block, value, now)

    def _take_status(self, block: str, status: dict[str, Any], now: float) -> None:
        name = str(status.get("name") or self._names.get(block) or _guess(block))
        self._names[block], self.block_of[name] = name, block
        before = self.servers.by_name.get(name)
        if before is not None and before.status.get("incarnation") not in (None, status.get("incarnation")):
            self.evaluator.forget(name)
        found = self.servers.hear(name, status, now, self.book.is_active(f"{name}/gone"))
        if block == CM:
            observation = status.get("observation") or {}
            is_open = observation.get("state") == "open"
            self.obsid = str(observation.get("obsid", "")) if is_open else ""
        elif block == DPU:
            dpu = status.get("dpu")
            self._mode = ("", False)
            if isinstance(dpu, dict) and dpu.get("known", True):
                self._mode = (str(dpu.get("mode_name", "")), bool(dpu.get("dump_mode")))
        elif block == SYN and isinstance(status.get("synoptics"), dict):
            found += self.evaluator.take(name, status["synoptics"], now)
        self.note(found)

    def take_programs(self, programs: Mapping[str, ProgramStatus], has_supervisor: bool) -> None:
        """Takes what the supervisor says of the processes."""
        with self.lock:
            self.note(self.servers.take_programs(programs, has_supervisor, self._clock.monotonic()))

    def suspects(self) -> dict[str, str]:
        """Returns the servers that are silent and must be looked after: name, and block in the Settings."""
        with self.lock:
            names = self.servers.suspects(self._clock.monotonic())
            return {name: self.block_of.get(name, "") for name in names}

    def take_finding(self, name: str, finding: str) -> None:
        """Takes what was found out about a silent server; see `Servers.take_finding`."""
        with self.lock:
            self.note(self.servers.take_finding(name, finding, self._clock.monotonic()))

    def tick(self) -> None:
        """Looks what the mere passing of time means."""
        with self.lock:
            now, wall = self._clock.monotonic(), self._clock.now()
            if abs(step := wall - now - self._ahead) > CLOCK_STEP:
                self._ahead += step
                self.book.shift(step)
            found = self.evaluator.set_context(self._context())
            if now - self._ticked > LAG:
                self._patient_until = now + CATCH_UP
            self._ticked = now
            if now >= self._patient_until:
                found += self.servers.look(now)
                found += self.evaluator.look(now, self.servers.is_there)
            self.note(found)
            self.emit(self.book.tick(wall))
            if now - self._beaten >= PERIOD:
                self._beaten = now
                self._beat(wall)
                if self.journal.waiting:
                    self.journal.write(())
            if now - self._saved >= SAVE_EVERY:
                self._saved = now
                self.journal.save_open(self.book)

    def _context(self) -> dict[str, str]:
        dpu = self.servers.by_name.get(self._names.get(DPU, ""))
        mode, is_dump = self._mode if dpu is not None and dpu.expected and not dpu.gone else ("", False)
        state = "RUNNING" if self.obsid else "IDLE" if is_dump else _STATES.get(mode, "")
        return {"state": state, "phase": self.evaluator.phase(), "mode": mode}

    # -- definitions -----------------------------------------------------------------------------------------------

    def use(self, definitions: Definitions, setup_id: str) -> None:
        """Has other definitions count from now on.

        Args:
            definitions: the new ones.
            setup_id: where they come from; empty for those without a Setup.
        """
        with self.lock:
            made = Evaluator(definitions)
            former, self.evaluator = self.evaluator, made
            self.setup_id = setup_id
            found = made.carry_over(former)
            made.seed(self.book.alarms())
            found.append(self._about(definitions))
            self.note(found)
            if setup_id:
                known = set(definitions.by_name) | {
                    alarm.name for alarm in self.book.alarms() if "/" in alarm.name
                }
                self.emit(self.book.retire(known, self._clock.now(), f"not monitored with Setup {setup_id}"))
        for problem in definitions.problems:
            LOGGER.error("a limit is refused: %s", problem)
        LOGGER.info(
            "%d parameters and rules are watched (Setup %s)", len(definitions.by_name), setup_id or "none"
        )

    def _about(self, definitions: Definitions) -> Condition:
        if not definitions.problems:
            return Condition(name=REFUSED, value="in order", clear_after=0.0)
        problems = definitions.problems
        more = [f"... and {len(problems) - TOLD} more"] if len(problems) > TOLD else []
        return Condition(
            name=REFUSED,
            priority="warning",
            value=len(problems),
            limit=f"{len(problems)} definitions are refused; what the TM dictionary says counts there",
            cause="\n".join((*problems[:TOLD], *more)),
            action="correct them (`cgse alarm limits --check FILE`) and submit a new Setup",
            source="mon_cs",
            clear_after=0.0,
        )

    # -- what comes out --------------------------------------------------------------------------------------------

    def note(self, conditions: Iterable[Condition]) -> None:
        """Takes notice of conditions."""
        now = self._clock.now()
        with self.lock:
            events = []
            for condition in conditions:
                server, _, kind = condition.name.rpartition("/")
                if condition.priority and kind in SILENT:
                    self.evaluator.forget(server)
                events += self.book.note(condition, now)
            self.emit(events)

    def emit(self, events: Sequence[AlarmEvent]) -> None:
        """Writes events down, then tells everybody; the disk, which may be slow, comes last."""
        if not events:
            return
        self.events += len(events)
        self.journal.write(events)
        for event in events:
            loud = event.event in ("raised", "escalated") and not event.shelved
            LOGGER.log(
                logging.WARNING if loud else logging.INFO,
                "%s: %s %s (%s) %s",
                event.event,
                event.priority,
                event.name,
                event.limit or event.comment,
                event.by,
            )
        for listener in self._listeners:
            listener(events)
        self.journal.sync()

    def do(self, action: Callable[[AlarmBook, float], list[AlarmEvent]]) -> list[AlarmEvent]:
        """Does something with the book on behalf of somebody; returns the events, which everybody is told of."""
        with self.lock:
            events = action(self.book, self._clock.now())
            self.emit(events)
            return events

    def note_absence(self, beat: Heartbeat | None) -> None:
        """Tells that the monitor was gone, when its last life did not end as it should."""
        with self.lock:
            now = self._clock.now()
            if beat is not None and not beat.ended:
                since = format_datetime(from_unix_time(beat.time))
                condition = Condition(
                    name=GONE_ALARM,
                    priority="critical",
                    value="gone",
                    limit=f"from {since} to {format_datetime(from_unix_time(now))}",
                    cause=f"the limit monitor (process {beat.pid}) was killed or had hung: nobody watched the limits",
                    action="look why: `cgse log show`; look at the housekeeping of that time",
                    source="mon_cs",
                    clear_after=0.0,
                )
                self.note([condition])
            self.note([Condition(name=GONE_ALARM, value="running", source="mon_cs", clear_after=0.0)])
            self._beat(now)

    def _beat(self, now: float, *, ended: bool = False) -> None:
        names, restarts = self.servers.to_remember(), self.servers.restarts()
        write_heartbeat(self.journal.folder, now, self._incarnation, names, restarts, ended=ended)

    def close(self) -> None:
        """Keeps what is open for the next start, and says that this end was wanted."""
        with self.lock:
            self.journal.save_open(self.book)
            self._beat(self._clock.now(), ended=True)
            self.journal.close()


def _guess(block: str) -> str:
    """Returns what a server is called by the name of its block, until it tells by itself within a second."""
    return block.removesuffix(" Control Server").lower().replace(" ", "_").replace("-", "_") + "_cs"
