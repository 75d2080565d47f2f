"""Changing YAML text: what is not changed stays as it was written, to the byte."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egse.yamledit import edit_yaml, without_header
from egse.yamlfile import format_yaml, parse_yaml

TEXT = """\
# Bench of room 2.
Setup:
  site_id: CSL2     # the room
  gse:
    hexapod:        # Symétrie
      device: "class//egse.hexapod.PunaProxy"
      ID: 172543
      granularity: 1.000000E-01   # s

      offsets: [1.0e-3, 2e1,
                3.50]
      limits: {low: -1e1, high: 010, 'note': "a, b"}
    # two more stages to come
    stages:
    table:
    - {a: 1, b: 2}
    - c: 3   # three
      d: 4
  text: |
    one
    two

  history:
    0: begin
    '1': "second"  # quoted
"""


def changed_lines(old: str, new: str) -> list[str]:
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    return [line.rstrip() for line in lines if line[0] in "+-"]


def edited(change: Callable[[Any], object], text: str = TEXT) -> str:
    data = parse_yaml(text)
    change(data["Setup"])
    result = edit_yaml(text, data)
    assert result is not None
    assert parse_yaml(result) == data
    return result


def put(path: str, value: Any) -> Callable[[Any], object]:
    *above, name = path.split(".")

    def change(data: Any) -> None:
        for key in above:
            data = data[int(key) if isinstance(data, list) else key]
        data[int(name) if isinstance(data, list) else name] = value

    return change


def test_nothing_changed_gives_the_same_text() -> None:
    assert edited(lambda data: None) == TEXT


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (
            "site_id",
            "CSL1",
            ["-   site_id: CSL2     # the room", "+   site_id: CSL1     # the room"],
        ),
        ("gse.hexapod.ID", 0.5, ["-       ID: 172543", "+       ID: 5.000000E-01"]),
        ("gse.hexapod.offsets.1", 7, ["-       offsets: [1.0e-3, 2e1,", "+       offsets: [1.0e-3, 7,"]),
        (
            "gse.hexapod.limits.note",
            "x, y",
            [
                "-       limits: {low: -1e1, high: 010, 'note': \"a, b\"}",
                "+       limits: {low: -1e1, high: 010, 'note': 'x, y'}",
            ],
        ),
        (
            "gse.hexapod.limits.new",
            {"x": [1]},
            [
                "-       limits: {low: -1e1, high: 010, 'note': \"a, b\"}",
                "+       limits: {low: -1e1, high: 010, 'note': \"a, b\", new: {x: [1]}}",
            ],
        ),
        ("gse.stages", {"ID": 7, "x": {}}, ["+       ID: 7", "+       x: {}"]),
        ("gse.stages", 3, ["-     stages:", "+     stages: 3"]),
        ("gse.table.1.c", "no", ["-     - c: 3   # three", "+     - c: 'no'   # three"]),
        ("gse.hexapod.new", [1, "x"], ["+       new: [1, x]"]),
        ("text", "one line", ["+   text: one line", "-   text: |", "-     one", "-     two"]),
        ("history.2", "third: new", ["+     2: 'third: new'"]),
        (
            "new",
            {"a": {"b": "x\ny\n"}},
            ["+   new:", "+     a:", "+       b: |", "+         x", "+         y"],
        ),
    ],
)
def test_only_the_changed_value_differs(path: str, value: Any, lines: list[str]) -> None:
    assert changed_lines(TEXT, edited(put(path, value))) == lines


@pytest.mark.parametrize(
    ("branch", "key", "lines"),
    [
        ("gse", "stages", ["-     stages:"]),
        ("history", "1", ["-     '1': \"second\"  # quoted"]),
        (
            "limits",
            "low",
            [
                "-       limits: {low: -1e1, high: 010, 'note': \"a, b\"}",
                "+       limits: {high: 010, 'note': \"a, b\"}",
            ],
        ),
        (
            "limits",
            "note",
            [
                "-       limits: {low: -1e1, high: 010, 'note': \"a, b\"}",
                "+       limits: {low: -1e1, high: 010}",
            ],
        ),
    ],
)
def test_deletion(branch: str, key: str, lines: list[str]) -> None:
    def change(data: Any) -> None:
        places = {"limits": data["gse"]["hexapod"]["limits"], "gse": data["gse"], "history": data["history"]}
        del places[branch][key]

    assert changed_lines(TEXT, edited(change)) == lines


def test_several_changes_at_once() -> None:
    def change(data: Any) -> None:
        data["gse"]["hexapod"]["last"] = 1
        data["gse"]["new"] = {"x": 1}
        del data["gse"]["table"]
        data["history"]["2"] = "x"
        data["end"] = True

    result = edited(change)
    for kept in (
        "# Bench of room 2.",
        "# the room",
        "# Symétrie",
        "1.000000E-01   # s",
        "# two more stages",
        "# quoted",
    ):
        assert kept in result


def test_a_branch_that_is_replaced_is_written_anew() -> None:
    result = edited(lambda data: data.update(gse={"only": {"x": 1}}))
    assert "  gse:\n    only:\n      x: 1\n  text: |" in result
    assert edited(lambda data: data["gse"]["table"].append({"z": [1]})).count("# Symétrie") == 1
    assert parse_yaml(edited(lambda data: data.clear(), "Setup:\n  a: 1 # x\n")) == {"Setup": {}}


def test_aliases_are_not_broken() -> None:
    text = "Setup:\n  a: &x {v: 1}\n  b: *x\n  c:\n    <<: *x\n    w: 2\n"
    data = parse_yaml(text)
    assert edit_yaml(text, data) == text
    data["Setup"]["a"]["v"] = 2
    result = edit_yaml(text, data)
    assert result is None or parse_yaml(result) == data


def test_not_a_mapping() -> None:
    assert edit_yaml("[1]", {"a": 1}) is None
    assert edit_yaml("a: [", {"a": 1}) is None
    with pytest.raises(TypeError, match=r"a\.b: a value of type object"):
        edit_yaml("a: {b: 1}", {"a": {"b": object()}})


def test_headers_of_programs_go_those_of_people_stay() -> None:
    header = "# Setup generated by:\n#\n#    x()\n#\n# created on 2023\n\n"
    assert without_header(header + "# mine\nSetup: {}\n", ["# Setup generated by:"]) == "# mine\nSetup: {}\n"
    assert without_header("# mine\n" + header, ["# Setup generated by:"]) == "# mine\n" + header
    assert without_header("# Setup generated by:\n# x\nSetup:\n", ["# Setup generated by:"]) == "Setup:\n"


_KEYS = st.sampled_from(["a", "b", "c", "0", "no", "a b"])
_SCALARS = st.sampled_from(
    [None, True, 1, 0.5, -0.0, "", "x", "1e3", "a, b", "x: y", "#", "é", "l\nm\n", " ", "'"]
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_DOCUMENTS = st.dictionaries(_KEYS, _VALUES, max_size=4)


@given(_DOCUMENTS, _DOCUMENTS, st.booleans())
@settings(max_examples=60)
def test_whatever_is_changed_the_result_says_it(old: dict[str, Any], new: dict[str, Any], flow: bool) -> None:
    text = format_yaml({"Setup": old})
    mixed = {**copy.deepcopy(old), **new} if flow else new
    result = edit_yaml(text, {"Setup": mixed})
    assert result is not None, text
    assert parse_yaml(result) == {"Setup": mixed}
