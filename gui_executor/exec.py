"""`from gui_executor.exec import exec_ui`: see `camtest.tasks.exec`."""

from __future__ import annotations

from camtest.tasks.exec import (
    Argument,
    ArgumentKind,
    Directory,
    FileName,
    FilePath,
    Kind,
    StatusType,
    exec_recurring_task,
    exec_task,
    exec_ui,
    find_modules,
    find_subpackages,
    find_ui_button_functions,
    find_ui_functions,
    find_ui_recurring_functions,
    get_arguments,
    get_module_location,
)

__all__ = [
    "Argument",
    "ArgumentKind",
    "Directory",
    "FileName",
    "FilePath",
    "Kind",
    "StatusType",
    "exec_recurring_task",
    "exec_task",
    "exec_ui",
    "find_modules",
    "find_subpackages",
    "find_ui_button_functions",
    "find_ui_functions",
    "find_ui_recurring_functions",
    "get_arguments",
    "get_module_location",
]
