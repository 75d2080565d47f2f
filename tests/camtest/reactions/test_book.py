"""What is done about alarms: announced, withdrawn, cancelled, run in the order of priority, never twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from camtest.core.conditions import SafeCall
from camtest.reactions.book import ReactionBook, ReactionEvent
from camtest.reactions.journal import FILENAME, FOLDER, ReactionJournal, read_reactions
from camtest.reactions.table import Reaction, ReactionTable


def reaction(name: str, *alarms: str, **fields: Any) -> Reaction:
    return Reaction(name, alarms, SafeCall(f"bench.{name}"), **fields)


HOT = reaction("hot", "TRP*", priority=1, warning=5.0)
GONE = reaction("gone", "dpu_cs/gone", priority=2, warning=1.0)
TABLE = ReactionTable((HOT, GONE))


def alarm(name: str, priority: str = "alarm", active: bool = True) -> dict[str, Any]:
    return {"name": name, "priority": priority, "active": active}


def stages(events: list[ReactionEvent]) -> list[tuple[str, str]]:
    return [(event.reaction, event.stage) for event in events]


def begin(book: ReactionBook, name: str, now: float) -> None:
    book.apply(ReactionEvent(time=now, reaction=name, stage="running"))


def end(book: ReactionBook, name: str, now: float, stage: str = "done") -> None:
    book.apply(ReactionEvent(time=now, reaction=name, stage=stage))


def test_announced_then_run_once_as_long_as_the_alarm_stays() -> None:
    book = ReactionBook()
    first = book.look(TABLE, [alarm("TRP5")], 100.0)
    assert stages(first.events) == [("hot", "announced")]
    assert first.events[0].due == 105.0
    assert first.run is None
    assert book.look(TABLE, [alarm("TRP5")], 104.9).run is None
    assert book.look(TABLE, [alarm("TRP5")], 105.0).run is HOT
    begin(book, "hot", 105.0)
    assert book.look(TABLE, [alarm("TRP5"), alarm("TRP6")], 106.0).run is None
    end(book, "hot", 110.0)
    again = book.look(TABLE, [alarm("TRP5"), alarm("TRP6")], 200.0)
    assert (again.events, again.run) == ([], None)
    assert (
        book.look(TABLE, [alarm("TRP6")], 300.0).events == []
    )  # another sensor of the same reaction keeps it on


def test_a_new_alarm_is_reacted_to_anew() -> None:
    book = ReactionBook()
    book.look(TABLE, [alarm("TRP5")], 0.0)
    begin(book, "hot", 5.0)
    end(book, "hot", 6.0, "failed")
    over = book.look(TABLE, [alarm("TRP5", active=False)], 50.0)
    assert stages(over.events) == [("hot", "over")]
    assert stages(book.look(TABLE, [alarm("TRP5")], 60.0).events) == [("hot", "announced")]


def test_an_alarm_that_clears_in_the_warning_period_withdraws_it() -> None:
    book = ReactionBook()
    book.look(TABLE, [alarm("TRP5")], 0.0)
    gone = book.look(TABLE, [], 2.0)
    assert stages(gone.events) == [("hot", "withdrawn")]
    assert book.look(TABLE, [], 10.0).run is None


def test_a_milder_alarm_does_not_trigger_but_does_not_end_it_either() -> None:
    book = ReactionBook()
    assert book.look(TABLE, [alarm("TRP5", "warning")], 0.0).events == []
    book.look(TABLE, [alarm("TRP5")], 1.0)
    assert book.look(TABLE, [alarm("TRP5", "warning")], 2.0).events == []


def test_several_at_once_go_one_after_the_other_by_priority() -> None:
    book = ReactionBook()
    both = [alarm("dpu_cs/gone", "critical"), alarm("TRP5")]
    assert set(stages(book.look(TABLE, both, 0.0).events)) == {("hot", "announced"), ("gone", "announced")}
    assert (
        book.look(TABLE, both, 2.0).run is None
    )  # the more urgent one goes first, although it is warned of longer
    assert book.look(TABLE, both, 5.0).run is HOT
    begin(book, "hot", 5.0)
    assert book.look(TABLE, both, 6.0).run is None
    end(book, "hot", 9.0)
    assert book.look(TABLE, both, 9.5).run is GONE


def test_an_operator_cancels_with_a_reason_in_the_warning_period_only() -> None:
    book = ReactionBook()
    with pytest.raises(ValueError, match="not announced"):
        book.cancel("hot", "no", "ann", 0.0)
    book.look(TABLE, [alarm("TRP5")], 0.0)
    with pytest.raises(ValueError, match="say why"):
        book.cancel("hot", "  ", "ann", 1.0)
    event = book.cancel("hot", "sensor is broken", "ann", 1.0)
    assert (event.stage, event.by, event.text) == ("cancelled", "ann", "sensor is broken")
    assert book.look(TABLE, [alarm("TRP5")], 100.0).run is None
    with pytest.raises(ValueError, match="it is cancelled"):
        book.cancel("hot", "again", "ann", 2.0)
    assert stages(book.look(TABLE, [], 101.0).events) == [("hot", "over")]


def test_a_reaction_that_was_taken_out_of_the_table_ends_with_its_alarm() -> None:
    book = ReactionBook()
    book.look(TABLE, [alarm("TRP5")], 0.0)
    assert book.look(ReactionTable(), [alarm("TRP5")], 9.0).run is None
    assert stages(book.look(ReactionTable(), [], 10.0).events) == [("hot", "withdrawn")]


def test_the_next_life_knows_what_was_begun(tmp_path: Path) -> None:
    journal, book = ReactionJournal(tmp_path), ReactionBook()
    for event in book.look(TABLE, [alarm("TRP5"), alarm("dpu_cs/gone")], 0.0).events:
        journal.write(event)
    journal.write(ReactionEvent(time=5.0, reaction="hot", stage="running", pid=7, run_id="r1", obsid="X"))
    again = ReactionBook(read_reactions(tmp_path))
    assert again.running is not None
    assert (again.running.last.run_id, again.running.alarms) == ("r1", ["TRP5"])
    assert (
        again.look(TABLE, [alarm("TRP5"), alarm("dpu_cs/gone")], 9.0).run is None
    )  # not while that one is on
    end(again, "hot", 10.0, "interrupted")
    orders = again.look(TABLE, [alarm("TRP5"), alarm("dpu_cs/gone")], 11.0)
    assert orders.events == []  # announced is announced, and interrupted is not repeated
    assert orders.run is GONE


def test_a_torn_record_does_not_hide_the_others(tmp_path: Path) -> None:
    journal = ReactionJournal(tmp_path)
    journal.write(ReactionEvent(time=0.0, reaction="hot", stage="announced", alarms=["TRP5"], due=5.0))
    with (tmp_path / FOLDER / FILENAME).open("ab") as file:
        file.write(b'{"time":1.0,"rea')
    ReactionJournal(tmp_path).write(ReactionEvent(time=2.0, reaction="hot", stage="cancelled", by="ann"))
    assert [event.stage for event in read_reactions(tmp_path)] == ["announced", "cancelled"]
