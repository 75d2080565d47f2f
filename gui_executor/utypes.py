"""`from gui_executor.utypes import ListList`: see `camtest.tasks.types`. `UQWidget` is an ipywidget here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List  # noqa: UP035 (task packages import it from here)

from camtest.tasks.types import Callback, DropdownList, FixedList, ListList, TypeObject, VariableName

if TYPE_CHECKING:
    from camtest.tasks.fields import ValueWidget as UQWidget

__all__ = [
    "Callback",
    "DropdownList",
    "FixedList",
    "List",
    "ListList",
    "TypeObject",
    "UQWidget",
    "VariableName",
]


def __getattr__(name: str) -> Any:
    if name == "UQWidget":  # a task that runs as a script does without widgets
        from camtest.tasks.fields import ValueWidget

        return ValueWidget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
