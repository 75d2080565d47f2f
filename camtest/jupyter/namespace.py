"""The names that a session starts with: in the kernel, and in plain Python through `startup.py`."""

from __future__ import annotations

import camtest
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
from camtest.jupyter.status import SessionStatus, session_status
from camtest.state import GlobalState
from egse.setup import get_setup, list_setups, load_setup, submit_setup


def namespace() -> dict[str, object]:
    """Returns the names of a session with their objects; `setup` is the active Setup, None when there is none."""
    return {
        "camtest": camtest,
        "GlobalState": GlobalState,
        "setup": GlobalState.setup,
        "Abort": Abort,
        "ask": ask,
        "building_block": building_block,
        "checkpoint": checkpoint,
        "confirm": confirm,
        "current_obsid": current_obsid,
        "decide": decide,
        "end_observation": end_observation,
        "ensures": ensures,
        "execute": execute,
        "generate_command_sequence": generate_command_sequence,
        "get_setup": get_setup,
        "list_setups": list_setups,
        "load_setup": load_setup,
        "observation": observation,
        "on_abort": on_abort,
        "requires": requires,
        "session_status": session_status,
        "start_observation": start_observation,
        "submit_setup": submit_setup,
    }


__all__ = ["SessionStatus", "namespace", "session_status"]
