"""Type hints of tasks beyond those of Python (section 22.4 of the manual). What they are; their widgets are in `fields`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class TypeObject:
    """A type hint with a widget of its own: `def task(position: MyType())`.

    A sub-class defines `get_widget`, which returns an ipywidget with a method `get_value` (see
    `camtest.tasks.fields.ValueWidget`); or its field is registered with `camtest.tasks.register_field`.

    Args:
        name: what stands in grey behind the field.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    @property
    def __name__(self) -> str:
        return str(getattr(self, "name", None) or type(self).__name__)

    def get_widget(self) -> Any:
        """Returns the widget of this hint: that of the built-in type from which its class is derived.

        Raises:
            NotImplementedError: when there is no such type, and the sub-class defines none.
        """
        for kind in type(self).__mro__:
            if kind in (Callback, FixedList, ListList, DropdownList, VariableName):
                return _widget_of(self, kind)
        raise NotImplementedError(
            f"{type(self).__name__} has no widget: define get_widget() or register a field"
        )


def _widget_of(hint: TypeObject, kind: type[TypeObject]) -> Any:
    """Returns the widget that a hint would have if it were of a built-in type, and of no sub-class."""
    from camtest.tasks.fields import ValueWidget, make_field

    plain = kind.__new__(kind)
    vars(plain).update(vars(hint))
    if isinstance(hint, DropdownList):
        vars(plain).update(_literals=hint.choices(), _defaults=hint.get_defaults())
    field = make_field(plain)
    widget = ValueWidget([field.widget])
    widget.get_value = field.value  # type: ignore[method-assign]
    return widget


class Callback(TypeObject):
    """A choice, or a default, that is found out when the form is opened.

    Args:
        func: returns a list, tuple or Enum class (a choice), a bool (a check box), or anything else (a default).
        default: returns the value that is chosen at first.
        name: what stands in grey behind the field.
    """

    def __init__(
        self, func: Callable[[], Any], default: Callable[[], Any] | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.func = func
        self.default_func = default


class _Columns(TypeObject):
    def __init__(
        self, literals: Sequence[Any], defaults: Sequence[Any] | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self._literals = list(literals)
        self._defaults = list(defaults or [])

    @property
    def literals(self) -> list[Any]:
        """The type of each column."""
        return self._literals

    @property
    def defaults(self) -> list[Any]:
        """The default of each column, as far as there are any."""
        return self._defaults

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(itertools.zip_longest(self.literals, self.defaults))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.literals} = {self.defaults})"


class FixedList(_Columns):
    """A list with a fixed number of elements.

    Args:
        literals: the type of each element.
        defaults: a default for each.
        name: what stands in grey behind the field.
    """

    def __init__(
        self, literals: Sequence[Any], defaults: Sequence[Any] | None = None, name: str | None = None
    ) -> None:
        super().__init__(literals, defaults, name or "List")


class ListList(_Columns):
    """A list of lists: rows can be added and removed.

    Args:
        literals: the type of each column.
        defaults: the first row.
        name: what stands in grey behind the field.
    """

    def __init__(
        self, literals: Sequence[Any], defaults: Sequence[Any] | None = None, name: str | None = None
    ) -> None:
        super().__init__(literals, defaults, name or "list of lists")


class DropdownList(TypeObject):
    """A list of choices: rows can be added and removed.

    Args:
        literals: what can be chosen, or a function that returns it.
        defaults: what is chosen at first, a row for each.
        name: what stands in grey behind the field.
    """

    def __init__(
        self,
        literals: Sequence[Any] | Callable[[], Sequence[Any]],
        defaults: Sequence[Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name or "list of choices")
        self._literals = literals
        self._defaults = list(defaults or [])

    @property
    def literals(self) -> Any:
        """What can be chosen, or a function that returns it."""
        return self._literals

    @property
    def defaults(self) -> list[Any]:
        """What is chosen at first."""
        return self.get_defaults()

    def get_literals(self) -> Any:
        """Returns what can be chosen, or a function that returns it; a sub-class may answer something else."""
        return self._literals

    def get_defaults(self) -> list[Any]:
        """Returns what is chosen at first; a sub-class may answer something else."""
        return self._defaults

    def choices(self) -> list[Any]:
        """Returns what can be chosen."""
        literals = self.get_literals()
        return list(literals() if callable(literals) else literals)


class VariableName(TypeObject):
    """A variable of the kernel is passed, by its name.

    Args:
        value: name of the variable.
        name: a word for it.
    """

    def __init__(self, value: str, name: str = "var_name") -> None:
        super().__init__(name)
        self.value = value

    @property
    def __name__(self) -> str:
        return self.value

    def get_value(self) -> Any:
        """Returns what stands for the variable in a call; its `repr` is the name of the variable."""
        from camtest.tasks.calls import Name

        return Name(self.value)


def is_qt_class(kind: type) -> bool:
    """Returns True for a class of a Qt toolkit."""
    return kind.__module__.partition(".")[0] in ("PyQt5", "PyQt6", "PySide2", "PySide6")
