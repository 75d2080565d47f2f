"""What stands beside a building block: what it requires, what it ensures, and how it is made safe.

    @building_block
    @requires(n_fee_is_dump_mode, "the camera is in DUMP mode")
    @ensures(lamp_is_on, "the lamp burns")
    @on_abort(safe=ogse_swoff)
    def ogse_swon() -> None: ...

The decorators stand on either side of `@building_block`, which keeps its form without brackets. `on_abort` can also be
applied to a building block of somebody else: `on_abort(safe=ogse_swoff)(ogse.ogse_swon)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from camtest.core.context import PreconditionAbort

OPTIONS_ATTRIBUTE = "__block_options__"
DEFINITION_ATTRIBUTE = "__building_block__"

F = TypeVar("F", bound=Callable[..., Any])


class ConditionError(RuntimeError):
    """What a building block ensures does not hold after it has run."""


@dataclass(frozen=True)
class SafeCall:
    """A building block that makes safe, by name, so that another process can run it.

    Attributes:
        name: `package.module.function`.
        arguments: all its arguments.
        block: the function itself, when it is at hand.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    block: Callable[..., Any] | None = field(default=None, compare=False)


class Condition:
    """A question whose answer must be true.

    Args:
        question: a function without side effects; its parameters are arguments of the building block, by name.
        text: what must be so, as it follows on "requires that".
    """

    def __init__(self, question: Callable[..., object], text: str = "") -> None:
        self.question = question
        self.name = getattr(question, "__name__", "the condition")
        self.text = text or f"`{self.name}` is true"
        self._wanted = tuple(inspect.signature(question).parameters)

    def check_against(self, block: str, names: frozenset[str]) -> None:
        """Raises TypeError when the question asks for something that the building block does not have."""
        unknown = [name for name in self._wanted if name not in names and name != "result"]
        if unknown:
            raise TypeError(
                f"`{self.name}` asks for {', '.join(unknown)}, which building block `{block}` does not have"
            )

    def ask(self, arguments: Mapping[str, Any]) -> object:
        """Returns the answer; whatever the question raises is raised."""
        return self.question(**{name: arguments[name] for name in self._wanted})


@dataclass
class BlockOptions:
    """What was declared beside a building block; empty for most.

    Attributes:
        requires: must hold before it starts.
        ensures: must hold after it has ended.
        safe: makes safe what it may leave when it ends badly.
        recovers: automatic reactions may run it, see `recovery`.
    """

    requires: list[Condition] = field(default_factory=list)
    ensures: list[Condition] = field(default_factory=list)
    safe: SafeCall | None = None
    recovers: bool = False

    @property
    def safe_event(self) -> dict[str, Any] | None:
        """What makes safe, as it stands in the event of a start."""
        return None if self.safe is None else {"name": self.safe.name, "arguments": dict(self.safe.arguments)}

    def require(self, block: str, arguments: Mapping[str, Any]) -> None:
        """Returns when everything holds that the building block requires.

        Raises:
            PreconditionAbort: naming what does not hold, or could not be found out.
        """
        for condition in self.requires:
            try:
                answer = condition.ask(arguments)
            except (OSError, LookupError, ArithmeticError) as exc:
                raise PreconditionAbort(
                    f"`{block}` requires that {condition.text}, which cannot be found out: {exc}"
                ) from exc
            if not answer:
                raise PreconditionAbort(
                    f"`{block}` requires that {condition.text}; that is not so (`{condition.name}` gives {answer!r})"
                )

    def ensure(self, block: str, arguments: Mapping[str, Any], result: Any) -> None:
        """Returns when everything holds that the building block ensures; raises ConditionError otherwise."""
        known = {**arguments, "result": result}
        for condition in self.ensures:
            answer = condition.ask(known)
            if not answer:
                raise ConditionError(
                    f"`{block}` has run, but it is not so that {condition.text} (`{condition.name}` gives {answer!r})"
                )


def options_of(function: Callable[..., Any]) -> BlockOptions:
    """Returns the options of a function that is, or will become, a building block; made when there are none."""
    definition = getattr(function, DEFINITION_ATTRIBUTE, None)
    bare = function if definition is None else definition.function
    options = getattr(bare, OPTIONS_ATTRIBUTE, None)
    if not isinstance(options, BlockOptions):
        options = BlockOptions()
        setattr(bare, OPTIONS_ATTRIBUTE, options)
    if definition is not None:
        definition.options = options
    return options


def _checked(condition: Callable[..., object], text: str, function: Callable[..., Any]) -> Condition:
    if not callable(condition):
        raise TypeError(f"expected a function that says whether it is so, got {condition!r}")
    if getattr(condition, "BUILDING_BLOCK_FUNC", False):
        raise TypeError(
            f"`{condition.__name__}` is a building block, it may change something; conditions are plain functions"
        )
    checked = Condition(condition, text)
    bare = inspect.unwrap(function)
    checked.check_against(getattr(bare, "__name__", "?"), frozenset(inspect.signature(bare).parameters))
    return checked


def requires(condition: Callable[..., object], text: str = "") -> Callable[[F], F]:
    """Declares what must hold before a building block starts; may stand several times, checked in that order.

    Args:
        condition: a plain function; its parameters are arguments of the building block, by name.
        text: what must be so, in words: "the lamp burns".

    Raises:
        TypeError: when it asks for an argument that the building block does not have, or is a building block itself.
    """

    def declare(function: F) -> F:
        options_of(function).requires.insert(0, _checked(condition, text, function))
        return function

    return declare


def ensures(condition: Callable[..., object], text: str = "") -> Callable[[F], F]:
    """Declares what must hold after a building block has ended; as `requires`, and a parameter `result` is its result."""

    def declare(function: F) -> F:
        options_of(function).ensures.insert(0, _checked(condition, text, function))
        return function

    return declare


def on_abort(safe: Callable[..., Any], **arguments: Any) -> Callable[[F], F]:
    """Declares which building block makes safe what this one may leave when it ends badly.

    It runs when an operator aborts, and when the observation ends while nobody has decided about the failure: innermost
    first, once. When the process is gone another one runs it, so it must be possible to import it.

    Args:
        safe: a building block.
        arguments: all its arguments.

    Raises:
        TypeError: when `safe` is no building block.
        BuildingBlockError: when the arguments do not fit.
    """
    definition = getattr(safe, DEFINITION_ATTRIBUTE, None)
    if definition is None:
        raise TypeError(f"safe={safe!r} is no building block; what makes safe changes something")
    call = SafeCall(definition.qualified_name, definition.arguments(arguments), safe)

    def declare(function: F) -> F:
        options_of(function).safe = call
        return function

    return declare


def recovery(function: F) -> F:
    """Declares that automatic reactions may run a building block while nobody looks; it stands above `@building_block`.

    What it declares: it brings the equipment into a safer state from whatever state it is in, it can be run again, and it
    asks nobody. Can also be applied to a building block of somebody else: `recovery(ogse.ogse_swoff)`.
    """
    options_of(function).recovers = True
    return function
