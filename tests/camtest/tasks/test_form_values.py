"""Values that a form hands on unchanged: annotations as text, `*names`, containers, defaults, classes of one's own."""

from __future__ import annotations

import enum
import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType
from uuid import UUID

import ipywidgets
import pytest

from camtest.tasks.calls import TaskCall, code_of
from camtest.tasks.catalogue import Task
from camtest.tasks.exec import FileName, exec_ui
from camtest.tasks.fields import FieldError, ValueWidget, asks_author, make_field
from camtest.tasks.form import ArgumentsForm, FormError, call_with
from camtest.tasks.types import Callback, DropdownList, FixedList, ListList, TypeObject, VariableName
from camtest.tasks.values import EMPTY, parse, text_of
from egse.command import Range

if TYPE_CHECKING:
    Missing = int

Obsid = NewType("Obsid", int)


class Perm(enum.Flag):
    R = 1
    W = 2


class Mode(enum.Enum):
    A = 1
    B = 2


class Wave:
    def __init__(self, text: Any) -> None:
        self.length = float(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wave) and self.length == other.length

    __hash__ = None  # type: ignore[assignment]


def doubled(text: str) -> int:
    return 2 * int(text)


@exec_ui()
def half_known(n: int, x: float = 2.0, flag: bool = False, table: Missing | None = None) -> Missing: ...


@exec_ui()
def with_rest(a: int, b: Any = object, *obsids: int, c: float = 2.0) -> Any:
    return a, b, obsids, c


@exec_ui()
def with_names(a: int, /, b: int = 0, **more: float) -> Any:
    return a, b, more


def task_of(function: Any) -> Task:
    return Task(function, function.__module__, function.__name__)


def form_of(function: Any) -> ArgumentsForm:
    return ArgumentsForm(task_of(function))


def called(call: TaskCall) -> Any:
    return call.task.function(*call.args, **call.kwargs)


def default_sent(hint: Any, default: Any) -> Any:
    return make_field(hint, default).value()


# Annotations -----------------------------------------------------------------------------------------------------------


def test_one_unknown_annotation_spoils_only_itself() -> None:
    form = form_of(half_known)
    form.fill(n="abc")
    with pytest.raises(FormError, match="n: expected a whole number, got 'abc'"):
        form.call()
    form.fill(n="3", flag=True)
    assert form.call().kwargs == {"n": 3, "x": 2.0, "flag": True, "table": None}
    assert inspect.signature(half_known).parameters["table"].annotation == "Missing | None"


# *names and **more -----------------------------------------------------------------------------------------------------


def test_what_stands_before_names_goes_by_position() -> None:
    form = form_of(with_rest)
    form.fill(a="1", b="x", obsids="7, 8")
    assert called(form.call()) == (1, "x", (7, 8), 2.0)
    assert form.call().snippet == "response = with_rest(1, 'x', 7, 8, c=2.0)"
    form.fill(obsids="7, y")
    with pytest.raises(FormError, match="obsids: expected a whole number, got 'y'"):
        form.call()
    form.fill(b="", obsids="")
    assert form.call().snippet == "response = with_rest(a=1, c=2.0)"
    assert called(call_with(task_of(with_rest), {"a": "1", "obsids": "7, 8"})) == (1, object, (7, 8), 2.0)


def test_more_arguments_are_checked() -> None:
    form = form_of(with_names)
    form.fill(a="1", more="x=1, y=2.5")
    assert called(form.call()) == (1, 0, {"x": 1.0, "y": 2.5})
    for text, reason in (
        ("x=1, y=z", "more: y: expected a number, got 'z'"),
        ("b=1", "more: there is an argument `b` already"),
        ("'x y'=1", "more: 'x y' is no name of an argument"),
        ("class=1", "more: 'class' is no name of an argument"),
    ):
        form.fill(more=text)
        with pytest.raises(FormError) as caught:
            form.call()
        assert caught.value.errors == [reason]
    assert called(call_with(task_of(with_names), {"a": 1, "more": "x=1"})) == (1, 0, {"x": 1.0})


