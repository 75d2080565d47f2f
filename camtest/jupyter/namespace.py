"""The names that a session starts with: in the kernel, and in plain Python through `startup.py`."""

from __future__ import annotations

import camtest
from camtest.core.exec import (
    Abort,
    building_block,
    current_obsid,
    end_observation,
    execute,
    generate_command_sequence,
    observation,
    start_observation,
)
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
        "building_block": building_block,
        "current_obsid": current_obsid,
        "end_observation": end_observation,
        "execute": execute,
        "generate_command_sequence": generate_command_sequence,
        "get_setup": get_setup,
        "list_setups": list_setups,
        "load_setup": load_setup,
        "observation": observation,
        "session_status": session_status,
        "start_observation": start_observation,
        "submit_setup": submit_setup,
    }


__all__ = ["SessionStatus", "namespace", "session_status"]
