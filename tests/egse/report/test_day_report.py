"""The report of a day and the hand-over page, from files alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from zlib import crc32

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from egse.cli import main
from egse.hk.files import Span
from egse.journal import EndRecord
from egse.monitor.alarms import PRIORITIES, AlarmBook, AlarmEvent, Condition
from egse.monitor.journal import FOLDER
from egse.report.alarms import AlarmHistory, alarm_events
from egse.report.charts import Band, Mark, Series, line_chart
from egse.report.commands import read_commands
from egse.report.day import Facts, day_report, handover_page
from egse.report.happenings import blocks, marks_between
from egse.report.logbook import Logbook
from egse.report.servers import presence, presences
from egse.report.span import Scope, duration_text
from egse.report.violations import judge
from egse.tmdict import Limits, Parameter

from .conftest import DAY, START, History

NOON = START + 43_200.0
VOID = {"meta", "br", "rect", "line", "path", "polyline"}


class Page(HTMLParser):
    """Reads a page: tables by the heading above them; counts tags that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.heading = ""
        self.references: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.tables.setdefault(self.heading, []).append([])
        if tag in ("td", "th"):
            self.tables[self.heading][-1].append("")
        if tag == "h2":
            self.heading = ""

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["h2"]:
            self.heading += data
        elif "td" in self.open or "th" in self.open:
            self.tables[self.heading][-1][-1] += data

    def rows(self, heading: str) -> list[list[str]]:
        return self.tables[heading][1:]


def test_a_day(site: Path) -> None:
    Logbook(site).add("not of this day")
    page = Page(day_report(Scope.of_day(site, DAY, NOON)))
    assert page.open == []
    assert page.references == []  # it stands alone
    seen = page.rows("Observations")
    assert [(row[0], row[1]) for row in seen] == [
        ("CSL1_00084_00001", "done"),
        ("CSL1_00084_00002", "failed"),
        ("CSL1_00084_00003", "open"),
    ]
    assert seen[1][6] == "the hexapod is <stuck>"
    first, second = page.rows("Alarms")
    assert first[1:5] == ["alarm", "GCSL1_X", "31.0 mm", "above 30 (alarm)"]
    assert first[7:9] == ["ann: on it", "hexapod stopped"]
    assert (second[2], second[5], second[7]) == ("dpu_cs/gone", "not cleared", "nobody")
    (limit,) = page.rows("Beyond limits")
    assert limit[:4] == ["GCSL1_X", "PUNA", "alarm", "..30 mm"]
    assert limit[5] == "2 of 31"
    commands = page.rows("Commands")
    assert commands[0][:4] == ["dpu_cs", "3", "1", "1"]
    assert {row[3] for row in commands[2:]} == {"failed", "outcome unknown"}
    assert "Logbook" not in page.tables


def test_gaps_are_what_was_missing(site: Path) -> None:
    scope = Scope.of_day(site, DAY, START + 700.0)
    facts = Facts.collect(scope)
    puna = next(one for one in facts.presences if one.mnemonic == "PUNA")
    assert [round(gap.end - gap.start) for gap in puna.gaps] == [
        310,
        90,
    ]  # the second: to the end of what is looked at
    assert 0.4 < puna.availability < 0.5
    assert not facts.summary[3][2]


def test_the_next_shift_sees_what_is_open_first(site: Path, history: History) -> None:
    now = history.clock.now()
    Logbook(site, history.clock).add("Hexapod: ask the maker", by="Ann", kind="instruction")
    page = Page(handover_page(Scope.of_last(site, 3600.0, now + 1.0)))
    (still,) = page.rows("Open alarms")
    assert still[2] == "dpu_cs/gone"
    assert [row[0] for row in page.rows("Running now")] == ["CSL1_00084_00003"]
    (entry,) = page.rows("Logbook of this shift")
    assert entry[1:4] == ["Ann", "instruction", "Hexapod: ask the maker"]
    headings = list(page.tables)
    assert headings.index("Open alarms") < headings.index("Observations")


