"""The client of the DPU control server."""

from __future__ import annotations

import threading
from typing import Any

from egse.command import CommandDefinition
from egse.dpu import errors as errors  # so that they arrive here as themselves
from egse.dpu.batch import CommandBatch, Ticket, TicketSubmitter
from egse.dpu.errors import DPUBatchError
from egse.dpu.interface import FEE_COMMANDS, DPUInterface
from egse.proxy import DynamicProxy

SETTINGS = "DPU Control Server"


class DPUProxy(DynamicProxy, DPUInterface):
    """Sends commands to the DPU control server.

    A command to the FEE (`n_fee_set_*`, `n_fee_clear_error_flags`) returns when it is acknowledged, in its slot; the next
    one may come too late for that. Two ways put more into one slot:

        with dpu.batch():                        # all of them in one slot, in this order, or none
            dpu.n_fee_set_internal_sync(2500)
            dpu.n_fee_set_register_values({"conv_dly": 14})

        tickets = [dpu.submit.n_fee_set_register_values({"h_end": n}) for n in (100, 200)]   # not waited for
        tickets[-1].wait("in effect", timeout=60)

    Args:
        endpoint: `tcp://host:port` of its commanding port; from the settings when None.
        timeout: how long a call waits [s]; commands to the FEE take up to one sync pulse (6.25 s at true speed).
    """

    settings_name = SETTINGS
    server_name = "dpu_cs"

    def __init__(self, *, endpoint: str | None = None, timeout: float = 30.0) -> None:
        super().__init__(endpoint=endpoint, timeout=timeout)
        self._local = threading.local()

    def batch(self, *, wait: bool = True) -> CommandBatch:
        """Collects the commands to the FEE of this thread, to be sent in one slot at the end of the `with` block.

        They are checked at once and return None; questions are answered as ever. An exception inside the block drops
        the batch, and an empty one does nothing.

        Args:
            wait: return when the FEE has acknowledged all; False: when they are queued, see `CommandBatch.ticket`.

        Raises:
            DPUBatchError: for a batch inside a batch.
            Exception: at the end of the block, what `send_batch` and `submit_commands` raise.
        """
        return CommandBatch(self, wait)

    @property
    def submit(self) -> TicketSubmitter:  # type: ignore[override]
        """The commands to the FEE without waiting: `ticket = dpu.submit.n_fee_set_dump_mode()`; others give futures."""
        return TicketSubmitter(self, super().submit)

    def get_ticket(self, ticket: str) -> Ticket:
        """Returns a ticket by its id, whoever it was given to.

        Raises:
            KeyError: when there is no such ticket (any more).
        """
        return Ticket(self, self.get_ticket_record(ticket))

    def get_tickets(self, last: int = 100) -> list[Ticket]:
        """Returns the newest tickets of the DPU, whoever they were given to, oldest first."""
        return [Ticket(self, record) for record in self.get_ticket_records(last)]

    def open_batch(self, batch: CommandBatch | None) -> None:
        """Sets the batch of this thread; used by `CommandBatch`."""
        if batch is not None and getattr(self._local, "batch", None) is not None:
            raise DPUBatchError("a batch inside a batch: end the first one before")
        self._local.batch = batch

    def _execute_command(
        self, definition: CommandDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        batch: CommandBatch | None = getattr(self._local, "batch", None)
        if batch is None or definition.name not in FEE_COMMANDS:
            return super()._execute_command(definition, args, kwargs)
        return batch.add(definition.name, definition.bind(args, kwargs))
