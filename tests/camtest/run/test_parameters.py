"""Parameters of notebooks are checked, all at once, before anything starts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from camtest.run.parameters import (
    ParameterError,
    check_parameters,
    convert_texts,
    notebook_parameters,
)

CELL = """\
from typing import Annotated, Literal

n_cycles: int = 2  # number of readout cycles
attenuation: Annotated[float, Range(0, 1), Unit("")] = 0.01  # transmission
temperature: Annotated[float, Unit("degC")]  # setpoint, must be given
side: Literal["E", "F", "BOTH"] = "BOTH"
order: list[int] = [1, 2, 3, 4]
comment: str | None = None
camera: str = None  # no default although it looks like one
old = 3  # type: int papermill's way
guessed = 1.5
flag: bool = False
computed = 2 * 3
"""
GIVEN = {"temperature": -70.0, "camera": "chimay"}


def notebook(source: str = CELL) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), cell])


def errors(**given: Any) -> list[str]:
    with pytest.raises(ParameterError) as info:
        check_parameters(notebook(), {**GIVEN, **given}, "sft.ipynb")
    return info.value.errors


def test_declarations_are_read_without_executing_the_cell() -> None:
    known = notebook_parameters(notebook(CELL + "\n1/0\n"))
    assert list(known) == [
        *("n_cycles", "attenuation", "temperature", "side", "order", "comment", "camera", "old", "guessed"),
        *("flag", "computed"),
    ]
    assert known["n_cycles"].help == "number of readout cycles"
    assert known["attenuation"].definition.limits is not None
    assert str(known["attenuation"].definition.limits) == "[0, 1]"
    assert known["temperature"].definition.unit == "degC"
    assert [name for name, parameter in known.items() if parameter.required] == ["temperature", "camera"]
    assert known["old"].type_name == "int"
    assert known["old"].help == "papermill's way"
    assert known["computed"].default == "2 * 3"


def test_values_over_defaults() -> None:
    values = check_parameters(notebook(), {**GIVEN, "n_cycles": 5, "guessed": 2, "comment": None})
    assert values == {
        "n_cycles": 5,
        "attenuation": 0.01,
        "temperature": -70.0,
        "side": "BOTH",
        "order": [1, 2, 3, 4],
        "comment": None,
        "camera": "chimay",
        "old": 3,
        "guessed": 2,
        "flag": False,
        "computed": "2 * 3",
    }


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"n_cycle": 3}, "`n_cycle` is not a parameter of this notebook. Did you mean `n_cycles`?"),
        ({"n_cycles": "abc"}, "`n_cycles` expected a whole number, got 'abc'"),
        ({"n_cycles": 2.5}, "`n_cycles` expected a whole number"),
        ({"n_cycles": True}, "`n_cycles` expected a whole number"),
        ({"n_cycles": None}, "`n_cycles` must have a value"),
        ({"temperature": "-70"}, "`temperature` [degC] expected a number"),
        ({"attenuation": 2.0}, "`attenuation` must be in [0, 1]"),
        ({"attenuation": "0.5"}, "`attenuation` expected a number"),
        ({"side": "G"}, "`side` expected one of 'E', 'F', 'BOTH'"),
        ({"order": [1, "2"]}, "`order` expected a whole number"),
        ({"order": "1,2"}, "`order` expected a list"),
        ({"flag": 1}, "`flag` expected True or False"),
        ({"old": "x"}, "`old` expected a whole number"),
        ({"guessed": "x"}, "`guessed` expected a number"),
        ({"camera": None}, "`camera` must have a value"),
    ],
)
def test_what_is_refused(given: dict[str, Any], part: str) -> None:
    (error,) = errors(**given)
    assert part in error


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 3},
        {"guessed": 2},
        {"comment": "text"},
        {"side": "E"},
        {"order": (1, 2)},
        {"computed": "any"},
    ],
)
def test_what_is_accepted(given: dict[str, Any]) -> None:
    name, value = next(iter(given.items()))
    assert check_parameters(notebook(), {**GIVEN, **given})[name] == (
        list(value) if name == "order" else value
    )


def test_all_errors_at_once() -> None:
    with pytest.raises(ParameterError) as info:
        check_parameters(notebook(), {"n_cycle": 3, "flag": "yes"}, "sft.ipynb")
    message = info.value.message
    assert message.startswith("sft.ipynb: 4 parameters are wrong, nothing was started")
    for part in ("n_cycle", "flag", "`temperature` [degC]", "`camera` (str) is missing"):
        assert part in message
    assert info.value.exit_code == 2


def test_notebook_without_parameters_takes_none() -> None:
    bare = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    assert check_parameters(bare, {}) == {}
    with pytest.raises(ParameterError, match="`x` is not a parameter"):
        check_parameters(bare, {"x": 1})
    assert check_parameters(bare, {"PAPERMILL_INPUT_PATH": "a"}) == {"PAPERMILL_INPUT_PATH": "a"}


def test_broken_parameters_cell_is_reported() -> None:
    with pytest.raises(ValueError, match="not valid Python"):
        notebook_parameters(notebook("x = = 1"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n_cycles", "3", 3),
        ("n_cycles", "three", "three"),
        ("temperature", "-7e1", -70.0),
        ("temperature", "3", 3.0),
        ("camera", "2026", "2026"),
        ("comment", "None", None),
        ("comment", "12", "12"),
        ("flag", "true", True),
        ("order", "[4, 3]", [4, 3]),
        ("side", "E", "E"),
        ("computed", "2.5", 2.5),
        ("unknown", "True", True),
    ],
)
def test_texts_of_the_command_line_become_the_declared_type(name: str, text: str, value: Any) -> None:
    assert convert_texts(notebook(), {name: text}) == {name: value}


OPTIONAL = """\
gain: Annotated[float, Range(1, 100), Unit("electron/adu")] | None = None  # may be left open
mode: Literal["fast", "slow"] | None = None
levels: list[Annotated[float, Range(0, 1)]] = [0.5]
"""


def test_ranges_and_units_also_hold_where_none_is_allowed() -> None:
    known = notebook_parameters(notebook(OPTIONAL))
    assert (known["gain"].definition.unit, str(known["gain"].definition.limits)) == (
        "electron/adu",
        "[1, 100]",
    )
    assert convert_texts(notebook(OPTIONAL), {"gain": "25", "mode": "None"}) == {"gain": 25.0, "mode": None}
    values = {"gain": None, "mode": None, "levels": [0.1, 1.0]}
    assert check_parameters(notebook(OPTIONAL), values) == values
    with pytest.raises(ParameterError) as info:
        check_parameters(notebook(OPTIONAL), {"gain": 500.0, "mode": "medium", "levels": [0.1, 2.0]})
    assert len(info.value.errors) == 3
    told = "\n".join(info.value.errors)
    for text in ("[1, 100] electron/adu", "'fast', 'slow'", "[0, 1]"):
        assert text in told, told


def test_what_runs_load_does_not_compile_a_grammar() -> None:
    """It took three quarters of the start of every command that has to do with runs."""
    code = (
        "import sys, camtest.run.runner, nbformat\n"
        "nbformat.validate(nbformat.v4.new_notebook())\n"
        "print([name for name in ('lark', 'rfc3987_syntax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
