"""The DPU controller: implements the commands, on a DPU Processor or, in a dry run, on the DPU core in this thread."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from egse.device import DeviceConnectionError
from egse.dpu.errors import DPUBatchError
from egse.dpu.interface import FEE_COMMANDS, DPUInterface
from egse.dpu.maps import FEEMaps
from egse.dpu.operations import check_arguments
from egse.dpu.slot import Commands
from egse.dpu.tickets import TicketBook, TicketRecord, TicketState
from egse.event import Event
from egse.mixin import DynamicCommandMixin
from egse.storage.naming import utc_text


class DPUBackend(Protocol):
    """What stands behind the controller."""

    def query(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Asks the mirror: "status", "registers", "register_value"."""

    tickets: TicketBook
    maps: FEEMaps

    def is_up_to_date(self) -> bool:
        """Returns True when `maps` are those of the loaded Setup."""

    def command(self, commands: Commands) -> Any:
        """Has commands sent to the FEE, in one slot, and returns `timecode`, `timestamp` and `ticket` once they are
        acknowledged; in a control server a future of these."""

    def submit(self, commands: Commands) -> TicketRecord:
        """Queues commands that go out in one slot; returns at once."""

    def wait(self, ticket: str, state: TicketState, timeout: float) -> Any:
        """Returns a ticket when it has reached a state, or failed, or after `timeout` [s]; in a control server a future."""

    def hdf5_files(self, obsid: str) -> list[str]:
        """Returns the finished raw files of an observation."""

    def connect(self) -> None:
        """Starts what there is to start; raises DeviceConnectionError when it does not."""

    def disconnect(self) -> None:
        """Ends it."""

    def is_connected(self) -> bool:
        """Returns True when packets come from the FEE."""

    def is_simulator(self) -> bool:
        """Returns True when the FEE is a simulated one."""

    def status(self) -> dict[str, Any]:
        """Returns what the backend knows besides the mirror."""


class DPUController(DPUInterface, DynamicCommandMixin):
    """Executes the DPU's commands.

    Args:
        backend: the DPU Processor, or the core of a dry run.
    """

    def __init__(self, backend: DPUBackend) -> None:
        self.backend = backend

    def has_applied(self, event: Event) -> bool:
        """Returns True when the maps of the Setup that was loaded last are in use; asked by the control server."""
        return self.backend.is_up_to_date()

    # -- connection ----------------------------------------------------------------------------------------------

    def connect(self) -> None:
        self.backend.connect()

    def disconnect(self) -> None:
        self.backend.disconnect()

    def is_connected(self) -> bool:
        try:
            return self.backend.is_connected()
        except (DeviceConnectionError, ConnectionError, TimeoutError):
            return False

    def is_simulator(self) -> bool:
        return self.backend.is_simulator()

    # -- questions -----------------------------------------------------------------------------------------------

    def _state(self, name: str) -> Any:
        return self.backend.query("status")[name]

    def n_fee_get_mode(self) -> int:
        return int(self._state("mode"))

    def n_fee_is_dump_mode(self) -> bool:
        return bool(self._state("dump_mode"))

    def n_fee_get_sync_mode(self) -> int:
        return int(self._state("internal_sync"))

    def n_fee_get_frame_number(self) -> int:
        return int(self._state("frame_number"))

    def n_fee_get_register_map(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.backend.query("registers"), dtype=np.uint8)

    def n_fee_get_register_value(self, name: str) -> int:
        return int(self.backend.query("register_value", {"name": name}))

    def get_num_cycles(self) -> int:
        return int(self._state("num_cycles"))

    def get_cycle_count(self) -> int:
        return int(self._state("cycle_count"))

    def get_timecode(self) -> dict[str, Any]:
        status = self.backend.query("status")
        timecode = status["timecode"]
        when = utc_text(status["timecode_timestamp"]) if timecode is not None else ""
        return {"timecode": timecode, "timestamp": when}

    def get_error_flags(self) -> int:
        return int(self._state("error_flags"))

    def get_status_summary(self) -> dict[str, Any]:
        return {**self.backend.query("status"), **self.backend.status()}

    def get_hdf5_files(self, obsid: str) -> list[str]:
        return self.backend.hdf5_files(obsid)

    def get_n_fee_housekeeping(self, since: str) -> dict[str, Any]:
        found: dict[str, Any] = self.backend.query("housekeeping", {"since": since})
        return found

    def get_unfinished_files(self) -> int:
        return int(self.backend.query("status").get("unfinished_files", 0))

    # -- commands to the FEE -------------------------------------------------------------------------------------

    def _send(self, name: str, **arguments: Any) -> dict[str, Any]:
        check_arguments(name, arguments, self.backend.maps)
        result: dict[str, Any] = self.backend.command([(name, arguments)])  # or its future, see `DPUBackend`
        return result

    def _checked(self, commands: list[dict[str, Any]]) -> Commands:
        if not commands:
            raise DPUBatchError("there are no commands in the batch")
        checked = []
        for item in commands:
            name = str(item.get("name"))
            definition = FEE_COMMANDS.get(name)
            if definition is None:
                raise DPUBatchError(f"{name!r} is no command to the FEE; there are {', '.join(FEE_COMMANDS)}")
            arguments = definition.bind((), dict(item.get("arguments") or {}))
            check_arguments(name, arguments, self.backend.maps)
            checked.append((name, arguments))
        return checked

    def send_batch(self, commands: list[dict[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = self.backend.command(self._checked(commands))
        return result

    def submit_commands(self, commands: list[dict[str, Any]]) -> TicketRecord:
        return self.backend.submit(self._checked(commands))

    def get_ticket_record(self, ticket: str) -> TicketRecord:
        return self.backend.tickets.find(ticket)

    def get_ticket_records(self, last: int = 100) -> list[TicketRecord]:
        return self.backend.tickets.last(last)

    def wait_for_ticket(self, ticket: str, state: str, timeout: float) -> TicketRecord:
        record: TicketRecord = self.backend.wait(ticket, TicketState(state), timeout)
        return record

    def n_fee_set_on_mode(self) -> dict[str, Any]:
        return self._send("n_fee_set_on_mode")

    def n_fee_set_standby_mode(self) -> dict[str, Any]:
        return self._send("n_fee_set_standby_mode")

    def n_fee_set_dump_mode(self) -> dict[str, Any]:
        return self._send("n_fee_set_dump_mode")

    def n_fee_set_full_image_mode(
        self,
        num_cycles: int,
        row_start: int,
        row_end: int,
        rows_final_dump: int,
        ccd_order: list[int],
        ccd_side: str,
    ) -> dict[str, Any]:
        return self._send(
            "n_fee_set_full_image_mode",
            num_cycles=num_cycles,
            row_start=row_start,
            row_end=row_end,
            rows_final_dump=rows_final_dump,
            ccd_order=ccd_order,
            ccd_side=ccd_side,
        )

    def n_fee_set_internal_sync(self, int_sync_period: int) -> dict[str, Any]:
        return self._send("n_fee_set_internal_sync", int_sync_period=int_sync_period)

    def n_fee_set_external_sync(self) -> dict[str, Any]:
        return self._send("n_fee_set_external_sync")

    def n_fee_set_register_values(self, values: dict[str, Any]) -> dict[str, Any]:
        return self._send("n_fee_set_register_values", values=values)

    def n_fee_clear_error_flags(self) -> dict[str, Any]:
        return self._send("n_fee_clear_error_flags")
