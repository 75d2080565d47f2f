"""The part of the Tasks GUI in the kernel, or the process, that runs a task. Quick to import."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from camtest.tasks.compat import load_module


def begin_task(
    module: str, call: str, variables: Sequence[str] = (), namespace: Mapping[str, Any] | None = None
) -> None:
    """Loads the module of a task, with stand-ins for what is not installed; tells the running observation, if any.

    Args:
        module: full name.
        call: the call, for the record.
        variables: names that the call passes.
        namespace: where they are.

    Raises:
        NameError: when a variable is not there.
        Exception: what the module raises.
    """
    if variables:
        from camtest.tasks.calls import require_variables

        require_variables(variables, namespace or {})
    load_module(module)
    note_task(module, call)


def note_task(module: str, call: str) -> None:
    """Has the observation that this process takes part in, if any, know of a task."""
    observations = sys.modules.get("camtest.core.observation")
    if observations is None:
        return  # nothing here can have an observation
    with suppress(observations.ObservationError, OSError):
        running = observations.running_context()
        if running is not None:
            running.mark("task", module=module, call=call)
