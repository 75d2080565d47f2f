"""Tasks of CSL: measurements with the source, hexapod, stages, Setup, camera, OGSE. `csl_ui`, or `camtest tasks camtest.csl`; in a notebook `tasks_gui("camtest.csl")`."""

from __future__ import annotations

from camtest.tasks import start_tasks_gui
from camtest.tasks.command import gui_command

PACKAGE, TITLE = "camtest.csl", "CSL Operator GUI"


def csl_ui() -> None:
    """Starts the GUI as a page, in the background; prints its address."""
    start_tasks_gui(PACKAGE, title=TITLE)


cli = gui_command("csl_ui", PACKAGE, TITLE, "Show the tasks of CSL: alignment and focus measurements.")
