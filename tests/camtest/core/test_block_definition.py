"""The rules for building blocks that hold when the function is defined (chapter 21 of the manual)."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest

from camtest.core.blocks import BlockDefinition, BuildingBlockError
from camtest.core.exec import building_block, definition_of
from egse.command import Range, Unit


def module_from(folder: Path, source: str, name: str = "blocks_under_test") -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text("from camtest.core.exec import building_block\n" + textwrap.dedent(source))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_function_is_marked_and_keeps_its_signature() -> None:
    @building_block
    def heat(power: float, name: str = None) -> int:  # type: ignore[assignment]  # noqa: RUF013
        """Heats."""
        return 1

    assert heat.BUILDING_BLOCK_FUNC is True  # type: ignore[attr-defined]
    assert heat.__name__ == "heat"
    assert heat.__doc__ == "Heats."
    assert list(definition_of(heat).signature.parameters) == ["power", "name"]


def test_brackets_are_refused_with_an_example() -> None:
    with pytest.raises(TypeError, match="without brackets"):

        @building_block()
        def heat() -> None: ...

    with pytest.raises(TypeError, match="without brackets"):
        building_block("heat")  # type: ignore[arg-type]


@pytest.mark.parametrize("default", ["20.0", "''", "0", "False", "[]"])
def test_defaults_other_than_none_are_refused(tmp_path: Path, default: str) -> None:
    with pytest.raises(BuildingBlockError) as info:
        module_from(tmp_path, f"@building_block\ndef heat(power, kind={default}): ...\n")
    message = str(info.value)
    assert "`heat`" in message
    assert "`kind`" in message
    assert f"{tmp_path / 'blocks_under_test.py'}:2" in message
    assert "None" in message


@pytest.mark.parametrize("signature", ["*args", "**options", "a, /"])
def test_parameters_that_cannot_be_named_are_refused(signature: str, tmp_path: Path) -> None:
    with pytest.raises(BuildingBlockError, match="cannot be given by name"):
        module_from(tmp_path, f"@building_block\ndef heat({signature}): ...\n")


def test_coroutines_and_generators_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildingBlockError, match="plain function"):
        module_from(tmp_path, "@building_block\nasync def heat(): ...\n")
    with pytest.raises(BuildingBlockError, match="plain function"):
        module_from(tmp_path, "@building_block\ndef heat():\n    yield 1\n")


def test_yaml_defaults_are_read_beside_the_module(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "heat.yaml").write_text("Args:\n  power: 2.5\n")
    module = module_from(tmp_path, "@building_block\ndef heat(power: float, time: float): ...\n")
    block = definition_of(module.heat)
    assert block.arguments({"time": 1.0}) == {"power": 2.5, "time": 1.0}
    assert block.arguments({"time": 1.0, "power": 3.0}) == {"power": 3.0, "time": 1.0}
    with pytest.raises(BuildingBlockError, match="needs `time`"):
        block.arguments({})


@pytest.mark.parametrize(
    ("content", "message"),
    [("Args:\n  powr: 1\n", "Did you mean `power`"), ("power: 1\n", "must hold the key `Args:`")],
)
def test_wrong_yaml_defaults_are_refused_at_import(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "heat.yaml").write_text(content)
    with pytest.raises(BuildingBlockError, match=message) as info:
        module_from(tmp_path, "@building_block\ndef heat(power): ...\n")
    assert "heat.yaml" in str(info.value)


def source_id(tmp_path: Path, source: str) -> str:
    return definition_of(module_from(tmp_path, source).heat).bbid


def test_bbid_changes_with_the_code_only(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).mkdir()
    first = source_id(tmp_path / "a", "@building_block\ndef heat(power):\n    return power + 1\n")
    same = source_id(
        tmp_path / "b",
        '\n\n@building_block\ndef heat( power ):\n    """Heats."""\n    # comment\n\n    return (power + 1)\n',
    )
    other = source_id(tmp_path / "c", "@building_block\ndef heat(power):\n    return power + 2\n")
    assert len(first) == 16
    assert first == same
    assert first != other


def test_bbid_is_the_same_on_every_machine(tmp_path: Path) -> None:
    # A fixed value: it must not change with the Python version or the place of the file.
    assert (
        source_id(tmp_path, "@building_block\ndef heat(power):\n    return f'{power:.1f} {power:>{8}}'\n")
        == "3bf003e0b92f5f8b"
    )


def test_describe_has_what_forms_and_documentation_need() -> None:
    def heat(power: Annotated[float, Range(0, 5), Unit("W")]) -> None:
        """Heats."""

    described = BlockDefinition(heat).describe()
    assert described["doc"] == "Heats."
    assert described["parameters"] == [
        {"name": "power", "type": "float", "unit": "W", "range": "[0, 5]", "default": None}
    ]


def test_annotations_that_cannot_be_resolved_are_named() -> None:
    def heat(power: Nonsense) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(BuildingBlockError, match=r"`heat`.*Nonsense"):
        BlockDefinition(heat).arguments({"power": 1})


def check(hint: Any, value: Any) -> Any:
    def heat(x: Any) -> None: ...

    heat.__annotations__["x"] = hint
    return BlockDefinition(heat).arguments({"x": value})["x"]


def test_values_are_checked_against_their_annotation() -> None:
    assert check(float, 3) == 3
    assert check(list[int], (1, np_int(2))) == [1, 2]
    assert check(float | None, None) is None
    for hint, value in ((float, "3"), (int, 3.5), (int, True), (bool, 1), (str, 3), (list[int], "12")):
        with pytest.raises(ValueError, match="`x`"):
            check(hint, value)
    with pytest.raises(ValueError, match=r"\[0, 5\]"):
        check(Annotated[float, Range(0, 5)], float("nan"))


def np_int(value: int) -> Any:
    import numpy as np

    return np.int16(value)
