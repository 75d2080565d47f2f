"""Tasks that look at observations from files; no device is touched. `analysis_ui`, or `camtest tasks camtest.analysis_tasks`; in a notebook `tasks_gui("camtest.analysis_tasks")`."""

from __future__ import annotations

from camtest.tasks import start_tasks_gui
from camtest.tasks.command import gui_command

PACKAGE, TITLE = "camtest.analysis_tasks", "Analysis GUI"


def analysis_ui() -> None:
    """Starts the GUI as a page, in the background; prints its address."""
    start_tasks_gui(PACKAGE, title=TITLE)


cli = gui_command("analysis_ui", PACKAGE, TITLE, "Show tasks that look at observations.")
