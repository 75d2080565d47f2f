"""Test scripts for the camera: building blocks, observations, procedures, and their Jupyter side.

Names are loaded when they are first used, so that `import camtest` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
        "requires",
        "start_observation",
    ),
    "camtest.core.prompts": ("ask", "confirm"),
    "camtest.core.redline": ("red_line",),
    "camtest.core.sequence": ("CommandSequence",),
    "camtest.state": ("GlobalState",),
    "egse.setup": ("get_setup", "list_setups", "load_setup", "submit_setup"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

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
    "requires",
    "red_line",
    "start_observation",
    "submit_setup",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'camtest' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
