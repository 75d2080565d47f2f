"""IPython extension of the kernel behind a page: it makes the Tasks GUI, as the variable `tasks`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from camtest.core.logs import log_as
from camtest.tasks.gui import TasksGUI
from camtest.tasks.page import MODEL_ID, OPTIONS_VARIABLE


def load_ipython_extension(shell: Any) -> None:
    """Makes the GUI that the page shows.

    Args:
        shell: the interactive shell.
    """
    options = json.loads(os.environ[OPTIONS_VARIABLE])
    os.chdir(options["folder"])
    log_as("tasks")
    gui = TasksGUI(
        *options["packages"],
        kernel=options["kernel"],
        namespace=shell.user_ns,
        title=options["title"],
        logo=Path(options["logo"]) if options["logo"] else None,
        command_log=Path(options["command_log"]) if options["command_log"] else None,
        save_output=Path(options["save_output"]) if options["save_output"] else None,
        model_id=MODEL_ID,
    )
    shell.push({"tasks": gui}, interactive=False)
