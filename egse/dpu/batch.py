"""Several commands in one slot, and commands that are not waited for, as a client sees them."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from egse.dpu.errors import DPUBatchError
from egse.dpu.interface import FEE_COMMANDS
from egse.dpu.tickets import TicketRecord, TicketState
from egse.submission import Submitter

if TYPE_CHECKING:
    from egse.dpu.proxy import DPUProxy

_LONGEST_WAIT: Final = 10.0
"""How long one question to the server waits [s]."""


class Ticket:
    """A command, or a batch of them, that is on its way to the FEE.

    Args:
        dpu: the proxy that asks about it.
        record: what is known now.
    """

    def __init__(self, dpu: DPUProxy, record: TicketRecord) -> None:
        self._dpu = dpu
        self._record = record

    @property
    def id(self) -> str:
        """Names it; any client can ask for it: `dpu.get_ticket(id)`."""
        return self._record.id

    @property
    def record(self) -> TicketRecord:
        """All that is known about it now."""
        if self._record.state not in (TicketState.IN_EFFECT, TicketState.FAILED):
            self._record = self._dpu.get_ticket_record(self.id)
        return self._record

    @property
    def state(self) -> TicketState:
        """Where it is now: "queued", "sent", "acknowledged", "in effect" or "failed"."""
        return self.record.state

    @property
    def reason(self) -> str:
        """Why it failed; empty when it did not."""
        return self.record.reason

    def wait(self, state: str = "acknowledged", timeout: float = 60.0) -> TicketRecord:
        """Waits until the command has got as far as `state`.

        Args:
            state: "sent", "acknowledged" or "in effect".
            timeout: how long to wait [s].

        Returns:
            What is known then.

        Raises:
            TimeoutError: when it has not come to that in time; it is still on its way.
            Exception: what made it fail.
        """
        wanted = TicketState(state)
        left = timeout
        while not self._record.has_reached(wanted):
            if left <= 0:
                raise TimeoutError(
                    f"{self!r} was not {state} within {timeout:g} s; it is still on its way: look at it again"
                )
            # In steps, so that no question outlasts the patience of the proxy; in a dry run they are virtual time.
            step = min(left, _LONGEST_WAIT, max(0.1, 0.5 * self._dpu.timeout))
            self._record = self._dpu.wait_for_ticket(self.id, str(wanted), step)  # type: ignore[arg-type]
            left -= step
        return self._record

    def result(self, timeout: float = 60.0) -> dict[str, Any]:
        """Waits until it is acknowledged and returns what the command itself would have returned."""
        record = self.wait("acknowledged", timeout)
        return {"timecode": record.timecode, "timestamp": record.acknowledged, "ticket": record.id}

    def __repr__(self) -> str:
        record = self._record
        what = record.commands[0] if len(record.commands) == 1 else f"{len(record.commands)} commands"
        where = "" if record.timecode is None else f", slot of timecode {record.timecode}"
        pulse = "" if record.pulse is None else f", pulse {record.pulse}"
        reason = f": {record.reason}" if record.reason else ""
        return f"<Ticket {record.id} {what}: {record.state}{where}{pulse}{reason}>"


class CommandBatch:
    """The commands inside a `with dpu.batch():` block.

    Attributes:
        commands: those collected, as `send_batch` takes them.
        result: what the FEE's acknowledgement gave (`timecode`, `timestamp`, `ticket`), after the block.
        ticket: of the batch, after the block; None for an empty one.
    """

    def __init__(self, dpu: DPUProxy, wait: bool) -> None:
        self.commands: list[dict[str, Any]] = []
        self.result: dict[str, Any] | None = None
        self.ticket: Ticket | None = None
        self._dpu = dpu
        self._wait = wait

    def add(self, name: str, arguments: dict[str, Any]) -> None:
        """Puts a command in; the arguments are checked already."""
        self.commands.append({"name": name, "arguments": arguments})

    def __enter__(self) -> Self:
        if self.commands:
            raise DPUBatchError("this batch was used already: make a new one")
        self._dpu.open_batch(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._dpu.open_batch(None)
        if exc is not None or not self.commands:
            return
        if self._wait:
            self.result = self._dpu.send_batch(self.commands)
            self.ticket = self._dpu.get_ticket(self.result["ticket"])
        else:
            self.ticket = Ticket(self._dpu, self._dpu.submit_commands(self.commands))


class TicketSubmitter:
    """The commands to the FEE, submitted: each returns a `Ticket` at once; other commands as with any proxy.

    Args:
        dpu: the proxy that sends them.
        others: for commands that do not go to the FEE.
    """

    def __init__(self, dpu: DPUProxy, others: Submitter) -> None:
        self._dpu = dpu
        self._others = others

    def __getattr__(self, name: str) -> Callable[..., Any]:
        definition = FEE_COMMANDS.get(name)
        if definition is None:
            return getattr(self._others, name)  # type: ignore[no-any-return]

        def submit(*args: Any, **kwargs: Any) -> Ticket:
            command = {"name": name, "arguments": definition.bind(args, kwargs)}
            return Ticket(self._dpu, self._dpu.submit_commands([command]))

        return submit
