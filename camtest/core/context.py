"""The execution context of this process: which observation runs, and which building blocks are active in it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from camtest.core.blocks import BlockDefinition
    from camtest.core.sequence import CommandSequence


class Abort(Exception):
    """Ends the observation on purpose: a precondition does not hold, or the operator said stop.

    The observation is closed with status `aborted`. Give derived exceptions a name that ends in `Abort`.
    """


class Call:
    """One call of a building block that is active now.

    Attributes:
        block: the definition of the building block.
        number: number of the call in this process, starting at 1.
        token: whatever the context wants back at the end.
    """

    __slots__ = ("block", "number", "token")

    def __init__(self, block: BlockDefinition, number: int, token: Any = None) -> None:
        self.block = block
        self.number = number
        self.token = token


class ExecutionContext(Protocol):
    """Where building blocks register: the running observation, or a dry run."""

    sequence: CommandSequence

    @property
    def elapsed(self) -> float:
        """Time since the start of the sequence [s]."""

    @property
    def obsid(self) -> str:
        """Full obsid, SITE_SETUP_TEST."""

    def begin(self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None) -> Call:
        """Registers the start of a building block."""

    def end(self, call: Call, result: Any) -> None:
        """Registers its good end."""

    def fail(self, call: Call, error: BaseException) -> None:
        """Registers that it raised."""


ACTIVE: ContextVar[tuple[Call, ...]] = ContextVar("active_building_blocks", default=())
"""The active building blocks of this thread or task, outermost first."""


RED_LINE: ContextVar[str] = ContextVar("active_red_line", default="")
"""Number and kind of the red line whose `with` block is active, empty outside; see `camtest.core.redline`."""


def active_blocks() -> tuple[str, ...]:
    """Returns the names of the active building blocks, outermost first."""
    return tuple(call.block.name for call in ACTIVE.get())
