"""`check_file`: everything that can be wrong with a TM dictionary is found in its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from egse.tmdict import TEMPLATE, TMDictionaryError, check_file
from egse.tmdict.check import KINDS

Row = dict[str, str]


def template_rows() -> tuple[list[str], list[Row]]:
    reader = csv.DictReader(io.StringIO(TEMPLATE.read_text(encoding="utf-8")), delimiter=";")
    return list(reader.fieldnames or ()), list(reader)


def write(path: Path, header: list[str], rows: list[Row], encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, header, delimiter=";", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_dictionary_of_this_package_is_clean() -> None:
    assert check_file(TEMPLATE) == []


def change(column: str, value: str, name: str = "GOGSE_ATT_LVL") -> Callable[[list[Row]], int]:
    """Returns a function that changes a cell and returns the number of the line that must be named."""

    def apply(rows: list[Row]) -> int:
        place = next(i for i, row in enumerate(rows) if row["CAM EGSE mnemonic"] == name)
        rows[place][column] = value
        return place + 2

    return apply


def move(name: str, to: str) -> Callable[[list[Row]], int]:
    def apply(rows: list[Row]) -> int:
        row = rows.pop(next(i for i, row in enumerate(rows) if row["CAM EGSE mnemonic"] == name))
        place = next(i for i, other in enumerate(rows) if other["CAM EGSE mnemonic"] == to)
        rows.insert(place + 1, row)
        return place + 3

    return apply


def without_origins(rows: list[Row]) -> int:
    for place in ("CSL", "SRON", "IAS", "INTA"):
        line = change(f"Origin of synoptics at {place}", "", "GSYN_OGSE_LAMP")(rows)
    return line


@pytest.mark.parametrize(
    ("alter", "kind", "said"),
    [
        (
            change("CAM EGSE mnemonic", "GOGSE_ATT_LVL", "GOGSE_ATT_FWELL"),
            "duplicate",
            "GOGSE_ATT_LVL stands in line",
        ),
        (change("Original name in EGSE", "lamp"), "duplicate", "original name lamp of OGSE stands in line"),
        (change("CAM EGSE mnemonic", "OGSE_ATT_LVL"), "prefix", "must begin with GOGSE_"),
        (change("CAM EGSE mnemonic", "DUMMY_ON", "GCSL1_DUMMY_ON"), "prefix", "none of the prefixes"),
        (change("CAM EGSE mnemonic", "GOGSE_LVL_B"), "metric", "takes B for a unit or a type"),
        (change("CAM EGSE mnemonic", "GOGSE_COUNTER"), "metric", "takes COUNTER for a unit"),
        (change("CAM EGSE mnemonic", ""), "prefix", "no CAM EGSE mnemonic"),
        (change("Storage mnemonic", ""), "mnemonic", "GOGSE_ATT_LVL has no storage mnemonic"),
        (change("Name of corresponding timestamp", ""), "timestamp", "GOGSE_ATT_LVL has no name of"),
        (change("unit cal1", "Volt"), "unit", "'Volt', did you mean 'Volts'"),
        (change("MON screen", ""), "screen", "GOGSE_ATT_LVL has no MON screen"),
        (move("GSRON_LSCI336_TEMPA", "GOGSE_ATT_LVL"), "order", ""),
        (move("GSRON_LSCI336_TEMPA", "GINTA_DUMMY_ON"), "order", "(SRON) stands after rows of INTA"),
        (without_origins, "origin", "the synoptic GSYN_OGSE_LAMP has no origin"),
        (change("Origin of synoptics at IAS", "GIAS_X"), "origin", "is no synoptic but has an origin at IAS"),
        (
            change("Origin of synoptics at IAS", "GSRON_X", "GSYN_TRP1"),
            "origin",
            "of GSYN_TRP1 at IAS is one of SRON",
        ),
        (change("MAX nonops", "-1"), "limits", "MIN nonops 0 of GOGSE_ATT_LVL is above MAX nonops -1"),
        (change("MAX ops", "2"), "limits", "MAX ops 2 of GOGSE_ATT_LVL is outside"),
        (change("MIN ops", "-3"), "limits", "MIN ops -3 of GOGSE_ATT_LVL is outside"),
        (change("slope a cal1", "1,5"), "number", "'1,5' (a decimal comma?)"),
        (change("MAX ops", "n/a"), "number", "MAX ops of GOGSE_ATT_LVL is no number: 'n/a'"),
        (change("offset b cal1", "nan"), "number", "offset b cal1 of GOGSE_ATT_LVL"),
    ],
)
def test_each_mistake_is_found_in_its_line(
    tmp_path: Path, alter: Callable[[list[Row]], int], kind: str, said: str
) -> None:
    header, rows = template_rows()
    line = alter(rows)
    path = write(tmp_path / "tm.csv", header, rows)
    findings = check_file(path)
    matching = [finding for finding in findings if finding.kind == kind and said in finding.message]
    if kind == "order" and not said:  # moved up: what follows it is out of its place
        assert matching[0].line == line + 1
        return
    assert line in [finding.line for finding in matching], [str(finding) for finding in findings]
    assert str(matching[0]).startswith(f"{path}:{matching[0].line}: {kind}: ")
    assert all(finding.kind in KINDS for finding in findings)


def test_columns(tmp_path: Path) -> None:
    header, rows = template_rows()
    header[header.index("unit cal1")] = "unit"
    findings = check_file(write(tmp_path / "tm.csv", header, rows))
    assert [(f.line, f.kind) for f in findings] == [(1, "column"), (1, "column")]
    assert "no column 'unit cal1'" in findings[0].message
    assert "did you mean 'unit cal1'" in findings[1].message
    text = TEMPLATE.read_text(encoding="utf-8").splitlines()
    text[3] += ";one;more"
    (tmp_path / "tm.csv").write_text("\n".join(text), encoding="utf-8")
    (finding,) = check_file(tmp_path / "tm.csv")
    assert (finding.line, finding.message) == (4, "22 cells, the header has 20")


def test_further_columns_with_origins_are_welcome(tmp_path: Path) -> None:
    header, rows = template_rows()
    header.insert(6, "Origin of synoptics at CSL2")
    for row in rows:
        row["Origin of synoptics at CSL2"] = row["Origin of synoptics at CSL"].replace("GCSL_", "GCSL2_")
    assert check_file(write(tmp_path / "tm.csv", header, rows)) == []


def test_the_line_is_right_behind_a_cell_of_several_lines(tmp_path: Path) -> None:
    header, rows = template_rows()
    rows[0]["Comment"] = "one\ntwo\nthree"
    rows[1]["unit cal1"] = "Furlongs"
    (finding,) = check_file(write(tmp_path / "tm.csv", header, rows))
    assert (finding.line, finding.kind) == (5, "unit")


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "tm.csv"
    path.write_text("")
    assert [finding.kind for finding in check_file(path)] == ["file"]
    path.write_text("a;b\n1;2\n")
    assert {finding.kind for finding in check_file(path)} == {"column"}
    with pytest.raises(TMDictionaryError, match="cannot be read"):
        check_file(tmp_path / "missing.csv")


def test_an_older_encoding(tmp_path: Path) -> None:
    header, rows = template_rows()
    rows[5]["unit cal1"] = "Ampère"
    assert check_file(write(tmp_path / "tm.csv", header, rows, "cp1252")) == []
