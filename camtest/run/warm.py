"""Makes a kernel that has run a notebook as good as new for the next one; executed inside pooled kernels."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from camtest.core.variables import SETUP_FILE_VARIABLE
from camtest.state import GlobalState

_base: tuple[dict[str, str], frozenset[str]] | None = None
_INSTALLED = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]))


def refresh(shell: Any, names: dict[str, object], folder: str, setup_file: str | None) -> None:
    """Brings this kernel back to how it was: names, folder, environment, modules of notebooks, figures, dry run.

    Args:
        shell: the interactive shell.
        names: what a session starts with.
        folder: where the next notebook works.
        setup_file: Setup for its dry run; None for the usual one.
    """
    global _base
    if _base is None:
        _base = dict(os.environ), frozenset(sys.modules)
    environment, modules = _base
    os.environ.clear()
    os.environ.update(environment)
    if setup_file is not None:
        os.environ[SETUP_FILE_VARIABLE] = setup_file
    os.chdir(folder)
    for name in set(sys.modules) - modules:
        origin = getattr(sys.modules[name], "__file__", None)
        if origin is not None and not origin.startswith(_INSTALLED):
            del sys.modules[name]
    if "matplotlib.pyplot" in sys.modules:
        pyplot = sys.modules["matplotlib.pyplot"]
        pyplot.close("all")
        pyplot.rcdefaults()
    shell.reset(new_session=True)
    shell.push(names, interactive=False)
    GlobalState.reset()
    GlobalState.dry_run = True
