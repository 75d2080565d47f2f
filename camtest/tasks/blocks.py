"""Tasks made of building blocks: their arguments, types, units and ranges are those of the building block.

    switch_on = block_task(ogse.ogse_swon, "Switch ON")

A task runs its building block in the observation that is running in its kernel, or else as an observation of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camtest.core.exec import current_obsid, execute
from camtest.tasks.exec import exec_ui, signature_of

DESCRIPTION = "description"


def in_observation(block: Callable[..., Any], description: str = "", **arguments: Any) -> Any:
    """Runs a building block in the running observation of this process, or as one of its own.

    Args:
        block: the building block.
        description: of the observation, when it is one of its own.
        arguments: of the building block, by name.

    Returns:
        What the building block returns.

    Raises:
        ObservationError: when another process has an observation running.
        Exception: what the building block raises.
    """
    if current_obsid() is not None:
        return block(**arguments)
    return execute(block, description=description, **arguments)


def block_task(
    block: Callable[..., Any],
    title: str,
    *,
    description: str | None = None,
    icons: tuple[str | Path, ...] | None = None,
    immediate_run: bool = False,
    allow_kernel_interrupt: bool = False,
    **defaults: Any,
) -> Callable[..., Any]:
    """Returns a task that runs a building block.

    Args:
        block: the building block.
        title: label of the button.
        description: default description of the observation; None for the title.
        icons: pictures of the button.
        immediate_run: it runs at the click.
        allow_kernel_interrupt: it may interrupt a running task.
        defaults: of arguments of the building block, which has none itself.
    """
    signature = signature_of(block)
    text = title if description is None else description
    parameters = [
        parameter.replace(
            kind=inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name, inspect.Parameter.empty)
        )
        for name, parameter in signature.parameters.items()
    ]
    parameters.append(
        inspect.Parameter(DESCRIPTION, inspect.Parameter.KEYWORD_ONLY, default=text, annotation=str)
    )

    def run(**arguments: Any) -> Any:
        return in_observation(block, arguments.pop(DESCRIPTION, text), **{**defaults, **arguments})

    caller = inspect.currentframe()
    module = (
        caller.f_back.f_globals["__name__"] if caller is not None and caller.f_back is not None else __name__
    )
    run.__name__ = run.__qualname__ = block.__name__
    run.__doc__ = block.__doc__
    run.__module__ = module
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__ui_source__ = inspect.unwrap(block)  # type: ignore[attr-defined]
    return exec_ui(
        display_name=title,
        icons=icons,
        immediate_run=immediate_run,
        allow_kernel_interrupt=allow_kernel_interrupt,
    )(run)
