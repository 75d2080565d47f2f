"""Test scripts for the camera: building blocks, observations, procedures, and their Jupyter side.

Names are loaded when they are first used, so that `import camtest` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egse.lazy import lazy_names

if TYPE_CHECKING:
    from camtest.core.exec import (
        Abort,
        building_block,
        checkpoint,
        current_obsid,
        decide,
        end_observation,
        ensures,
        execute,
        generate_command_sequence,
        observation,
        on_abort,
        recovery,
        requires,
        start_observation,
    )
    from camtest.core.prompts import ask, confirm
    from camtest.core.redline import red_line
    from camtest.core.sequence import CommandSequence
    from camtest.state import GlobalState
    from egse.setup import get_setup, list_setups, load_setup, submit_setup

_HOMES = {
    "camtest.core.exec": (
        "Abort",
        "building_block",
        "checkpoint",
        "current_obsid",
        "decide",
        "end_observation",
        "ensures",
        "execute",
        "generate_command_sequence",
        "observation",
        "on_abort",
        "recovery",
        "requires",
        "start_observation",
    ),
    "camtest.core.prompts": ("ask", "confirm"),
    "camtest.core.redline": ("red_line",),
    "camtest.core.sequence": ("CommandSequence",),
    "camtest.state": ("GlobalState",),
    "egse.setup": ("get_setup", "list_setups", "load_setup", "submit_setup"),
}
_EXTENSION = {
    "load_ipython_extension": "camtest.jupyter.extension",  # %load_ext camtest
    "unload_ipython_extension": "camtest.jupyter.extension",
}
_HOME_OF = _EXTENSION | {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Abort",
    "CommandSequence",
    "GlobalState",
    "ask",
    "building_block",
    "checkpoint",
    "confirm",
    "current_obsid",
    "decide",
    "end_observation",
    "ensures",
    "execute",
    "generate_command_sequence",
    "get_setup",
    "list_setups",
    "load_setup",
    "observation",
    "on_abort",
    "recovery",
    "requires",
    "red_line",
    "start_observation",
    "submit_setup",
]


__getattr__, __dir__ = lazy_names(__name__, _HOME_OF, __all__)
