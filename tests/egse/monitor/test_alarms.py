"""The life of alarms, without any process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from egse.monitor.alarms import AlarmBook, AlarmError, AlarmEvent, Condition
from egse.monitor.journal import AlarmJournal, read_alarm_events

NOW = 1_790_000_000.0


def hot(priority: str = "alarm", **fields: object) -> Condition:
    texts = {"cause": "the heater", "action": "switch it off", "unit": "degC", "limit": "above 30"}
    return Condition(name="TEMP", priority=priority, value=31.0, **(texts | fields))  # type: ignore[arg-type]


def names(events: list[AlarmEvent]) -> list[str]:
    return [event.event for event in events]


def test_an_alarm_is_raised_once_and_stays_until_it_is_cleared_and_acknowledged() -> None:
    book = AlarmBook(lambda: ("LAB_00001_00002", {"state": "RUNNING"}))
    (event,) = book.note(hot(), NOW)
    assert (event.event, event.priority, event.cause, event.action) == (
        "raised",
        "alarm",
        "the heater",
        "switch it off",
    )
    assert (event.obsid, event.context) == ("LAB_00001_00002", {"state": "RUNNING"})
    assert book.note(hot(), NOW + 1) == []
    assert book.note(hot(""), NOW + 2) == [], "not before all was well for a while"
    assert names(book.tick(NOW + 8)) == ["cleared"]
    assert [alarm.active for alarm in book.alarms()] == [False], "nobody has seen it yet"
    assert names(book.acknowledge("TEMP", "anna", "saw it", NOW + 9)) == ["acknowledged"]
    assert book.alarms() == []


def test_the_first_who_acknowledges_counts_and_a_comment_of_the_second_is_kept() -> None:
    book = AlarmBook()
    book.note(hot(), NOW)
    assert names(book.acknowledge("TEMP", "anna", "", NOW + 1)) == ["acknowledged"]
    assert book.acknowledge("TEMP", "ben", "", NOW + 2) == []
    (event,) = book.acknowledge("TEMP", "ben", "me too", NOW + 3)
    assert (event.by, event.comment) == ("ben", "me too")
    alarm = book.get("TEMP")
    assert alarm is not None
    assert (alarm.acknowledged_by, alarm.comment) == ("anna", "me too")
    with pytest.raises(AlarmError, match="did you mean 'TEMP'"):
        book.acknowledge("TEMPS", "ben", "", NOW)


def test_what_gets_worse_is_escalated_and_must_be_acknowledged_again() -> None:
    book = AlarmBook()
    book.note(hot("warning"), NOW)
    book.acknowledge("TEMP", "anna", "", NOW + 1)
    assert names(book.note(hot("critical"), NOW + 2)) == ["escalated"]
    alarm = book.get("TEMP")
    assert alarm is not None
    assert (alarm.priority, alarm.acknowledged) == ("critical", 0.0)
    assert book.note(hot("warning"), NOW + 3) == []
    assert (alarm.priority, alarm.level) == ("critical", "warning")


def test_a_latching_alarm_waits_for_somebody() -> None:
    book = AlarmBook()
    book.note(hot(latch=True), NOW)
    book.note(hot("", latch=True), NOW + 1)
    assert book.tick(NOW + 1000) == []
    assert names(book.acknowledge("TEMP", "anna", "", NOW + 1001)) == ["acknowledged", "cleared"]
    assert len(book) == 0


@pytest.mark.parametrize("period", [1.0, 4.0, 20.0])
def test_a_flapping_value_gives_one_alarm(period: float) -> None:
    book = AlarmBook()
    events = []
    for second in range(1200):
        bad = (second // period) % 2 == 1
        events += book.note(hot("alarm" if bad else ""), NOW + second) + book.tick(NOW + second)
    raised = [event for event in events if event.event == "raised"]
    assert len(raised) == (1 if period < 5.0 else 4), "a slow one is found out when it comes back"
    assert len(book.alarms()) == 1
    assert book.is_active("TEMP")


def test_a_shelved_alarm_goes_on_without_calling_anybody_until_the_shelf_expires() -> None:
    book = AlarmBook()
    with pytest.raises(AlarmError, match="say why"):
        book.shelve("TEMP", "anna", 60.0, " ", NOW)
    with pytest.raises(AlarmError, match="7 days"):
        book.shelve("TEMP", "anna", 1e9, "for ever", NOW)
    (event,) = book.shelve("TEMP", "anna", 60.0, "heater test", NOW)
    assert (event.until, event.shelved) == (NOW + 60.0, True)
    (event,) = book.note(hot(), NOW + 1)
    assert (event.event, event.shelved) == ("raised", True)
    alarm = book.get("TEMP")
    assert alarm is not None
    assert (alarm.shelved_until, alarm.shelved_by) == (NOW + 60.0, "anna")
    assert book.tick(NOW + 59) == []
    (event,) = book.tick(NOW + 60)
    assert (event.event, event.by, event.shelved) == ("unshelved", "expiry", False)
    with pytest.raises(AlarmError, match="is not shelved"):
        book.unshelve("TEMP", "ben", NOW + 61)


def test_what_is_not_monitored_any_more_is_cleared_with_the_reason() -> None:
    book = AlarmBook()
    book.note(hot(), NOW)
    (event,) = book.retire({"OTHER"}, NOW + 1, "no longer in the Setup")
    assert (event.event, event.comment) == ("cleared", "no longer in the Setup")


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    journal = AlarmJournal(tmp_path / "alarms")
    book = AlarmBook()
    events = book.note(hot("warning"), NOW)
    events += book.acknowledge("TEMP", "anna", "mine", NOW + 1)
    events += book.shelve("OTHER", "ben", 3600.0, "not connected", NOW + 2)
    events += book.report_reaction("TEMP", "heater switched off", "reactions", NOW + 3)
    journal.write(events[:2])
    journal.save_open(AlarmBook())  # older than all that follows
    journal.write(events[2:])
    journal.close()
    assert oct((tmp_path / "alarms").stat().st_mode)[-3:] == "700"

    again = AlarmBook()
    journal.restore(again)
    assert again.alarms() == book.alarms()
    assert again.shelves == book.shelves
    assert again.number == book.number == 5
    assert again.note(hot("warning"), NOW + 4) == []
    assert list(read_alarm_events(journal.folder)) == events
    assert [e.number for e in read_alarm_events(journal.folder, since=NOW + 1, until=NOW + 2)] == [2, 3]


def test_the_shortcut_of_the_journal_makes_the_same_book_and_numbers_go_on(tmp_path: Path) -> None:
    journal = AlarmJournal(tmp_path)
    book = AlarmBook()
    journal.write(book.note(hot(), NOW) + book.acknowledge("TEMP", "anna", "", NOW + 1))
    journal.save_open(book)
    journal.write(book.note(hot("critical"), NOW + 2))
    again = AlarmBook()
    journal.restore(again)
    assert again.alarms() == book.alarms()
    book.note(hot(""), NOW + 3)
    journal.write(book.tick(NOW + 20) + book.acknowledge("TEMP", "anna", "", NOW + 21))
    journal.save_open(book)
    empty = AlarmBook()
    journal.restore(empty)
    assert (len(empty), empty.number) == (0, book.number)
    (tmp_path / "open.json").write_text("{")
    slow = AlarmBook()
    journal.restore(slow)
    assert (len(slow), slow.number) == (0, book.number)


def test_torn_lines_are_skipped_and_a_full_disk_delays_the_journal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = AlarmJournal(tmp_path)
    book = AlarmBook()
    assert journal.write(book.note(hot(), NOW))
    (file,) = tmp_path.glob("*.jsonl")
    with file.open("ab") as torn:
        torn.write(b'deadbeef {"number":')
    journal.close()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert not journal.write(book.acknowledge("TEMP", "anna", "", NOW + 1))
    assert journal.write(book.note(hot("critical"), NOW + 2))
    assert [e.event for e in read_alarm_events(tmp_path)] == ["raised", "acknowledged", "escalated"]
