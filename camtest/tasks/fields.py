"""The fields of a form, made from type hints and defaults (section 22.4 of the manual).

A field of a type of your own is registered with its widget:

    register_field(Wavelength, lambda hint, default, name: WavelengthField(default))

A field has `widget` (an ipywidget) and `value()`, which raises `FieldError` when what was entered does not fit. Or the
type hint is a `TypeObject` whose `get_widget()` returns a `ValueWidget`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Literal, Protocol, get_args, get_origin

import ipywidgets as widgets

from camtest.tasks.brackets import FieldError
from camtest.tasks.compat import uses_qt
from camtest.tasks.types import Callback, DropdownList, FixedList, ListList, TypeObject, VariableName
from camtest.tasks.values import (
    EMPTY,
    allows_none,
    bare,
    describe,
    fitting,
    is_enum,
    is_path,
    kind_of_default,
    member_by_value,
    parse,
    text_of,
)

__all__ = ["Field", "FieldError", "ValueWidget", "asks_author", "make_field", "register_field"]

WIDE = widgets.Layout(width="24em")


class Field(Protocol):
    """One argument in a form."""

    widget: Any

    def value(self) -> Any:
        """Returns the value.

        Raises:
            FieldError: when there is none, or it does not fit.
        """


class ValueWidget(widgets.VBox):  # type: ignore[misc]
    """Base of widgets that a `TypeObject` returns (called `UQWidget` in task packages for Qt)."""

    def get_value(self) -> Any:
        """Returns the value that the operator has chosen; each sub-class says how."""
        raise NotImplementedError(f"{type(self).__name__} has no value: define get_value()")


Factory = Callable[[Any, Any, str], Field]
_registered: list[tuple[Any, Factory]] = []


def register_field(kind: Any, factory: Factory) -> Factory:
    """Gives a type hint its field.

    Args:
        kind: the type hint: a class (sub-classes and instances as hints count too), or a function that tells whether a
            hint is meant.
        factory: makes the field from hint, default (`inspect.Parameter.empty` for none) and name of the argument.

    Raises:
        ValueError: when the type has a field of its own already.
    """
    for known, other in _registered:
        if known is kind and other is not factory:
            raise ValueError(f"{kind!r} has a field already, made by {other!r}")
    _registered.insert(0, (kind, factory))
    return factory


def _registered_for(hint: Any) -> Factory | None:
    for kind, factory in _registered:
        if isinstance(kind, type):
            found = isinstance(hint, kind) or (isinstance(hint, type) and issubclass(hint, kind))
        else:
            found = hint is kind or (callable(kind) and bool(kind(hint)))
        if found:
            return factory
    return None


def make_field(hint: Any, default: Any = EMPTY, name: str = "", patterns: Sequence[str] = ()) -> Field:
    """Returns the field for an argument.

    Args:
        hint: its type hint; `inspect.Parameter.empty` for none.
        default: its default; `inspect.Parameter.empty` for none.
        name: how it is called.
        patterns: which files are offered.
    """
    if hint is EMPTY:
        hint = kind_of_default(default)
    factory = _registered_for(hint) or _registered_for(bare(hint))
    if factory is not None:
        return factory(hint, default, name)
    if isinstance(hint, TypeObject):
        return _field_of_object(hint, default)
    plain = bare(hint)
    if plain is bool and not allows_none(hint) and _is_truth(default):
        return _CheckBox(default)
    if plain is bool:
        return _choice_or_default({"True": True, "False": False}, default, allows_none(hint))
    if is_enum(plain):
        members = {member.name: member for member in plain}
        return _choice_or_default(members, _member_of(plain, default), allows_none(hint))
    if get_origin(plain) is Literal:
        return _choice_or_default(_labelled(get_args(plain)), default, allows_none(hint))
    if is_path(plain):
        from camtest.tasks.picker import PathField

        return PathField(hint, default, patterns)
    return TextField(hint, default)


class TextField:
    """A line of text; the default stands in grey, and counts while nothing is typed.

    Args:
        hint: the type that the text is read as.
        default: the default.
    """

    def __init__(self, hint: Any, default: Any = EMPTY) -> None:
        self.hint = hint
        self.default = fitting(hint, default)
        missing = "" if hint is EMPTY else _example(hint)
        self.text = widgets.Text(
            placeholder=missing if default is EMPTY else text_of(default), layout=WIDE, continuous_update=True
        )
        self.widget: Any = self.text
        if default is not EMPTY and default is not None:
            copy = widgets.Button(
                icon="copy", tooltip="copy the default into the field", layout=widgets.Layout(width="2.6em")
            )
            copy.on_click(lambda _: self.copy_default())
            self.widget = widgets.HBox([self.text, copy])

    def copy_default(self) -> None:
        """Puts the default into the field, to be edited."""
        self.text.value = text_of(self.default)

    def value(self) -> Any:
        """Returns the value; see `Field`."""
        text = self.text.value.strip()
        if text:
            return parse(self.hint, text)
        if self.default is not EMPTY:
            return self.default
        if self.hint is EMPTY or allows_none(self.hint):
            return None
        raise FieldError("must be given")


def _example(hint: Any) -> str:
    plain = bare(hint)
    if plain in (datetime.datetime, datetime.date, datetime.time):
        return {"datetime": "2026-11-26 14:30:00", "date": "2026-11-26", "time": "14:30:00"}[plain.__name__]
    kind = get_origin(plain) or plain
    return {list: "1, 2, 3", tuple: "1, 2", dict: "a=1, b=2"}.get(kind, "")


class _Offered:
    """A field that has a value from the beginning."""

    widget: Any
    _first: Any

    @property
    def is_touched(self) -> bool:
        """True when it is not as it was at first."""
        return bool(self.widget.value != self._first)


class _CheckBox(_Offered):
    def __init__(self, default: Any) -> None:
        self._first = default is not EMPTY and bool(default)
        self.widget = widgets.Checkbox(value=self._first, indent=False)

    def value(self) -> Any:
        return bool(self.widget.value)


def _is_truth(default: Any) -> bool:
    """Returns True for a default that is a state of a check box: none, True, False, 1, 0."""
    return (
        default is EMPTY
        or type(default).__name__ in ("bool", "bool_")
        or (isinstance(default, int) and default in (0, 1))
    )


class _Choice(_Offered):
    """A list to choose from; the first is chosen when there is no default."""

    def __init__(self, options: dict[str, Any], default: Any, none: bool = False) -> None:
        self._options = ({"None": None} if none else {}) | options
        chosen = _label_of(default, self._options)
        self._first = chosen or next(iter(self._options), None)
        self.widget = widgets.Dropdown(options=list(self._options), value=self._first)

    def value(self) -> Any:
        if self.widget.value is None:
            raise FieldError("there is nothing to choose from")
        return self._options[self.widget.value]


def _label_of(value: Any, options: dict[str, Any]) -> str | None:
    """Returns the label of a value, or of what is labelled so; None when it is not offered."""
    chosen = next((label for label, option in options.items() if _same(option, value)), None)
    if chosen is None and value is not EMPTY and value is not None:
        chosen = next((label for label in options if label == text_of(value)), None)
    return chosen


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _choice_or_default(options: dict[str, Any], default: Any, none: bool) -> _Choice:
    """Returns a choice that offers the default too, whatever it is, so that nothing else is sent in its place."""
    known = ({"None": None} if none else {}) | options
    if default is not EMPTY and _label_of(default, known) is None:
        known = {text_of(default): default} | known
    return _Choice(known, default)


def _labelled(choices: Iterable[Any]) -> dict[str, Any]:
    """Returns choices by label; those that look the same are labelled with more."""
    found: dict[str, Any] = {}
    for choice in choices:
        labels = (str(choice), repr(choice), f"{choice!r} ({type(choice).__name__})")
        free = (label for label in labels if label not in found or _same(found[label], choice))
        found[next(free, labels[-1])] = choice
    return found


def _member_of(kind: Any, default: Any) -> Any:
    """Returns the member that a default is, by name or value; the default itself where it is none."""
    if default is EMPTY or default is None or isinstance(default, kind):
        return default
    if isinstance(default, str) and default in kind.__members__:
        return kind[default]
    member = member_by_value(kind, default)
    return default if member is None else member


# Type hints of tasks ---------------------------------------------------------------------------------------------------


def asks_author(hint: Any) -> bool:
    """Returns True when functions of the author of a task are called to make the field of a hint."""
    if _registered_for(hint) is not None:
        return True
    if type(hint) in (FixedList, ListList):
        return any(asks_author(literal) for literal in hint.literals)
    if type(hint) is DropdownList:
        return callable(hint.literals)
    return isinstance(hint, TypeObject) and type(hint) is not VariableName


_BUILT_IN: tuple[type[TypeObject], ...] = (
    Callback,
    FixedList,
    ListList,
    DropdownList,
    VariableName,
    TypeObject,
)


def _brings_widget(hint: TypeObject) -> bool:
    """Returns True when a sub-class of a built-in type hint defines a widget that can be shown."""
    kind = type(hint)
    base = next(known for known in _BUILT_IN if isinstance(hint, known))
    return kind.get_widget is not base.get_widget and not uses_qt(kind)


def _field_of_object(hint: TypeObject, default: Any) -> Field:
    if _brings_widget(hint):
        return _own_widget(hint, default)
    match hint:
        case Callback():
            return _CallbackField(hint, default)
        case FixedList():
            return _FixedListField(hint, default)
        case ListList():
            return _ListListField(hint, default)
        case DropdownList():
            return _DropdownListField(hint, default)
        case VariableName():
            return _VariableField(hint)
    return _own_widget(hint, default)


def _own_widget(hint: TypeObject, default: Any) -> Field:
    """Returns the field of a hint that brings its widget; Qt widgets cannot be shown, a literal is typed instead."""
    widget: Any = None
    if uses_qt(type(hint)):
        problem = "the field of this hint is made for Qt and cannot be shown"
    else:
        try:
            widget = hint.get_widget()
        except (
            Exception
        ) as exc:  # written by the author of the tasks: told in the form, the others are usable
            problem = f"the field cannot be made: {type(exc).__name__}: {exc}"
        else:
            if isinstance(widget, widgets.Widget) and hasattr(widget, "get_value"):
                return _WidgetField(widget)
            problem = f"{type(widget).__name__} is no ipywidget with a method get_value"
    return _LiteralField(default, problem)


class _WidgetField:
    def __init__(self, widget: Any) -> None:
        self.widget: Any = widget

    def value(self) -> Any:
        try:
            return self.widget.get_value()
        except (ValueError, TypeError, LookupError) as exc:
            raise FieldError(str(exc)) from exc


class _LiteralField(TextField):
    """A value as Python writes it, where no better field can be had."""

    def __init__(self, default: Any, problem: str) -> None:
        super().__init__(Any, default)
        note = widgets.HTML(f"<small>{escape(problem)}; type the value as Python writes it</small>")
        self.widget = widgets.VBox([self.widget, note])


class _CallbackField:
    def __init__(self, hint: Callback, default: Any) -> None:
        self._problem = ""
        self._field: Field | None = None
        try:
            found = hint.func()
            chosen = hint.default_func() if hint.default_func is not None else default
        except (
            Exception
        ) as exc:  # written by the author of the tasks: told in the form, the others are usable
            self._problem = f"the choices cannot be had: {type(exc).__name__}: {exc}"
            self.widget: Any = widgets.HTML(f'<span style="color:#b00020">{escape(self._problem)}</span>')
            return
        if isinstance(found, (list, tuple)):
            self._field = _Choice(_labelled(found), chosen)
        elif is_enum(found):
            self._field = _Choice({member.name: member for member in found}, _member_of(found, chosen))
        elif isinstance(found, bool):
            self._field = _CheckBox(found)
        else:
            self._field = TextField(str if isinstance(found, str) else kind_of_default(found), found)
        self.widget = self._field.widget

    def value(self) -> Any:
        if self._field is None:
            raise FieldError(self._problem)
        return self._field.value()


class _VariableField:
    def __init__(self, hint: VariableName) -> None:
        from camtest.tasks.calls import Name

        self._name = Name(hint.__name__)
        self.widget: Any = widgets.HTML(f"variable <code>{hint.__name__}</code> of the kernel")

    def value(self) -> Any:
        return self._name


class _Row:
    """Fields beside each other."""

    def __init__(self, columns: Sequence[tuple[Any, Any]]) -> None:
        self.fields: list[Field] = []
        shown: list[Any] = []
        for number, (hint, default) in enumerate(columns, 1):
            field = make_field(hint, EMPTY if default is None else default)
            _narrow(field)
            (
                getattr(field, "text", None) or field.widget
            ).tooltip = f"column {number}"  # its name, for readers of the screen
            self.fields.append(field)
            shown += [field.widget, widgets.HTML(f'<span style="opacity:.65">{describe(hint)}</span>')]
        self.widget = widgets.HBox(shown)

    def value(self) -> list[Any]:
        found, errors = [], []
        for number, field in enumerate(self.fields, 1):
            try:
                found.append(field.value())
            except FieldError as exc:
                errors.append(f"column {number}: {exc}")
        if errors:
            raise FieldError("; ".join(errors))
        return found

    @property
    def is_empty(self) -> bool:
        """Nothing was typed, ticked or chosen, and there is no default."""
        texts = [field for field in self.fields if isinstance(field, TextField)]
        others = [field for field in self.fields if field not in texts]
        return (
            bool(texts)
            and all(not field.text.value.strip() and field.default is EMPTY for field in texts)
            and all(not getattr(field, "is_touched", True) for field in others)
        )


def _narrow(field: Field) -> None:
    if isinstance(field, TextField):
        field.text.layout = widgets.Layout(width="9em")
        field.widget = field.text


class _FixedListField:
    def __init__(self, hint: FixedList, default: Any) -> None:
        defaults = hint.defaults or (list(default) if isinstance(default, (list, tuple)) else [])
        self._row = _Row(_columns(hint.literals, defaults))
        self.widget: Any = self._row.widget

    def value(self) -> list[Any]:
        return self._row.value()


def _columns(literals: Sequence[Any], defaults: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [
        (hint, _fitting(hint, defaults[i]) if i < len(defaults) else None) for i, hint in enumerate(literals)
    ]


def _fitting(hint: Any, default: Any) -> Any:
    return default if isinstance(hint, TypeObject) else fitting(hint, default)


class _Rows:
    """Rows with + and x; `make` returns a row for a default, `EMPTY` for none."""

    def __init__(self, make: Callable[[Any], Any], defaults: Sequence[Any], optional: bool) -> None:
        self._make = make
        self._optional = optional
        self.rows: list[Any] = []
        self._box = widgets.VBox()
        add = widgets.Button(icon="plus", tooltip="add a row", layout=widgets.Layout(width="3em"))
        add.on_click(lambda _: self.add())
        self.widget: Any = widgets.VBox([self._box, add])
        for default in defaults or [EMPTY]:
            self.add(default)

    def add(self, default: Any = EMPTY) -> Any:
        """Adds a row."""
        row = self._make(default)
        remove = widgets.Button(icon="times", tooltip="remove this row", layout=widgets.Layout(width="3em"))
        line = widgets.HBox([row.widget, remove])
        remove.on_click(lambda _: self._remove(row, line))
        self.rows.append(row)
        self._box.children = (*self._box.children, line)
        return row

    def _remove(self, row: Any, line: Any) -> None:
        self.rows.remove(row)
        self._box.children = tuple(child for child in self._box.children if child is not line)

    def value(self) -> list[Any]:
        rows = [row for row in self.rows if not (self._optional and getattr(row, "is_empty", False))]
        found, errors = [], []
        for number, row in enumerate(rows, 1):
            try:
                found.append(row.value())
            except FieldError as exc:
                errors.append(f"row {number}, {exc}" if isinstance(row, _Row) else f"row {number}: {exc}")
        if errors:
            raise FieldError("; ".join(errors))
        return found


class _ListListField(_Rows):
    def __init__(self, hint: ListList, default: Any) -> None:
        given = [list(row) for row in default] if isinstance(default, (list, tuple)) else []
        rows = given or ([hint.defaults] if hint.defaults else [])
        super().__init__(
            lambda row: _Row(_columns(hint.literals, [] if row is EMPTY else row)), rows, default is not EMPTY
        )


class _DropdownListField(_Rows):
    def __init__(self, hint: DropdownList, default: Any) -> None:
        options = _labelled(hint.choices())
        chosen = hint.defaults or (list(default) if isinstance(default, (list, tuple)) else [])
        super().__init__(lambda choice: _named(_Choice(options, choice)), chosen, False)


def _named(choice: _Choice) -> _Choice:
    choice.widget.tooltip = "choice"  # its name, for readers of the screen
    return choice