# Texts -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (list[str], "1151, 1152", ["1151", "1152"]),
        (list[str], "['1', 2]", ["1", "2"]),
        (list[str], "'a,b', it's, f(x, y),", ["a,b", "it's", "f(x, y)"]),
        (list[str], "''", [""]),
        (list[int], "['1', 2]", [1, 2]),
        (list[float], "1, 2", [1.0, 2.0]),
        (list[tuple[int, str]], "[(1, 'a'), (2, b)]", [(1, "a"), (2, "b")]),
        (list[tuple[int, str]] | None, "(1, 'a'), (2, b)", [(1, "a"), (2, "b")]),
        (list[list[int]], "[1, 2], [3]", [[1, 2], [3]]),
        (list[Path], "['a', b]", [Path("a"), Path("b")]),
        (list[Mode], "A, Mode.B, 1", [Mode.A, Mode.B, Mode.A]),
        (list[Perm], "R|W, W", [Perm.R | Perm.W, Perm.W]),
        (Sequence[str], "a, b", ["a", "b"]),
        (set[int], "set()", set()),
        (set[int], "{1, 2}", {1, 2}),
        (dict[str, float], "a=1, b=2.5", {"a": 1.0, "b": 2.5}),
        (dict[str, str], "a=1, t=12:30", {"a": "1", "t": "12:30"}),
        (dict[int, str], "1:a", {1: "a"}),
        (dict[str, Path], "{'a': '/tmp'}", {"a": Path("/tmp")}),
        (dict[str, list[int]], "a=[1, 2], b=[]", {"a": [1, 2], "b": []}),
        (dict, "a=[1, 2], 'b,c'={'d': 1}", {"a": [1, 2], "b,c": {"d": 1}}),
        (dict, "{1: 'a', (1, 2): None}", {1: "a", (1, 2): None}),
        (dict, "1=a", {"1": "a"}),
        (OrderedDict, "a=1", {"a": 1}),
        (Decimal, "1.10", Decimal("1.10")),
        (Fraction, "1/3", Fraction(1, 3)),
        (UUID, "12345678123456781234567812345678", UUID(int=0x12345678123456781234567812345678)),
        (complex, "5", 5 + 0j),
        (complex, "1 + 2j", 1 + 2j),
        (bytes, "b'a'", b"a"),
        (timedelta, "90", timedelta(seconds=90)),
        (timedelta, "0:01:30", timedelta(seconds=90)),
        (timedelta, "-1:30", timedelta(seconds=-90)),
        (Wave, "3", Wave(3)),
        (Wave | None, "None", None),
        (list[Decimal], "1, 2", [Decimal(1), Decimal(2)]),
        (Obsid, "5", 5),
        (doubled, "3", 6),
        (Callable, "x", "x"),
        (object, "5", 5),
        (type, "int", "int"),
    ],
)
def test_a_text_becomes_a_value(hint: Any, text: str, value: Any) -> None:
    found = parse(hint, text)
    assert found == value
    assert code_or_repr(found) == code_or_repr(value)


def code_or_repr(value: Any) -> str:
    return str(value.length) if isinstance(value, Wave) else repr(value)


@pytest.mark.parametrize(
    ("hint", "text", "reason"),
    [
        (dict[str, float], "a=1, b=2,5", "expected a dictionary such as {'a': 1} or a=1, b=2, got '5'"),
        (dict[str, int], "a=x", "a: expected a whole number, got 'x'"),
        (dict[int, str], "a=x", "expected a whole number, got 'a'"),
        (dict, "a=", "expected a dictionary"),
        (dict, "a=1, a=2", "a is there twice"),
        (dict[str, list[int]], "a=1", "a: expected a list in brackets, got '1'"),
        (list[Annotated[float, Range(0, 5)]], "1, 7", "must be in [0, 5], got 7.0"),
        (list[int], "1,, 2", "there is nothing before a comma"),
        (list[int], "[1, 2", "a bracket is not closed"),
        (list[tuple[int, str]], "[(1, 'a', 2)]", "expected 2 elements, got 3"),
        (list[Perm], "R|X", "expected one of Perm.R, Perm.W"),
        (Decimal, "abc", "'abc' is no Decimal"),
        (UUID, "1", "'1' is no UUID: badly formed"),
        (timedelta, "soon", "'soon' is no timedelta"),
        (timedelta, "1:-3", "expected seconds, or hours:minutes:seconds"),
        (Wave, "far", "'far' is no Wave: could not convert"),
        (doubled, "x", "'x' is no doubled: invalid literal"),
        (Obsid, "x", "expected a whole number, got 'x'"),
    ],
)
def test_what_does_not_fit_is_told(hint: Any, text: str, reason: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse(hint, text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (list[Path], [Path("a, b"), Path("c")]),
        (list[Mode], [Mode.B]),
        (Perm, Perm.R | Perm.W),
        (dict[str, tuple[int, str]], {"a: b": (1, "x")}),
        (set[str], set()),
        (timedelta, timedelta(days=1, milliseconds=1)),
        (list[str], ["1", "", "it's", 'a, "b"']),
    ],
)
def test_a_default_that_is_copied_into_its_field_is_itself(hint: Any, value: Any) -> None:
    assert parse(hint, text_of(value)) == value