def test_an_alarm_that_is_weeks_old_is_open_still(history: History) -> None:
    history.alarm("raised", priority="critical")
    history.clock.advance(20 * 86_400.0)
    history.close()
    (still,) = open_alarms(history)
    assert (still[0], still[2], still[5]) == ("2026-01-01 00:00:00", "GCSL1_X", "not cleared")


def test_an_alarm_that_got_worse_is_to_be_acknowledged_again(history: History) -> None:
    history.alarm("raised", priority="warning", limit="above 20 (warning)")
    history.alarm("acknowledged", by="ann")
    history.alarm("escalated", priority="critical", limit="above 30 (critical)")
    history.alarm("cleared", priority="critical")
    history.clock.advance(60.0)
    history.close()
    (still,) = open_alarms(history)
    assert (still[1], still[4], still[7]) == ("critical", "above 30 (critical)", "nobody")


def test_one_acknowledgement_is_enough_for_an_alarm_that_came_back(history: History) -> None:
    for event in ("raised", "cleared", "raised", "cleared"):
        history.clock.advance(1.0)
        history.alarm(event)
    history.clock.advance(1.0)
    (still,) = open_alarms(history)
    assert still[0].endswith("00:00:01 (2 times)")
    history.alarm("acknowledged", by="ann")
    history.close()
    facts = Facts.collect(Scope.of_last(history.site, 3600.0, history.clock.now()))
    assert facts.open_alarms == []
    assert [one.acknowledged is not None for one in facts.alarms] == [True, True]
    assert facts.summary[1] == ("alarms", "2; open or not acknowledged at the end: 0", True)


def test_an_alarm_that_nobody_acknowledged_is_open_in_the_next_shift(history: History) -> None:
    for event in ("raised", "cleared", "raised", "cleared"):
        history.clock.advance(1.0)
        history.alarm(event)
    history.clock.advance(86_400.0)
    history.close()
    facts = Facts.collect(Scope.of_last(history.site, 3600.0, history.clock.now()))
    assert [(one.name, one.count) for one in facts.open_alarms] == [("GCSL1_X", 2)]
    assert [(one.name, one.count) for one in facts.alarms] == [("GCSL1_X", 2)]


def test_a_day_of_the_past_shows_what_was_open_at_its_end(history: History) -> None:
    history.alarm("raised")
    history.clock.advance(2.5 * 86_400.0)
    for event in ("acknowledged", "cleared"):
        history.alarm(event)
    history.clock.advance(86_400.0)
    history.close()
    days = [
        Facts.collect(Scope.of_day(history.site, day, history.clock.now()))
        for day in ("20260102", "20260103", "20260104")
    ]
    assert [(len(one.alarms), len(one.open_alarms)) for one in days] == [(1, 1), (1, 0), (0, 0)]


def test_the_journal_of_alarms_is_only_read(site: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in [site / FOLDER, *(site / FOLDER).iterdir()]}
    handover_page(Scope.of_last(site, 3600.0, NOON))
    assert before == {path: path.stat().st_mtime_ns for path in [site / FOLDER, *(site / FOLDER).iterdir()]}
    (tmp_path / "CSL2/obs").mkdir(parents=True)
    handover_page(Scope.of_last(tmp_path / "CSL2", 3600.0, NOON))
    assert not (tmp_path / "CSL2" / FOLDER).exists()


def open_alarms(history: History) -> list[list[str]]:
    """Returns what the hand-over page of now shows as open."""
    return Page(handover_page(Scope.of_last(history.site, 3600.0, history.clock.now()))).rows("Open alarms")


def test_a_day_without_anything(tmp_path: Path) -> None:
    (tmp_path / "CSL1/obs").mkdir(parents=True)
    html = day_report(Scope.of_day(tmp_path / "CSL1", DAY, NOON))
    assert "No observation" in html
    assert "No housekeeping at all" in html


def test_days_that_are_none(tmp_path: Path) -> None:
    for day in ("2026-13-01", "tomorrowish", "20270101"):
        with pytest.raises(ValueError):
            Scope.of_day(tmp_path, day, NOON)


