"""Differences of sequences, exports that stand alone, and the as-run sequence of an observation from its files."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from camtest.core.sequence import CommandSequence


def plan(factor: float = 0.1, polls: int = 2, *, lamp: bool = True, mode: str = "dry-run") -> CommandSequence:
    sequence = CommandSequence("light()", mode=mode, details={"site": "CSL1"})
    if lamp:
        block = sequence.add(None, "block", "lamp_on", start=0.0)
        sequence.add(block, "command", "power_on", start=0.1, device="ogse_cs").end = 0.2
        for number in range(polls):
            query = sequence.add(block, "command", "is_on", start=1.0 + number, device="ogse_cs", query=True)
            query.result = number == polls - 1
        block.end = 1.0 + polls
    block = sequence.add(None, "block", "set_attenuation", start=5.0, arguments={"factor": factor})
    sequence.add(block, "command", "att_set", start=5.1, device="ogse_cs", arguments={"factor": factor})
    block.end = 6.0
    return sequence


def test_polls_and_times_make_no_difference() -> None:
    diff = plan(polls=2).diff(plan(polls=7))
    assert not diff
    assert "no differences" in str(diff)


def test_a_changed_argument_is_one_change_with_both_values() -> None:
    diff = plan(0.1).diff(plan(0.2))
    assert [(d.kind, d.entry.name, d.changes) for d in diff] == [
        ("changed", "set_attenuation", {"factor": (0.1, 0.2)}),
        ("changed", "att_set", {"factor": (0.1, 0.2)}),
    ]
    assert "~ set_attenuation(factor=0.2)  # factor: 0.1 -> 0.2" in str(diff)


def test_a_step_that_is_left_out_does_not_shift_the_rest() -> None:
    diff = plan().diff(plan(lamp=False))
    assert [(d.kind, d.entry.name) for d in diff] == [
        ("removed", "lamp_on"),
        ("removed", "power_on"),
        ("removed", "is_on"),
    ]
    assert {d.kind for d in plan(lamp=False).diff(plan())} == {"added"}
    kept = {entry.id for entry in plan(lamp=False)}
    assert kept <= {entry.id for entry in plan()}, "ids of the steps that stayed are the same"


def test_plan_against_as_run_leaves_queries_out_and_numbers_equal() -> None:
    as_run = plan(1, mode="operations")
    as_run.add(None, "command", "is_on", start=7.0, device="ogse_cs", query=True)
    assert not plan(1.0).diff(as_run)
    assert len(plan(1.0).diff(as_run, queries=True)) == 1


def test_a_command_that_failed_is_a_difference() -> None:
    other = plan()
    other.commands[0].error = "DeviceError: no"
    (difference,) = plan().diff(other)
    assert difference.changes == {"error": ("", "DeviceError: no")}


def test_red_lines_stand_out() -> None:
    run = plan(0.2, mode="operations")
    for entry in run.walk():
        if entry.name in ("set_attenuation", "att_set"):
            entry.red_line = "1 changed"
    diff = plan(0.1).diff(run)
    assert len(diff.red_lines) == 2
    assert diff.unexplained == []
    assert "[RED LINE 1 changed]" in str(diff)
    assert "2 of them red-lined" in diff.heading()
    assert "RED LINE 1 changed" in run.to_html()
    assert "RED LINE 1 changed" in run.to_markdown()


def test_views_of_the_diff() -> None:
    diff = plan(0.1).diff(plan(0.2))
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(diff)
    assert "factor: 0.1 -> 0.2" in console.export_text()
    assert "factor: 0.1 -&gt; 0.2" in diff._repr_html_()
    assert json.loads(json.dumps(diff.to_dict()))["differences"][0]["changes"] == {"factor": [0.1, 0.2]}


class Checker(HTMLParser):
    """Counts what is opened and closed, and what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone(tmp_path: Path) -> None:
    sequence = plan()
    sequence.entries[1].arguments["text"] = "<script>alert(1)</script>"
    html = sequence.export(tmp_path / "plan.html").read_text()
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    assert checker.fetched == []
    assert "<script>" not in html
    assert "dry-run" in checker.text
    assert "lamp_on()" in checker.text


def test_yaml_goes_there_and_back(tmp_path: Path) -> None:
    sequence = plan()
    path = sequence.export(tmp_path / "plan.yaml")
    assert yaml.safe_load(path.read_text())["mode"] == "dry-run"
    assert CommandSequence.read(path).to_dict() == sequence.to_dict()
    assert CommandSequence.read(sequence.export(tmp_path / "p.json")).to_dict() == sequence.to_dict()
    (tmp_path / "no.json").write_text("[]")
    with pytest.raises(ValueError, match="no exported command sequence"):
        CommandSequence.read(tmp_path / "no.json")


