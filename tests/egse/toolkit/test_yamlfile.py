from __future__ import annotations

import datetime
import enum
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from egse.yamlfile import YAMLFileError, format_yaml, line_of, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("1.0e3", 1000.0),
        ("-1e-3", -0.001),
        ("1.000000E-01", 0.1),
        ("+2E+2", 200.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", -math.inf),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("0x1F", 31),
        ("0b101", 5),
        ("0o17", 15),
        ("1_000", 1000),
        ("12:30:45", "12:30:45"),
        ("1:30.5", "1:30.5"),
        ("010", "010"),
        ("00084", "00084"),
        ("089", "089"),
        ("e3", "e3"),
        ("1.2.3", "1.2.3"),
        ("2026.47.0+CGSE", "2026.47.0+CGSE"),
        ("'1e3'", "1e3"),
        ("True", True),
        ("yes", True),
        ("", None),
        ("2022-06-01T07:47:25.672+0000", "2022-06-01T07:47:25.672+0000"),
        ("2026-01-02", datetime.date(2026, 1, 2)),
    ],
)
def test_scalars(text: str, value: object) -> None:
    read = parse_yaml(f"a: {text}")["a"]
    assert read == value
    assert type(read) is type(value)


def test_keys_are_text_as_written() -> None:
    assert parse_yaml("no: 1\n0: 2\n1e3: 3\n~: 4") == {"no": 1, "0": 2, "1e3": 3, "~": 4}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", r"f\.yaml, line 3, column 1: the key 'a' was already given in line 1"),
        ("a: [1\nb: 2", r"f\.yaml, line 2"),
        ("a: &x {b: *x}", "an alias contains itself"),
        ("? [1]\n: 2", "a key must be a single text"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: 1\n---\nb: 2", "single document"),
        ("a: 0x_", r"f\.yaml"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(YAMLFileError, match=problem):
        parse_yaml(text, "f.yaml")


@pytest.mark.parametrize("depth", [2000, 100_000])
def test_deep_nesting_is_an_error_not_a_crash(depth: int) -> None:
    with pytest.raises(YAMLFileError):
        parse_yaml("[" * depth + "]" * depth)


def test_alias_explosion_is_refused() -> None:
    lines = ["a0: &a0 [1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(YAMLFileError, match="more than 1000000 values"):
        parse_yaml("\n".join(lines))


def test_merge_keys_work() -> None:
    assert parse_yaml("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3")["c"] == {"x": 1, "y": 3}


def test_no_text_file(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(YAMLFileError, match="not UTF-8"):
        read_yaml(tmp_path / "x.yaml")


def test_line_of() -> None:
    text = "Setup:\n  gse:\n    x:\n      ID: 1\n"
    assert line_of(text, ["Setup", "gse", "x", "ID"]) == 4
    assert line_of(text, ["Setup", "gse", "nothing"]) == 2
    assert line_of(text, ["nothing"]) is None
    assert line_of(": : :", ["a"]) is None


class _Colour(enum.Enum):
    RED = "red"


def test_writing() -> None:
    data = {
        "f": 0.1,
        "i": 3,
        "s": "010",
        "exp": "1e3",
        "t": "12:30:45",
        "yes": "no",
        "lines": "a\nb\n",
        "list": [1, 2.5, "x"],
        "0": "history",
        "np": np.float64(0.25),
        "array": np.arange(3),
        "path": Path("/x/y"),
        "enum": _Colour.RED,
        "empty": {},
        "tuple": (1, 2),
        "many": 0.1 + 0.2,
        "nan": math.nan,
    }
    text = format_yaml(data)
    assert "f: 1.000000E-01" in text
    assert "list: [1, 2.500000E+00, x]" in text
    assert "\n0: history" in text
    again = parse_yaml(text)
    assert again["many"] == 0.1 + 0.2
    assert math.isnan(again.pop("nan"))
    assert (again["np"], again["array"], again["path"], again["enum"]) == (0.25, [0, 1, 2], "/x/y", "red")
    assert (again["s"], again["exp"], again["t"], again["lines"]) == ("010", "1e3", "12:30:45", "a\nb\n")
    assert yaml.safe_load(text)["t"] == "12:30:45"


def test_a_value_without_yaml_form_is_named() -> None:
    with pytest.raises(TypeError, match=r"gse\.x\.1: a value of type object"):
        format_yaml({"gse": {"x": [1, object()]}})


_TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), _TREES, max_size=4))
def test_round_trip(data: dict[str, object]) -> None:
    assert parse_yaml(format_yaml(data)) == data