def test_on_the_command_line(site: Path, tmp_path: Path) -> None:
    run = CliRunner()
    made = run.invoke(main, ["report", "day", "2026-01-01", "--data-dir", str(site)])
    assert made.exit_code == 0, made.output
    path = Path(made.output.strip())
    assert path.parent == site / "reports"
    assert "CSL1_00084_00002" in path.read_text()
    printed = run.invoke(main, ["report", "day", "2026-01-01", "-o", "-", "--data-dir", str(site)])
    assert printed.output.startswith("<!DOCTYPE html>")
    other = run.invoke(main, ["report", "handover", "-o", str(tmp_path / "h.html"), "--data-dir", str(site)])
    assert other.exit_code == 0, other.output
    assert (tmp_path / "h.html").exists()
    assert run.invoke(main, ["report", "day", "someday", "--data-dir", str(site)]).exit_code == 1


# -- the pieces --------------------------------------------------------------------------------------------------------


def test_an_alarm_that_comes_back_is_another_episode(history: History) -> None:
    for event in ("raised", "cleared", "raised", "raised", "acknowledged"):
        history.clock.advance(1.0)
        history.alarm(event)
    found = AlarmHistory(alarm_events(history.site)).episodes
    assert [(one.cleared is None, one.count) for one in found] == [(False, 1), (True, 2)]
    history.close()


def test_an_episode_was_acknowledged_by_whom_it_was_first(history: History) -> None:
    told = [("raised", ""), ("cleared", ""), ("raised", ""), ("acknowledged", "ann"), ("escalated", "")]
    for event, by in [*told, ("acknowledged", "bob")]:
        history.alarm(event, by=by)
    history.close()
    found = AlarmHistory(alarm_events(history.site)).episodes
    assert [one.acknowledged and one.acknowledged.by for one in found] == ["ann", "bob"]


def test_commands_that_end_after_midnight_have_ended(history: History) -> None:
    history.clock.advance(86_399.5)
    history.command(1, "ogse_cs", "on", None)
    folder = history.site / "journal/ogse_cs"

    data = msgspec.json.encode(EndRecord("c1", START + 86_400.5, "done"))
    (folder / "20260102.journal").write_bytes(b"%08x %b\n" % (crc32(data), data))
    servers, mishaps = read_commands(Scope.of_day(history.site, DAY, START + 90_000.0))
    assert dict(servers[0].statuses) == {"done": 1}
    assert mishaps == []
    history.close()


def test_presence_counts_from_the_beginning_for_who_was_there_before() -> None:
    times = np.arange(100.0, 200.0, 10.0)
    span = Span(0.0, 200.0)
    assert presence("A", times, span).availability == 1.0
    assert presence("A", times, span, before=True).availability == pytest.approx(0.5)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["note", "note", "acknowledge", "tick"]),
        st.sampled_from("AB"),
        st.sampled_from(["", *PRIORITIES]),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=300)
@given(STEPS)
def test_the_page_and_the_monitor_agree_on_what_is_open(steps: list[tuple[str, str, str]]) -> None:
    book, events = AlarmBook(), list[AlarmEvent]()
    for number, (step, name, priority) in enumerate(steps):
        now = 10.0 * number
        if step == "note":
            events += book.note(Condition(name=name, priority=priority), now)
        elif step == "tick":
            events += book.tick(now)
        elif name in book:
            events += book.acknowledge(name, "ann", "seen", now)
    shown = [
        (
            one.name,
            one.priority,
            one.count,
            one.raised.time,
            one.cleared is None,
            one.acknowledged is not None,
        )
        for one in AlarmHistory(events).open
    ]
    assert shown == [
        (one.name, one.priority, one.count, one.raised, one.active, bool(one.acknowledged))
        for one in book.alarms()
    ]


