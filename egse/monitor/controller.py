"""The commands of the limit monitor."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from egse.advice import or_meant
from egse.clock import Clock
from egse.monitor.alarms import AlarmError, AlarmEvent, Condition
from egse.monitor.heartbeat import Heartbeat, read_heartbeat
from egse.monitor.interface import SETTINGS, TOPIC, LimitMonitorInterface
from egse.monitor.journal import AlarmJournal, last_alarm_events
from egse.monitor.limits import read_definitions
from egse.monitor.monitor import LimitMonitor
from egse.monitor.patrol import Patrol
from egse.monitor.routes import routes_of
from egse.monitor.servers import Servers
from egse.monitor.streams import Streams, endpoints
from egse.security.roles import current_caller
from egse.setup import Setup
from egse.site.programs import TABLE, Kind, core_entries
from egse.storage.loaded_setup import LoadedSetup, SetupFollower
from egse.system import format_datetime, from_unix_time
from egse.telemetry import HousekeepingStore
from egse.tmdict import TMDictionaryError, find_dictionary, template_dictionary

if TYPE_CHECKING:
    from egse.control import ControlServer

LOGGER = logging.getLogger(__name__)

ROUTES = "mon_cs/routes"
"""Name of the alarm that tells of routes that were refused."""
MNEMONIC = "ALARM"
"""Storage mnemonic of the events: a file of the day, and one in each observation."""
COLUMNS = (
    "number",
    "name",
    "event",
    "priority",
    "value",
    "unit",
    "limit",
    "cause",
    "action",
    "by",
    "comment",
)


class LimitMonitorController(SetupFollower, LimitMonitorInterface):
    """Executes the commands of the limit monitor.

    Args:
        folder: of the journal, `<data>/<SITE>/alarms`.
        clock: all times.
        site: site id.
        settings: of the limit monitor.
        control_server: the server; None for one without.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        site: str,
        settings: dict[str, Any],
        control_server: ControlServer | None = None,
    ) -> None:
        self._control_server = control_server
        self.loaded_setup = LoadedSetup(on_fetched=self._take_setup)
        incarnation = control_server.incarnation if control_server is not None else ""
        beat = read_heartbeat(folder)
        core = [entry.name for entry in core_entries() if not entry.extra]
        names = {entry.settings: entry.name for entry in TABLE if entry.settings}
        needs = {entry.name: _simulators(entry.needs) for entry in TABLE}
        known = beat or Heartbeat(0.0, 0, "")
        servers = Servers(
            core,
            needs,
            clock.monotonic(),
            known.servers,
            known.restarts,
            names.values(),
            itself=names[SETTINGS],
        )
        self.monitor = LimitMonitor(AlarmJournal(folder), servers, clock, names, incarnation)
        self.routes, refused = routes_of(settings, site, self.get_alarms)
        for route in self.routes:
            route.take_up(folder, self.monitor.book.number - 1, clock.now())
        self.store = HousekeepingStore(MNEMONIC)
        self.monitor.tell(self._tell)
        self.monitor.note_absence(beat)
        self.monitor.note([_about_routes(refused)])
        self.reload_limits()
        self.streams = Streams(self.monitor.receive, self.monitor.tick)
        self.patrol = Patrol(self.monitor)

    def start(self) -> None:
        """Begins to watch."""
        for route in self.routes:
            route.start()
        self.streams.follow(endpoints(SETTINGS).items())
        self.streams.start()
        self.patrol.start()

    def stop(self) -> None:
        """Ends watching, and keeps what is open."""
        self.loaded_setup.close()
        self.patrol.end()
        self.streams.end()
        for route in self.routes:
            route.end()
        if self.streams.is_alive():
            self.streams.join(1.5)
        self.monitor.close()
        self.store.close()

    def _tell(self, events: Sequence[AlarmEvent]) -> None:
        for event in events:
            if self._control_server is not None:
                self._control_server.publish(TOPIC, msgspec.to_builtins(event))
            self.store.save(_row(event))
        for route in self.routes:
            route.put(events)

    # -- definitions -------------------------------------------------------------------------------------------------

    def _take_setup(self, setup: Setup) -> None:
        self.reload_limits()
        self.streams.follow(
            endpoints(SETTINGS).items()
        )  # a package that was installed meanwhile brings Settings along

    def reload_limits(self) -> dict[str, Any]:
        setup = self.loaded_setup.setup
        try:
            dictionary = find_dictionary(setup)
        except TMDictionaryError as exc:
            LOGGER.error("the TM dictionary of this package counts: %s", exc)
            dictionary = template_dictionary()
        found = read_definitions(setup, dictionary)
        self.monitor.use(found, (setup.get_id() or "") if setup is not None else "")
        rules = sum(definition.expression is not None for definition in found.by_name.values())
        return {
            "setup": self.monitor.setup_id,
            "parameters": len(found.by_name) - rules,
            "rules": rules,
            "problems": list(found.problems),
        }

    def get_limits(self, name: str | None = None) -> list[dict[str, Any]]:
        with self.monitor.lock:
            evaluator = self.monitor.evaluator
            if name is not None and name not in evaluator.watches:
                raise AlarmError(f"no limits of {name!r} are watched{or_meant(name, evaluator.watches)}")
            return list(evaluator.described(name))

    # -- alarms ------------------------------------------------------------------------------------------------------

    def get_alarms(self) -> list[dict[str, Any]]:
        with self.monitor.lock:
            return [msgspec.to_builtins(alarm) for alarm in self.monitor.book.alarms()]

    def acknowledge(self, name: str, by: str = "", comment: str = "") -> dict[str, Any]:
        with self.monitor.lock:
            alarm = self.monitor.book.get(name)
            who = current_caller().origin(by)
            self.monitor.do(lambda book, now: book.acknowledge(name, who, comment, now))
            found: dict[str, Any] = msgspec.to_builtins(alarm)
            return found

    def shelve(self, name: str, by: str, seconds: float, reason: str) -> dict[str, Any]:
        self._check_known(name)
        who = current_caller().origin(by)
        (event,) = self.monitor.do(lambda book, now: book.shelve(name, who, seconds, reason, now))
        return {"name": name, "until": event.until, "by": who, "reason": reason}

    def _check_known(self, name: str) -> None:
        with self.monitor.lock:
            monitor = self.monitor
            known = {*monitor.definitions.by_name, *(alarm.name for alarm in monitor.book.alarms())}
            server, _, kind = name.partition("/")
            if name not in known and not (kind and server in monitor.servers.by_name):
                raise AlarmError(f"nothing of the name {name!r} is watched{or_meant(name, known)}")

    def unshelve(self, name: str, by: str = "") -> bool:
        who = current_caller().origin(by)
        self.monitor.do(lambda book, now: book.unshelve(name, who, now))
        return True

    def get_shelves(self) -> list[dict[str, Any]]:
        with self.monitor.lock:
            return [
                {"name": n, **msgspec.to_builtins(shelf)} for n, shelf in self.monitor.book.shelves.items()
            ]

    def get_history(self, since: float = 0.0, until: float = 0.0, last: int = 1000) -> list[dict[str, Any]]:
        events = last_alarm_events(self.monitor.journal.folder, last, since or None, until or None)
        return [msgspec.to_builtins(event) for event in events]

    def report_reaction(self, name: str, text: str, by: str = "") -> int:
        who = current_caller().origin(by)
        (event,) = self.monitor.do(lambda book, now: book.report_reaction(name, text, who, now))
        return event.number


def _about_routes(problems: Sequence[str]) -> Condition:
    """Returns what the settings of the routes mean for their alarm; logs what is wrong with them, too."""
    for problem in problems:
        LOGGER.error("nobody is called by this: %s (settings, block %s)", problem, SETTINGS)
    if not problems:
        return Condition(name=ROUTES, value="in order", clear_after=0.0)
    return Condition(
        name=ROUTES,
        priority="alarm",
        value=len(problems),
        limit=f"{len(problems)} settings of who is called are refused; the others count",
        cause="\n".join(problems),
        action=f"correct the settings (block {SETTINGS}), then start the limit monitor again",
        source="mon_cs",
        clear_after=0.0,
    )


def _simulators(needs: tuple[str, ...]) -> tuple[str, ...]:
    kinds = {entry.name: entry.kind for entry in TABLE}
    return tuple(name for name in needs if kinds.get(name) is Kind.SIMULATOR)


def _row(event: AlarmEvent) -> dict[str, Any]:
    """Returns an event as a row of its file."""
    values = {column: getattr(event, column) for column in COLUMNS}
    context = " ".join(f"{key}={value}" for key, value in event.context.items())
    return {"timestamp": format_datetime(from_unix_time(event.time)), **values, "context": context}
