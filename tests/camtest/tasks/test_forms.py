"""Values out of texts, fields out of type hints, all errors at once, and the call that comes of a form."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import ipywidgets
import pytest

from camtest.tasks import fields, register_field
from camtest.tasks.brackets import FieldError
from camtest.tasks.calls import NotCodeError, TaskCall, code_of, store_result
from camtest.tasks.catalogue import Catalogue, Task, read_catalogue
from camtest.tasks.exec import exec_ui
from camtest.tasks.form import ArgumentsForm, FormError, call_with, immediate_call
from camtest.tasks.types import ListList, TypeObject
from camtest.tasks.values import describe, parse
from egse.command import Range, Unit

Volts = Annotated[float, Range(0, 5), Unit("V")]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Wavelength(float):
    pass


class SliderField:
    def __init__(self, default: Any) -> None:
        self.widget = ipywidgets.FloatSlider(min=400.0, max=1000.0, value=default)

    def value(self) -> float:
        return float(self.widget.value)


class Own(TypeObject):
    def get_widget(self) -> Any:
        class Widget(fields.ValueWidget):
            def get_value(self) -> int:
                return 42

        return Widget()


@pytest.fixture
def oldstyle(packages: Path) -> Catalogue:
    return read_catalogue(["oldstyle"])


def form_of(function: Any) -> ArgumentsForm:
    return ArgumentsForm(Task(function, function.__module__, function.__name__))


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (int, "3", 3),
        (float, "1e-3", 1e-3),
        (float, "7", 7.0),
        (str, "a b", "a b"),
        (str, "''", ""),
        (bool, "true", True),
        (Volts, "4.5", 4.5),
        (Optional[int], "None", None),  # noqa: UP045 (as old packages write it)
        (int | None, "4", 4),
        (int | str, "x", "x"),
        (list[int], "1, 2", [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list, "1, a", [1, "a"]),
        (list[Literal[1, 2]], "1, 2", [1, 2]),
        (tuple[int, str], "(1, 'b')", (1, "b")),
        (dict, "a=1, b=x", {"a": 1, "b": "x"}),
        (dict, "{'a': [1]}", {"a": [1]}),
        (Path, "~/data", Path("~/data")),
        (Path | None, "/tmp/x", Path("/tmp/x")),
        (datetime.datetime, "2026-11-26 14:30", datetime.datetime(2026, 11, 26, 14, 30)),
        (datetime.date, "2026-11-26", datetime.date(2026, 11, 26)),
        (Colour, "RED", Colour.RED),
        (Literal["E", "F"], "F", "F"),
        (Any, "[1, 'a']", [1, "a"]),
    ],
)
def test_a_text_becomes_a_value(hint: Any, text: str, value: Any) -> None:
    assert parse(hint, text) == value
    assert type(parse(hint, text)) is type(value)


@pytest.mark.parametrize(
    ("hint", "text", "reason"),
    [
        (int, "3.5", "expected a whole number, got '3.5'"),
        (float, "abc", "expected a number, got 'abc'"),
        (Volts, "7", "must be in [0, 5] V, got 7.0"),
        (Volts | None, "7", "must be in [0, 5] V, got 7.0"),
        (list[int], "1, x", "expected a whole number, got 'x'"),
        (tuple[int, int], "1, 2, 3", "expected 2 elements, got 3"),
        (dict, "nothing", "expected a dictionary"),
        (datetime.date, "tomorrow", "expected date such as 2026-11-26"),
        (Literal["E", "F"], "G", "expected one of 'E', 'F', got 'G'"),
        (Colour, "GREEN", "expected one of Colour.RED, Colour.BLUE"),
    ],
)
def test_what_does_not_fit_is_told(hint: Any, text: str, reason: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse(hint, text)
    assert reason in str(caught.value)


def test_hints_as_a_person_reads_them() -> None:
    assert describe(Volts) == "[float]  V  [0, 5]"
    assert describe(int | None) == "[int | None]"
    assert describe(list[int]) == "[list[int]]"
    assert describe(ListList([int, str])) == "[list of lists]"
    assert describe(Literal[1, 2]) == "[choice]"


def test_all_errors_at_once_and_defaults_are_used() -> None:
    @exec_ui()
    def task(
        count: int,
        volts: Volts,
        side: Literal["E", "F"] = "F",
        when: datetime.date | None = None,
        flag: bool = True,
    ) -> None: ...

    form = form_of(task)
    form.fill(volts="9")
    with pytest.raises(FormError) as caught:
        form.call()
    assert caught.value.errors == ["count: must be given", "volts: must be in [0, 5] V, got 9.0"]
    form.fill(count="2", volts="1.5")
    assert form.call().kwargs == {"count": 2, "volts": 1.5, "side": "F", "when": None, "flag": True}
    assert form.call().snippet == "response = task(count=2, volts=1.5, side='F', when=None, flag=True)"
    form.fill(side="E", flag=False, when="2026-11-26")
    assert form.call().code.startswith("import datetime\nfrom ")


def test_the_form_of_an_old_task(oldstyle: Catalogue) -> None:
    form = ArgumentsForm(oldstyle.find("switch_on"))
    assert form.fields["power"].text.placeholder == "4.0"  # type: ignore[attr-defined]
    form.fill(lamp="WHITE")
    call = form.call()
    assert call.snippet == "response = switch_on(power=4.0, lamp=Lamp.WHITE, camera=CameraName.GARDEN)"
    assert "from oldstyle.lamp import Lamp" in call.code

    files = ArgumentsForm(oldstyle.find("files"))
    files.fill(name="a.yaml", path="b/a.yaml", flags="1, 2", pair="2, b")
    values = files.call().kwargs
    assert values["name"] == Path("a.yaml")
    assert (values["location"], values["flags"], values["pair"]) == (Path("~/data"), [1, 2], (2, "b"))
    assert (values["opt"], values["plain"], values["other"]) == (None, None, 5)
    assert oldstyle.find("files").file_filters == {"path": ("*.yaml", "*.yml")}

    untyped = ArgumentsForm(oldstyle.find("oldstyle.lamp.get_radec"))
    assert untyped.call().snippet == "ra, _, dec = get_radec(source=None)"


def test_lists_of_lists_grow_and_shrink(oldstyle: Catalogue) -> None:
    form = ArgumentsForm(oldstyle.find("list_of_lists"))
    field: Any = form.fields["x_list"]
    assert form.call().kwargs == {"x_list": [[900, "CSL", False]]}
    row = field.add()
    row.fields[0].text.value, row.fields[1].text.value = "x", "b"
    with pytest.raises(FormError, match="x_list: row 2, column 1: expected a whole number, got 'x'"):
        form.call()
    row.fields[0].text.value = "901"
    assert form.call().snippet == "response = list_of_lists(x_list=[[900, 'CSL', False], [901, 'b', False]])"
    field.widget.children[0].children[0].children[1].click()  # x
    assert form.call().kwargs == {"x_list": [[901, "b", False]]}

    where = ArgumentsForm(oldstyle.find("coordinates"))
    with pytest.raises(FormError, match="column 1: must be given; column 2: must be given"):
        where.call()
    names = ArgumentsForm(oldstyle.find("filters"))
    assert names.call().kwargs == {"names": ["bias", "dark"]}


def test_callbacks_are_asked_when_the_form_opens(oldstyle: Catalogue) -> None:
    call = ArgumentsForm(oldstyle.find("callbacks")).call()
    assert call.snippet == "response = callbacks(digit=Digit.TWO, camera='achel', flag=True, number=7)"
    with pytest.raises(FormError, match="camera: the choices cannot be had: OSError: the device is away"):
        ArgumentsForm(oldstyle.find("away")).call()


def test_variables_of_the_kernel(oldstyle: Catalogue) -> None:
    call = ArgumentsForm(oldstyle.find("process")).call()
    assert call.snippet == "response = process(model=ldo_model, name='LDO -> CSL')"
    assert call.variables == ["ldo_model"]
    assert immediate_call(oldstyle.find("process_at_once")).snippet == "response = process_at_once(ldo_model)"
    with pytest.raises(FormError, match="source: a task that runs at once"):
        immediate_call(oldstyle.find("oldstyle.lamp.get_radec"))


def test_a_field_made_for_qt_is_replaced(oldstyle: Catalogue) -> None:
    form = ArgumentsForm(oldstyle.find("configure"))
    assert form.call().kwargs == {"config": None}
    form.fill(config="{'enabled': True}")
    assert form.call().kwargs == {"config": {"enabled": True}}


def test_a_new_type_hint_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "_registered", [])

    factory = register_field(Wavelength, lambda hint, default, name: SliderField(default))
    assert register_field(Wavelength, factory) is factory
    with pytest.raises(ValueError, match="has a field already"):
        register_field(Wavelength, lambda hint, default, name: SliderField(default))

    @exec_ui()
    def task(wavelength: Wavelength = 500.0, own: Own() = None) -> None: ...  # type: ignore[valid-type, assignment]

    namespace = form_of(task)
    namespace.fill(wavelength=650.0)
    assert namespace.call().kwargs == {"wavelength": 650.0, "own": 42}


def test_paths_can_be_picked(tmp_path: Path, packages: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.yaml", "b.txt", ".hidden"):
        (tmp_path / name).touch()

    @exec_ui(file_filter={"path": "*.yaml"})
    def task(path: Path = tmp_path) -> None: ...

    field: Any = form_of(task).fields["path"]
    field.browse()
    assert list(field._entries.options) == ["..", "sub/", "a.yaml"]
    field._entries.value = "a.yaml"
    field.choose()
    assert field.value() == tmp_path / "a.yaml"


def test_values_as_code(tmp_path: Path) -> None:
    values = [Colour.RED, Path("a"), float("inf"), (1,), {"a": [None, b"x"]}, datetime.date(2026, 1, 2)]
    texts = [
        "Colour.RED",
        "Path('a')",
        "float('inf')",
        "(1,)",
        "{'a': [None, b'x']}",
        "datetime.date(2026, 1, 2)",
    ]
    assert [code_of(value) for value in values] == texts
    with pytest.raises(NotCodeError, match="cannot be written as code"):
        code_of(object())


def test_where_a_result_goes() -> None:
    names: dict[str, Any] = {}
    store_result("response", (1, 2), names)
    store_result("a, _, b", (1, 2, 3), names)
    store_result("c, *_", [1, 2, 3], names)
    assert names == {"response": (1, 2), "a": 1, "_": [2, 3], "b": 3, "c": 1}
    with pytest.raises(ValueError, match="2 parts, but `a, b, c` has 3 names"):
        store_result("a, b, c", (1, 2), names)


def test_arguments_given_as_texts(oldstyle: Catalogue) -> None:
    task = oldstyle.find("Switch ON")
    assert call_with(task, {"power": "2"}).kwargs["power"] == 2.0
    with pytest.raises(FormError) as caught:
        call_with(task, {"power": "x", "watt": 1})
    assert caught.value.errors == ["watt: there is no such argument", "power: expected a number, got 'x'"]
    assert isinstance(call_with(task, {}), TaskCall)