def test_exports_for_git_differ_only_where_something_was_changed(tmp_path: Path) -> None:
    """An argument is changed and the procedure becomes slower: two lines of the export differ, in Markdown."""
    slower = plan(0.2)
    for entry in slower.walk():
        entry.start += 3.0
    for suffix in ("md", "yaml", "json", "csv"):
        first = plan(0.1).export(tmp_path / f"a.{suffix}", times=False).read_text().splitlines()
        second = slower.export(tmp_path / f"b.{suffix}", times=False).read_text().splitlines()
        assert sum(a != b for a, b in zip(first, second, strict=True)) == 2, suffix


def test_timeline_has_a_lane_for_each_level_and_device() -> None:
    figure = plan().timeline()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["blocks 1", "ogse_cs"]
    assert axes.get_xlim()[1] == pytest.approx(plan().duration)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")


def test_rich_display_has_a_plain_text_form() -> None:
    assert repr(plan()).startswith("<CommandSequence 'light()' (dry-run): 2 building blocks")
    assert "<table" in plan()._repr_html_()
    assert "ogse_cs.power_on()" in str(plan())


# -- as run ----------------------------------------------------------------------------------------------------------


def lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def location(tmp_path: Path) -> Path:
    """An observation in which a block calls another one twice, with a deviation."""
    folder = tmp_path / "CSL1/obs/00007_CSL1"
    folder.mkdir(parents=True)
    t0 = 1767225600.0  # 2026-01-01T00:00:00
    info = {
        "run_id": "r",
        "test_id": 7,
        "site_id": "CSL1",
        "setup_id": 3,
        "start": "2026-01-01T00:00:00.000+0000",
        "function": "warm_up()",
        "details": {"mode": "simulator", "parameters": {"high": 20}},
    }
    (folder / "observation.json").write_text(json.dumps(info))

    def start(t: float, call: int, parent: int, block: str, **args: Any) -> dict[str, Any]:
        return {
            "t": t0 + t,
            "event": "start",
            "pid": 1,
            "call": call,
            "parent": parent,
            "block": f"lab.{block}",
            "args": args,
        }

    def end(t: float, call: int) -> dict[str, Any]:
        return {"t": t0 + t, "event": "end", "pid": 1, "call": call, "block": "x"}

    events = [
        {"t": t0, "event": "observation-start"},
        start(1.0, 1, 0, "cycle", high=20.0),
        start(1.1, 2, 1, "heat", temperature=20.0),
        end(2.0, 2),
        {"t": t0 + 2.1, "event": "red-line", "pid": 1, "call": 1, "number": 1, "kind": "added", "what": "cool", "reason": "hot", "by": "a", "second": "b"},
        start(2.2, 3, 1, "heat", temperature=5.0),
        {"t": t0 + 2.9, "event": "failed", "pid": 1, "call": 3, "block": "x", "error": "ValueError: no"},
        {"t": t0 + 3.0, "event": "red-line-end", "number": 1},
        end(3.1, 1),
    ]  # fmt: skip
    lines(folder / "00007_CSL1_events.jsonl", events)

    def command(t: float, name: str, block: str, **args: Any) -> dict[str, Any]:
        text = f"2026-01-01T00:00:0{int(t)}.{int(t % 1 * 1000):03d}+0000"
        return {
            "time": text,
            "t": t0 + t,
            "server": "lsci336_cs",
            "command": name,
            "args": args,
            "block": block,
            "status": "done",
        }

    lines(
        folder / "00007_CSL1_commands.jsonl",
        [
            command(1.2, "set_setpoint", "heat", value=20.0),
            command(2.3, "set_setpoint", "heat", value=5.0),
            command(3.05, "reset", "cycle"),
            command(3.5, "get_temperature", ""),
        ],
    )
    return tmp_path / "CSL1"


def test_as_run_sequence_of_an_observation(location: Path) -> None:
    sequence = CommandSequence.of_observation(7, location)
    assert (sequence.title, sequence.mode) == ("warm_up()", "simulator")
    assert sequence.details["parameters"] == {"high": 20}
    assert [entry.id for entry in sequence] == [
        "cycle",
        "cycle/heat",
        "cycle/heat/lsci336_cs.set_setpoint",
        "cycle/added",
        "cycle/heat#2",
        "cycle/heat#2/lsci336_cs.set_setpoint",
        "cycle/lsci336_cs.reset",
        "lsci336_cs.get_temperature",
    ]
    assert sequence.commands[1].arguments == {"value": 5.0}
    assert [entry.name for entry in sequence.red_lines] == ["added", "heat", "set_setpoint"]
    assert sequence.blocks[2].error == "ValueError: no"
    assert sequence.blocks[1].start == pytest.approx(1.1)


def test_as_run_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "obs").mkdir()
    with pytest.raises(LookupError):
        CommandSequence.of_observation(7, tmp_path)
