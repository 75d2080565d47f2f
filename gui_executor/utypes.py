"""`from gui_executor.utypes import ListList`: see `camtest.tasks.types`. Widgets (`UQWidget` ...) are ipywidgets here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, List, Tuple, Union  # noqa: UP035 (task packages import them from here)

from camtest.tasks.calls import Name as var_name
from camtest.tasks.types import Callback, DropdownList, FixedList, ListList, TypeObject, VariableName

if TYPE_CHECKING:
    from gui_executor.gui import IconLabel
    from gui_executor.widgets import (
        CallbackWidget,
        DropdownListWidget,
        FixedListWidget,
        ListListWidget,
        UQWidget,
        VariableNameWidget,
    )

__all__ = [
    "Callable",
    "Callback",
    "CallbackWidget",
    "DropdownList",
    "DropdownListWidget",
    "FixedList",
    "FixedListWidget",
    "IconLabel",
    "List",
    "ListList",
    "ListListWidget",
    "Tuple",
    "TypeObject",
    "UQWidget",
    "Union",
    "VariableName",
    "VariableNameWidget",
    "var_name",
]


def __getattr__(name: str) -> Any:
    if name == "IconLabel":  # a task that runs as a script does without widgets
        from gui_executor.gui import IconLabel

        return IconLabel
    if name in __all__:
        from gui_executor import widgets

        return getattr(widgets, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
