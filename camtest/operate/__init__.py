"""Tasks of every day: observations, AEU, N-FEE, acquisition, OGSE, temperature control, Setup, TCS, TEB. `operate_ui`, or `camtest tasks camtest.operate`; in a notebook `tasks_gui("camtest.operate")`."""

from __future__ import annotations

from camtest.tasks import start_tasks_gui
from camtest.tasks.command import gui_command

PACKAGE, TITLE = "camtest.operate", "Operator GUI"


def operate_ui() -> None:
    """Starts the GUI as a page, in the background; prints its address."""
    start_tasks_gui(PACKAGE, title=TITLE)


cli = gui_command("operate_ui", PACKAGE, TITLE, "Show the tasks of every day.")
