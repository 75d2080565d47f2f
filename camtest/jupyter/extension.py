"""IPython extension: `%load_ext camtest` in any kernel or terminal; the kernels of camtest load it by themselves."""

from __future__ import annotations

import os
import sysconfig
from typing import Any

from camtest.core.logs import log_as
from camtest.display import install_formatters, remove_formatters
from camtest.jupyter.completion import install_completion, remove_completion
from camtest.jupyter.errors import shorten_server_errors, show_full_errors
from camtest.jupyter.magics import CamtestMagics
from camtest.jupyter.namespace import namespace
from camtest.jupyter.progress import show_waits
from camtest.jupyter.sessionbar import SessionTeller
from camtest.jupyter.status import StatusLine, session_status
from camtest.state import GlobalState
from egse.setup import Setup, on_active_setup

_KEY = "_camtest_undo"


def load_ipython_extension(shell: Any) -> StatusLine | None:
    """Makes a session one of camtest: its names and magics, the line of its state, displays, completion, short errors.

    Args:
        shell: the interactive shell.

    Returns:
        The line of its state; None when this session is one of camtest already.
    """
    if hasattr(shell, _KEY):
        return None
    log_as("kernel")
    _find_commands()
    shell.push(namespace(), interactive=False)
    shell.banner2 = f"{session_status()}\n"
    status = StatusLine(shell)
    status.start()
    install_completion(shell)
    install_formatters(shell.display_formatter)
    shorten_server_errors(shell)
    shell.register_magics(CamtestMagics(shell, status))
    if hasattr(shell, "kernel"):  # a terminal has no output whose place a later one could take
        show_waits()
    undo = [on_active_setup(lambda setup: _follow(shell, setup)), status.stop]
    if hasattr(shell, "kernel") and (manager := getattr(shell.kernel, "comm_manager", None)) is not None:
        undo.append(SessionTeller(manager).stop)
    setattr(shell, _KEY, undo)
    return status


def unload_ipython_extension(shell: Any) -> None:
    """Takes back what changes how cells are executed and shown; names and magics stay.

    Args:
        shell: the interactive shell.
    """
    for undo in shell.__dict__.pop(_KEY, ()):
        undo()
    remove_completion(shell)
    remove_formatters(shell.display_formatter)
    show_full_errors(shell)


def _find_commands() -> None:
    """Lets `!camtest` and `!cgse` find the commands of this installation, also where its environment is not activated."""
    scripts = sysconfig.get_path("scripts")
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if scripts not in folders:
        os.environ["PATH"] = os.pathsep.join([scripts, *folders])


def _follow(shell: Any, setup: Setup) -> None:
    if not GlobalState.dry_run:
        shell.push({"setup": setup}, interactive=False)
