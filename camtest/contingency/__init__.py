"""Tasks for when something goes wrong: modes of the camera, power, light, thermal control, by hand. `contingency_ui`, or `camtest tasks camtest.contingency`; in a notebook `tasks_gui("camtest.contingency")`."""

from __future__ import annotations

from camtest.tasks import start_tasks_gui
from camtest.tasks.command import gui_command

PACKAGE, TITLE = "camtest.contingency", "Contingency GUI"


def contingency_ui() -> None:
    """Starts the GUI as a page, in the background; prints its address."""
    start_tasks_gui(PACKAGE, title=TITLE)


cli = gui_command(
    "contingency_ui", PACKAGE, TITLE, "Show the contingency tasks: camera off, modes by hand, light off."
)
