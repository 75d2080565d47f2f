from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from camtest.core.sequence import CSV_COLUMNS, CommandSequence


@pytest.fixture
def sequence() -> CommandSequence:
    sequence = CommandSequence('warm_up(setpoint="20")', details={"site": "CSL1"})
    block = sequence.add(None, "block", "warm_up", start=0.0, arguments={"setpoint": 20.0})
    command = sequence.add(
        block,
        "command",
        "set_setpoint",
        start=0.01,
        arguments={"loop": 1, "value": 20.0},
        device="lsci336_cs",
    )
    command.end = 0.02
    query = sequence.add(block, "command", "get_temperature", start=0.02, device="lsci336_cs", source="model")
    query.result, query.end = 19.5, 60.0
    block.end = 60.0
    sequence.add(None, "block", "cool_down", start=60.0).error = "ValueError: no"
    return sequence


def test_ids_are_paths_of_names(sequence: CommandSequence) -> None:
    assert [entry.id for entry in sequence] == [
        "warm_up",
        "warm_up/lsci336_cs.set_setpoint",
        "warm_up/lsci336_cs.get_temperature",
        "cool_down",
    ]
    assert [entry.block for entry in sequence] == ["", "warm_up", "warm_up", ""]
    assert [entry.name for entry in sequence.commands] == ["set_setpoint", "get_temperature"]
    assert len(sequence) == 4
    assert sequence[1].call == "lsci336_cs.set_setpoint(loop=1, value=20.0)"
    assert sequence.duration == 60.0


def test_json_goes_there_and_back(sequence: CommandSequence) -> None:
    again = CommandSequence.from_json(sequence.to_json())
    assert again.to_dict() == sequence.to_dict()
    assert json.loads(sequence.to_json())["mode"] == "dry-run"
    with pytest.raises(ValueError, match="not a command sequence"):
        CommandSequence.from_json('{"schema": 99}')


def test_csv_has_one_line_for_each_entry(sequence: CommandSequence) -> None:
    rows = list(csv.DictReader(io.StringIO(sequence.to_csv())))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert json.loads(rows[1]["arguments"]) == {"loop": 1, "value": 20.0}
    assert [row["block"] for row in rows] == ["", "warm_up", "warm_up", ""]


def test_views_show_arguments_results_and_errors(sequence: CommandSequence) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(sequence.tree())
    console.print(sequence.table())
    for text in (console.export_text(), str(sequence), sequence.to_markdown()):
        assert "set_setpoint(loop=1, value=20.0)" in text
        assert "19.5" in text
        assert "ValueError: no" in text


def test_export_follows_the_suffix(sequence: CommandSequence, tmp_path: Path) -> None:
    for suffix, begin in ((".json", "{"), (".csv", "id,time_s"), (".md", "# warm_up"), (".txt", "warm_up")):
        assert sequence.export(tmp_path / f"sequence{suffix}").read_text().startswith(begin)
    with pytest.raises(ValueError, match=r"\.docx.*suffix"):
        sequence.export(tmp_path / "sequence.docx")


@pytest.mark.parametrize("mode", ["operations", "simulator", "dry-run"])
@pytest.mark.parametrize("suffix", ["json", "csv", "yaml", "md", "html", "txt"])
def test_the_mode_stands_in_every_export(tmp_path: Path, suffix: str, mode: str) -> None:
    sequence = CommandSequence("warm_up()", mode=mode)
    sequence.add(None, "block", "warm_up", start=0.0)
    text = sequence.export(tmp_path / f"sequence.{suffix}").read_text()
    others = {"operations", "simulator", "dry-run"} - {mode}
    body = text.partition("</style>")[2] or text  # the page knows the colours of all modes
    assert mode in body
    assert not any(other in body for other in others)


def test_tree_folds_polling(sequence: CommandSequence) -> None:
    poll = sequence.add(None, "block", "poll", start=60.0)
    for number in range(5):
        entry = sequence.add(poll, "command", "is_ready", start=61.0 + number, device="heater_cs")
        entry.result = number == 4
    sequence.add(poll, "command", "off", start=66.0, device="heater_cs")
    folded, unfolded = Console(width=200, file=io.StringIO()), Console(width=200, file=io.StringIO())
    folded.print(sequence.tree())
    unfolded.print(sequence.tree(folded=False))
    assert folded.file.getvalue().count("is_ready") == 1  # type: ignore[attr-defined]
    assert "-> True  (5 times, until 65.000 s)" in folded.file.getvalue()  # type: ignore[attr-defined]
    assert unfolded.file.getvalue().count("is_ready") == 5  # type: ignore[attr-defined]
    assert str(sequence).count("is_ready") == 5


def test_tree_folds_polling_of_two_things(sequence: CommandSequence) -> None:
    sequence.clear()
    poll = sequence.add(None, "block", "poll", start=0.0)
    for name in ("mode", "busy", "mode", "busy", "mode", "busy", "busy", "busy", "off", "mode"):
        sequence.add(poll, "command", name, start=1.0)
    console = Console(width=200, file=io.StringIO())
    console.print(sequence.tree())
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    names = [line.split(" s  ", 1)[1] for line in lines[1:]]
    assert names == [
        "poll()",
        *("mode()  (3 times, until 1.000 s)", "busy()  (3 times, until 1.000 s)"),
        *("busy()  (2 times, until 1.000 s)", "off()", "mode()"),
    ]
