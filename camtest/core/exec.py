"""Building blocks and how they are executed (chapter 21 of the manual).

    @building_block
    def set_trp1(temperature: Annotated[float, Range(-80, 40), Unit("degC")]) -> None:
        ...

    execute(set_trp1, temperature=-70.0, description="TRP1 to operating temperature")

A building block is called by keyword only and with all its arguments, only inside an observation, and never by itself
or by what it calls. Its start and end become events of the observation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from camtest.core.answers import split_options
from camtest.core.blocks import BlockDefinition, BuildingBlockError
from camtest.core.conditions import (
    DEFINITION_ATTRIBUTE,
    BlockOptions,
    ConditionError,
    ensures,
    on_abort,
    recovery,
    requires,
)
from camtest.core.context import (
    ACTIVE,
    Abort,
    BlockRefusedError,
    Call,
    HaltAbort,
    InterlockAbort,
    OperatorAbort,
    OperatorStop,
    PreconditionAbort,
    active_blocks,
)
from camtest.core.dryrun import DryRun, DryRunError
from camtest.core.observation import (
    checkpoint,
    current_context,
    current_obsid,
    decide,
    end_observation,
    observation,
    observing,
    start_observation,
)
from camtest.core.sequence import CommandSequence
from camtest.core.values import call_text
from camtest.state import active_dry_run, install_dry_run, setup_for_dry_run
from egse.confman import ObservationError
from egse.context import enter_command_context, leave_command_context

__all__ = [
    "Abort",
    "BlockRefusedError",
    "BuildingBlockError",
    "ConditionError",
    "DryRunError",
    "HaltAbort",
    "InterlockAbort",
    "ObservationError",
    "OperatorAbort",
    "OperatorStop",
    "PreconditionAbort",
    "active_blocks",
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
]

P = ParamSpec("P")
R = TypeVar("R")

_BRACKETS = (
    "@building_block is used without brackets and without arguments; write it on a line of its own above the function:"
    "\n\n    @building_block\n    def {name}(...)"
)


def building_block(function: Callable[P, R] | None = None, /, *args: Any, **kwargs: Any) -> Callable[P, R]:
    """Makes a function a building block; used without brackets.

    Args:
        function: a plain function whose parameters have no default, or None.

    Raises:
        BuildingBlockError: when the function breaks a rule; the text names function, parameter, file and line.
        TypeError: when the decorator is used with brackets.
    """
    if function is None or not callable(function) or args or kwargs:
        raise TypeError(_BRACKETS.format(name=getattr(function, "__name__", "my_building_block")))
    block = BlockDefinition(function)

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if args:
            raise block.refuse_positional(args)
        context = current_context()
        stack = ACTIVE.get()
        for call in stack:
            if call.block is block:
                raise _recursion(block, stack)
        arguments = block.arguments(kwargs)
        if context.attention:
            context.attend(block, stack)
        call = context.begin(block, arguments, stack[-1] if stack else None)
        try:
            sent_with = enter_command_context(call.commands)
            try:
                ACTIVE.set((*stack, call))
                options = block.options
                result = (
                    block.function(**arguments) if options is None else _between(options, call, arguments)
                )
            finally:
                ACTIVE.set(stack)
                leave_command_context(sent_with)
        except BaseException as exc:
            context.fail(call, exc)
            if not stack:
                context.leave()
                context.broke(call, arguments, exc)
                decision = context.hold(exc)
                if decision == "retry":
                    return run(**arguments)  # type: ignore[call-arg]
                if decision == "continue":
                    return None  # type: ignore[return-value]
            raise
        context.end(call, result)
        if not stack:
            context.leave()
            if context.attention:
                context.settle(call)
        return result  # type: ignore[no-any-return]

    run.BUILDING_BLOCK_FUNC = True  # type: ignore[attr-defined]
    setattr(run, DEFINITION_ATTRIBUTE, block)
    block.run = run
    return run


def _between(options: BlockOptions, call: Call, arguments: dict[str, Any]) -> Any:
    """Calls a building block between what it requires and what it ensures."""
    block = call.block
    call.entered = False
    options.require(block.name, arguments)
    call.entered = True
    result = block.function(**arguments)
    options.ensure(block.name, arguments, result)
    return result


def _recursion(block: BlockDefinition, stack: tuple[Call, ...]) -> BuildingBlockError:
    chain = " -> ".join(f"`{call.block.name}`" for call in stack)
    return BuildingBlockError(
        f"`{block.name}` is active already ({chain} -> `{block.name}`); a building block cannot be called recursively"
    )


def definition_of(function: Callable[..., Any]) -> BlockDefinition:
    """Returns the definition of a building block.

    Raises:
        BuildingBlockError: when `function` is no building block.
    """
    definition = getattr(function, DEFINITION_ATTRIBUTE, None)
    if getattr(function, "BUILDING_BLOCK_FUNC", False) and isinstance(definition, BlockDefinition):
        return definition
    name = getattr(function, "__name__", None)
    if name is None:
        raise BuildingBlockError(
            f"expected a building block, got {function!r}; pass the function itself, without parentheses: "
            "execute(my_building_block, name=value, ...)"
        )
    raise BuildingBlockError(
        f"`{name}` is not a building block; decorate it with @building_block (the function itself is passed, "
        "without parentheses)"
    )


def _prepared(
    function: Callable[..., R], kwargs: dict[str, Any], description: str | None, verb: str
) -> tuple[BlockDefinition, dict[str, Any]]:
    """Returns definition and complete arguments; everything is checked before an observation is opened."""
    block = definition_of(function)
    stack = active_blocks()
    if stack:
        raise BuildingBlockError(
            f"{verb}({block.name}, ...) cannot be used inside a building block (`{stack[-1]}` is active); call "
            f"`{block.name}(...)` directly"
        )
    if description is not None and "description" in block.names:
        kwargs = {**kwargs, "description": description}
    return block, block.arguments(kwargs)


def execute(building_block: Callable[..., R], /, *, description: str | None = None, **kwargs: Any) -> R:
    """Executes a building block as an observation of its own, for use at the prompt and in scripts.

    Never used inside a building block. When a runner holds the observation, the building block runs in that one.

    Args:
        building_block: the function itself, without parentheses.
        description: free text for the obsid table; handed on to a building block that has a parameter of this name.
        kwargs: all arguments of the building block, by name.

    Returns:
        What the building block returns.

    Raises:
        BuildingBlockError: when it is no building block, an argument is missing or unknown, or one is active.
        ObservationError: when an observation is running.
    """
    block, arguments = _prepared(building_block, kwargs, description, "execute")
    with observing(call_text(block.name, arguments), description or ""):
        return building_block(**arguments)


def generate_command_sequence(building_block: Callable[..., Any], /, **kwargs: Any) -> CommandSequence:
    """Executes a building block in a dry run and returns what it would command.

    No obsid is taken, nothing is written into the archive, nothing can reach hardware.

    Args:
        building_block: the function itself, without parentheses.
        kwargs: all arguments of the building block, by name. Besides, unless they are names of arguments: `seed` of the
            simulators, `responses`, `against` and `after` (see `camtest.core.answers`), `setup` (a Setup or a file).

    Raises:
        BuildingBlockError: as `execute` does.
        LookupError: when there is no observation `against`.
        Exception: what the building block raises.
    """
    kwargs, options, setup = split_options(definition_of(building_block).names, kwargs)
    block, arguments = _prepared(building_block, kwargs, None, "generate_command_sequence")
    title = call_text(block.name, arguments)
    outer = active_dry_run()
    dry_run = DryRun(setup or setup_for_dry_run(), title, supervised=True, options=options)
    install_dry_run(dry_run)
    try:
        building_block(**arguments)
    finally:
        install_dry_run(outer)
        dry_run.close()
    return dry_run.sequence
