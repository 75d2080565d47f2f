"""The execution context of this process: which observation runs, and which building blocks are active in it.

What ends an observation on purpose:

    Abort                       a script refuses to go on
      PreconditionAbort         what a building block requires does not hold
      InterlockAbort            a limit that the Setup declares does not hold
      OperatorAbort             an operator said `abort`: safes run
      HaltAbort                 an operator said `halt`: no safes
    OperatorStop                an operator said `stop`: a good end
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from camtest.core.blocks import BlockDefinition
    from camtest.core.sequence import CommandSequence, SequenceEntry
    from egse.context import CommandContext


class Abort(Exception):
    """Ends the observation on purpose: a precondition does not hold, or the operator said stop.

    The observation is closed with status `aborted`. Give derived exceptions a name that ends in `Abort`.
    """


class PreconditionAbort(Abort):
    """What a building block requires does not hold; nothing of it has been executed."""


class InterlockAbort(Abort):
    """An interlock of the Setup does not hold."""


class OperatorAbort(Abort):
    """An operator said `abort`: the safes run, the observation ends as aborted."""


class HaltAbort(Abort):
    """An operator said `halt`: nothing more is commanded, the observation ends as aborted."""


class OperatorStop(Exception):
    """An operator said `stop`: the observation ends well at this checkpoint."""


class Call(msgspec.Struct, eq=False):
    """One call of a building block that is active now.

    Attributes:
        block: the definition of the building block.
        number: number of the call in this process, starting at 1.
        token: whatever the context wants back at the end.
        commands: what its commands carry along.
        entered: the function itself has been called; False while its preconditions are checked.
    """

    block: BlockDefinition
    number: int
    commands: CommandContext
    token: Any = None
    entered: bool = True


@dataclass(frozen=True)
class Failure:
    """The building block that failed last, until the operator has decided what to do about it.

    Attributes:
        block: its definition.
        arguments: with which it was called.
        error: what it raised.
        retry: the operator wants it to be repeated.
    """

    block: BlockDefinition
    arguments: dict[str, Any]
    error: BaseException
    retry: bool = False

    @property
    def text(self) -> str:
        """The error on one line."""
        return f"{type(self.error).__name__}: {self.error}".splitlines()[0]


class ExecutionContext(ABC):
    """Where building blocks register: the running observation, or a dry run.

    Attributes:
        failure: the building block that failed and was not decided about.
        attention: there is something to look at before a building block starts; False most of the time.
    """

    failure: Failure | None = None
    attention: bool = False

    sequence: CommandSequence

    @property
    @abstractmethod
    def elapsed(self) -> float:
        """Time since the start of the sequence [s]."""

    @property
    @abstractmethod
    def obsid(self) -> str:
        """Full obsid, SITE_SETUP_TEST."""

    @abstractmethod
    def entry_of(self, call: Call) -> SequenceEntry | None:
        """Returns what stands for a call in the sequence; None when the sequence does not show it."""

    @abstractmethod
    def begin(self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None) -> Call:
        """Registers the start of a building block."""

    @abstractmethod
    def end(self, call: Call, result: Any) -> None:
        """Registers its good end."""

    @abstractmethod
    def fail(self, call: Call, error: BaseException) -> None:
        """Registers that it raised."""

    def attend(self, block: BlockDefinition, stack: tuple[Call, ...]) -> None:
        """Looks at what stands in the way of a building block; called before it starts when `attention` is set.

        Raises:
            BlockRefusedError: when an earlier one failed and the operator has not decided.
            Abort, OperatorStop: when the observation ends.
        """
        if not stack and self.failure is not None:
            self._refuse_after_failure(block)

    def _refuse_after_failure(self, block: BlockDefinition) -> None:
        failure = self.failure
        if failure is None:
            return
        if failure.retry and failure.block.qualified_name == block.qualified_name:
            self.failure = None
            return
        raise BlockRefusedError(block.name, failure)

    def broke(self, call: Call, arguments: dict[str, Any], error: BaseException) -> None:  # noqa: B027 (a dry run does nothing here)
        """Called when an outermost building block has raised; in an observation later ones are refused from then on."""

    def hold(self, error: BaseException) -> str:
        """Returns what an operator decides about the outermost building block that has raised: retry, continue or "".

        Raises:
            OperatorAbort, HaltAbort: when an operator ends the observation.
        """
        return ""

    def leave(self) -> None:  # noqa: B027 (the same)
        """Called when an outermost building block has ended, however."""

    def settle(self, call: Call) -> None:  # noqa: B027 (the same)
        """Called when an outermost building block has ended well while `attention` is set."""


class BlockRefusedError(RuntimeError):
    """A building block is refused because an earlier one failed."""

    def __init__(self, name: str, failure: Failure) -> None:
        wanted = "repeated first, as you decided" if failure.retry else "decided about first"
        super().__init__(
            f"`{name}` is refused: `{failure.block.name}` has failed ({failure.text}) and must be {wanted}. Look at the "
            'equipment, then decide("continue", reason=...) to go on as if it had not, decide("retry") to repeat '
            f'`{failure.block.name}`, or decide("abort") to make safe and end; from a terminal: `camtest decide`'
        )


ACTIVE: ContextVar[tuple[Call, ...]] = ContextVar("active_building_blocks", default=())
"""The active building blocks of this thread or task, outermost first."""


RED_LINE: ContextVar[str] = ContextVar("active_red_line", default="")
"""Number and kind of the red line whose `with` block is active, empty outside; see `camtest.core.redline`."""


def active_blocks() -> tuple[str, ...]:
    """Returns the names of the active building blocks, outermost first."""
    return tuple(call.block.name for call in ACTIVE.get())
