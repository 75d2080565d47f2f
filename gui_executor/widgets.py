"""The widgets of the built-in type hints under the names of the original; found through `gui_executor.utypes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from camtest.tasks.fields import ValueWidget
from camtest.tasks.types import Callback, DropdownList, FixedList, ListList, TypeObject, VariableName

UQWidget = ValueWidget


class _HintWidget(ValueWidget):
    """Shows the widget that a hint has by the built-in type from which its class is derived.

    Args:
        hint: the hint.
    """

    def __init__(self, hint: TypeObject) -> None:
        self._type_object = hint
        self._inner = TypeObject.get_widget(hint)  # not that of the sub-class, which may be what asks
        super().__init__([self._inner])

    def get_value(self) -> Any:
        """Returns what was entered."""
        return self._inner.get_value()


class CallbackWidget(_HintWidget):
    """Widget of `Callback`."""

    def __init__(self, func: Callable[[], Any], default_func: Callable[[], Any] | None = None) -> None:
        super().__init__(Callback(func, default_func))


class VariableNameWidget(_HintWidget):
    """Widget of `VariableName`."""

    def __init__(self, value: str) -> None:
        super().__init__(VariableName(value))


class FixedListWidget(_HintWidget):
    """Widget of `FixedList`."""

    def __init__(self, type_object: FixedList) -> None:
        super().__init__(type_object)


class ListListWidget(_HintWidget):
    """Widget of `ListList`."""

    def __init__(self, type_object: ListList) -> None:
        super().__init__(type_object)


class DropdownListWidget(_HintWidget):
    """Widget of `DropdownList`."""

    def __init__(self, type_object: DropdownList) -> None:
        super().__init__(type_object)