# Defaults --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "default", "sent"),
    [
        (Perm, Perm.R | Perm.W, Perm.R | Perm.W),
        (Perm, Perm(0), Perm(0)),
        (bool, 1, True),
        (bool, 0, False),
        (bool, EMPTY, False),
        (bool, None, None),
        (bool, "auto", "auto"),
        (Mode, None, None),
        (Mode, 2, Mode.B),
        (Mode, "B", Mode.B),
        (Mode, 7, 7),
        (Mode, EMPTY, Mode.A),
        (Literal[1, 2], None, None),
        (Literal["1", 1], "1", "1"),
        (Literal["1", 1], 1, 1),
        (Decimal, Decimal("1.5"), Decimal("1.5")),
        (Wave, Wave(2), Wave(2)),
        (doubled, 3, 3),
        (Callback(lambda: Mode), 2, Mode.B),
        (Callback(lambda: [1, "1"]), "1", "1"),
        (FixedList([int, Path, float], [1, "/tmp", "2"]), EMPTY, [1, Path("/tmp"), 2.0]),
        (ListList([Path, str], ["/tmp", "2"]), EMPTY, [[Path("/tmp"), "2"]]),
        (FixedList([float, float], [0, 1]), EMPTY, [0.0, 1.0]),
        (FileName, "README.md", Path("README.md")),
        (Path, "/tmp", Path("/tmp")),
        (float, 42, 42.0),
        (float | None, 42, 42.0),
        (int, 42.5, 42.5),
        (list, "[1, 2]", [1, 2]),
        (float, "auto", "auto"),
        (ListList([int, bool]), None, []),
        (ListList([Path, Mode]), None, []),
    ],
)
def test_an_untouched_default_is_sent(hint: Any, default: Any, sent: Any) -> None:
    found = default_sent(hint, default)
    assert found == sent
    assert type(found) is type(sent)
    if isinstance(found, list):
        assert list(map(type, found)) == list(map(type, sent))


def test_a_choice_that_was_the_default_can_be_changed() -> None:
    field: Any = make_field(Mode, None)
    assert list(field.widget.options) == ["None", "A", "B"]
    field.widget.value = "B"
    assert field.value() is Mode.B


def test_an_argument_without_hint_takes_texts_for_a_function() -> None:
    field: Any = make_field(EMPTY, len)
    field.text.value = "x"
    assert field.value() == "x"


# Code ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({2, 1}, "{1, 2}"),
        (set(), "set()"),
        (frozenset({"a"}), "frozenset({'a'})"),
        (frozenset(), "frozenset()"),
        (Perm.R | Perm.W, "Perm.R | Perm.W"),
        (Perm(0), "Perm(0)"),
        (Mode.A, "Mode.A"),
        (Decimal("1.5"), "Decimal('1.5')"),
        (Fraction(1, 3), "Fraction(1, 3)"),
    ],
)
def test_values_as_code(value: Any, code: str) -> None:
    assert code_of(value) == code


def test_the_code_of_a_call_imports_what_it_needs() -> None:
    values = [{Mode.A}, Perm.R | Perm.W, Decimal(1), UUID(int=1)]
    code = TaskCall(task_of(with_rest), (1, None, *values)).code
    assert f"from {__name__} import Mode" in code
    assert f"from {__name__} import Perm" in code
    assert "from decimal import Decimal\n" in code
    assert "from uuid import UUID\n" in code


# Widgets of one's own --------------------------------------------------------------------------------------------------


class Answer(ValueWidget):
    def get_value(self) -> int:
        return 42


def own(self: TypeObject) -> Any:
    return Answer([ipywidgets.Label("the answer")])


@pytest.mark.parametrize(
    ("base", "arguments"),
    [
        (Callback, [lambda: [1]]),
        (FixedList, [[int]]),
        (ListList, [[int]]),
        (DropdownList, [[1]]),
        (VariableName, ["x"]),
    ],
)
def test_the_widget_of_a_sub_class_is_taken(base: type, arguments: list[Any]) -> None:
    hint = type("Own", (base,), {"get_widget": own})(*arguments)
    assert make_field(hint).value() == 42
    assert asks_author(hint)
    qt = {"get_widget": own, "__module__": "PyQt5.x"}
    assert not isinstance(make_field(type("Own", (base,), qt)(*arguments)).widget, Answer)


def test_which_fields_may_take_long() -> None:
    quick = [int, Mode, FixedList([int]), ListList([int, str]), DropdownList([1]), VariableName("x")]
    assert not any(map(asks_author, quick))
    slow = [Callback(list), FixedList([int, Callback(list)]), DropdownList(list), TypeObject()]
    assert all(map(asks_author, slow))


def test_what_an_author_raises_is_text() -> None:
    class Bad(TypeObject):
        def get_widget(self) -> Any:
            raise ValueError("<b>")

    field: Any = make_field(Bad())
    assert "&lt;b&gt;" in field.widget.children[1].value
    failing: Any = make_field(Callback(FunctionType(bad.__code__, globals())))
    assert "&lt;b&gt;" in failing.widget.value


def bad() -> None:
    raise ValueError("<b>")
