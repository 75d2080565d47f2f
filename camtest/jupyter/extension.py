"""IPython extension of the kernel `camtest`; `%load_ext camtest.jupyter.extension` does the same in any kernel."""

from __future__ import annotations

from typing import Any

from camtest.core.logs import log_as
from camtest.jupyter.namespace import namespace
from camtest.jupyter.progress import show_waits
from camtest.jupyter.status import session_status
from camtest.state import GlobalState
from egse.setup import Setup, on_active_setup


class _BannerOnce:
    """Shows the banner above the output of the first cell of a person, once per session."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def __call__(self, info: Any = None) -> None:
        if info is not None and (getattr(info, "silent", False) or not getattr(info, "store_history", True)):
            return
        self._shell.events.unregister("pre_run_cell", self)
        from IPython.display import display

        display(session_status())  # type: ignore[no-untyped-call]


def load_ipython_extension(shell: Any) -> None:
    """Puts the names of a session into the namespace, sets the banner, keeps `setup` up to date, logs, and shows long waits.

    Args:
        shell: the interactive shell.
    """
    # jedi evaluates `__getattr__` of every name it lists: TAB on a device would command it.
    shell.Completer.use_jedi = False
    log_as("kernel")
    shell.push(namespace(), interactive=False)
    shell.banner2 = f"{session_status()}\n"
    shell.events.register("pre_run_cell", _BannerOnce(shell))
    if hasattr(shell, "kernel"):  # a terminal has no output whose place a later one could take
        show_waits()
    on_active_setup(lambda setup: _follow(shell, setup))


def _follow(shell: Any, setup: Setup) -> None:
    if not GlobalState.dry_run:
        shell.push({"setup": setup}, interactive=False)
