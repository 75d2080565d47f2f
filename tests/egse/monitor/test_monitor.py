"""The limit monitor in this process: what it does over its own death, over that of a server, and when a clock is set."""

from __future__ import annotations

from pathlib import Path

from egse.clock import VirtualClock
from egse.monitor.alarms import AlarmBook, Condition
from egse.monitor.journal import AlarmJournal, read_alarm_events
from egse.monitor.limits import Definitions, read_definitions
from egse.monitor.monitor import LimitMonitor
from egse.monitor.servers import Servers
from egse.process.supervised import ProgramStatus, State
from egse.setup import Setup
from egse.tmdict import Parameter, TMDictionary

BLOCKS = {"AEU Control Server": "aeu_cs", "TCS Control Server": "tcs_cs"}


class WallClock(VirtualClock):
    """A clock that somebody sets."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


def definitions(limits: str) -> Definitions:
    parameters = [Parameter(name, "BENCH") for name in ("POWER", "TEMP")]
    setup = Setup.from_yaml_string(f"Setup:\n  monitor:\n    limits:\n      {limits}\n")
    return read_definitions(setup, TMDictionary(parameters, "test"))


def monitor(folder: Path, clock: VirtualClock, limits: str) -> LimitMonitor:
    made = LimitMonitor(AlarmJournal(folder), Servers([], {}, clock.monotonic()), clock, BLOCKS)
    made.use(definitions(limits), "00001")
    return made


def events(folder: Path) -> list[tuple[str, str]]:
    found = sorted(read_alarm_events(folder), key=lambda event: event.number)
    return [(event.event, event.name) for event in found]


def test_what_is_still_bad_after_a_restart_is_no_new_alarm(tmp_path: Path) -> None:
    clock, limits = VirtualClock(), "TEMP: {alarm: [0, 10], persistence: [3, 3], clear_after: 2}"
    for _ in range(3):
        watching = monitor(tmp_path, clock, limits)
        for _ in range(4):
            watching.receive("TCS Control Server", "housekeeping", {"TEMP": 50.0})
            clock.advance(6.25)
            watching.tick()
        watching.use(definitions(limits), "00002")  # another Setup meanwhile
        watching.close()
    assert events(tmp_path) == [("raised", "TEMP")]


def test_values_of_a_server_that_is_gone_are_not_used(tmp_path: Path) -> None:
    clock = VirtualClock()
    watching = monitor(tmp_path, clock, 'COLD: {condition: "TEMP > 30 and POWER < 1", priority: critical}')
    status = {"name": "aeu_cs", "pid": 1, "incarnation": "a", "housekeeping": {"period": 1.0, "rows": 1}}
    watching.receive("AEU Control Server", "status", status)
    watching.receive("AEU Control Server", "housekeeping", {"POWER": 0.0})
    watching.take_programs({"aeu_cs": ProgramStatus(state=State.FATAL, reason="crashed")}, True)
    assert ("raised", "aeu_cs/gone") in events(tmp_path)
    watching.receive("TCS Control Server", "housekeeping", {"TEMP": 40.0})
    assert ("raised", "COLD") not in events(tmp_path)
    watching.close()


def test_a_clock_that_is_set_neither_holds_nor_clears_an_alarm(tmp_path: Path) -> None:
    for step in (-3600.0, 3600.0):
        clock, folder = WallClock(), tmp_path / str(step)
        watching = monitor(folder, clock, "TEMP: {alarm: [0, 10], clear_after: 10}")
        for value in (50.0, 5.0):
            watching.receive("TCS Control Server", "housekeeping", {"TEMP": value})
        clock.ahead = step
        watching.tick()
        assert events(folder) == [("raised", "TEMP")], "not cleared by the step"
        clock.advance(11.0)
        watching.tick()
        assert events(folder) == [("raised", "TEMP"), ("cleared", "TEMP")]
        watching.close()


def test_events_that_were_written_with_a_clock_ahead_of_time_hide_no_others(tmp_path: Path) -> None:
    journal, book = AlarmJournal(tmp_path), AlarmBook()
    ahead, right = 1.0e9 + 5 * 86_400, 1.0e9
    journal.write(book.note(Condition(name="A", priority="alarm"), ahead))
    journal.save_open(book)
    for name in ("B", "C"):
        journal.write(book.note(Condition(name=name, priority="critical"), right))
    journal.close()
    restored = AlarmBook()
    AlarmJournal(tmp_path).restore(restored)
    assert {alarm.name for alarm in restored.alarms()} == {"A", "B", "C"}
    assert restored.number == book.number == 4
