"""The Tasks GUI: functions with `@exec_ui` become buttons with a form for their arguments (chapter 22 of the manual).

    from camtest.tasks import tasks_gui
    tasks_gui("camtest.contingency")        # in a notebook; `camtest tasks camtest.contingency` as a page

A package is a GUI, each of its modules a group of buttons, each sub-package a tab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egse.lazy import lazy_names

if TYPE_CHECKING:
    from camtest.tasks.exec import exec_recurring_task, exec_task, exec_ui
    from camtest.tasks.fields import register_field
    from camtest.tasks.gui import TasksGUI, tasks_gui
    from camtest.tasks.page import start_tasks_gui

_HOMES = {
    "exec_recurring_task": "exec",
    "exec_task": "exec",
    "exec_ui": "exec",
    "register_field": "fields",
    "TasksGUI": "gui",
    "tasks_gui": "gui",
    "start_tasks_gui": "page",
}

__all__ = [
    "TasksGUI",
    "exec_recurring_task",
    "exec_task",
    "exec_ui",
    "register_field",
    "start_tasks_gui",
    "tasks_gui",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES, __all__)