def test_a_server_that_died_before_the_shift_is_missing_in_all_of_it(history: History) -> None:
    history.rows([1.0] * 6)
    died = history.clock.now()
    history.clock.advance(9 * 3600.0)
    history.rows([1.0] * 3)
    history.close()
    now = history.clock.now() + 1.0
    for scope in (Scope.of_last(history.site, 20.0, now), Scope.of_last(history.site, 8 * 3600.0, now)):
        assert [one.rows for one in presences(scope)] == [2 if scope.seconds == 20.0 else 3] * 2
    gone = Scope.of_last(history.site, 8 * 3600.0, died + 9 * 3600.0)
    assert [(one.rows, one.gaps, one.last) for one in presences(gone)] == [(0, (gone.span,), died)] * 2
    (_, text, well) = Facts.collect(gone).summary[3]
    assert (text.split(", ")[0], well) == ("PUNA (no row at all", False)


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("days", [1, 20])
def test_a_server_that_is_dead_the_whole_day_is_in_the_table(
    history: History, days: int, registered: bool
) -> None:
    history.rows([1.0] * 6)
    for _ in range(days):
        history.clock.advance(86_400.0)
        if registered:
            history.storage.tick()  # makes the files of the day, without a row
    history.close()
    page = Page(
        day_report(Scope.of_day(history.site, f"202601{days + 1:02d}", history.clock.now() + 86_400.0))
    )
    puna = page.rows("Availability")[0]
    assert [puna[0], *puna[2:]] == [
        "PUNA", "0.00 %", "0", "-", "-", "2026-01-01 00:01:00", "00:00:00 24 h 00 min"
    ]  # fmt: skip
    assert "PUNA (no row at all, the last one was at 2026-01-01 00:01:00)" in page.rows("In short")[3][1]


def test_a_server_that_was_away_in_the_night_counts_from_the_beginning_of_the_shift(history: History) -> None:
    history.rows([1.0] * 6)
    history.clock.advance(8 * 3600.0)
    begin = history.clock.now()
    history.clock.advance(3600.0)
    history.rows([1.0] * 6)
    history.close()
    scope = Scope.of_last(history.site, history.clock.now() - begin, history.clock.now())
    assert [[round(gap.end - gap.start) for gap in one.gaps] for one in presences(scope)] == [[3610]] * 2


def test_a_producer_that_never_stored_a_row_is_not_missed(history: History) -> None:
    for _ in range(2):
        history.clock.advance(86_400.0)
        history.storage.tick()
    history.close()
    scope = Scope.of_day(history.site, "20260102", history.clock.now())
    assert list((history.site / "daily/20260102").iterdir())
    assert presences(scope) == []


def test_a_value_counts_until_the_next_one() -> None:
    parameter = Parameter("X", unit="K")
    times = np.array([0.0, 10.0, 20.0, 1000.0])
    found = judge(parameter, times, np.array([1.0, 9.0, 9.0, 1.0]), Limits(None, 5.0), "warning")
    assert found is not None
    assert (found.samples, found.seconds) == (2, 10.0 + 60.0)
    assert judge(parameter, times, np.array([1.0, np.nan, 2.0, 1.0]), Limits(None, 5.0), "warning") is None


def test_blocks_that_have_not_ended_go_on() -> None:
    events = [
        {"t": 1.0, "event": "start", "block": "a", "call": 1, "pid": 7},
        {"t": 2.0, "event": "start", "block": "b", "call": 2, "pid": 7},
        {"t": 3.0, "event": "end", "call": 2, "pid": 7},
    ]
    assert {(b.label, b.start, b.end) for b in blocks(events, 9.0)} == {("a", 1.0, 9.0), ("b", 2.0, 3.0)}


def test_events_are_drawn_into_charts(site: Path) -> None:
    marks = marks_between(site, START, NOON)
    assert len(marks) == 4
    series = Series(np.array([START, START + 900.0]), np.array([1.0, 2.0]), "GCSL1_X")
    chart = line_chart(
        series,
        unit="mm",
        high=2.5,
        warn_high=1.5,
        marks=marks,
        bands=[Band(START - 5, START + 50, "an observation")],
    )
    assert chart.count("<path") == 4
    assert "GCSL1_X raised (alarm) above 30 (alarm)" in chart
    assert "an observation" in chart
    assert "beyond the limit 1.5" in chart
    assert all(-1 <= float(x) <= 760 for x in re.findall(r' x="([-\d.]+)"', chart))
    assert line_chart(series, marks=[Mark(NOON, "later")]).count("<path") == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (1.25, "1.2 s"), (75, "1 min 15 s"), (7260, "2 h 01 min")]
)
def test_lengths_of_time(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text
