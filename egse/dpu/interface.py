"""Commands of the DPU.

Two kinds: questions, answered at once from the mirror of the FEE in the DPU Processor, and commands to the FEE (`n_fee_set_*`,
`n_fee_clear_error_flags`), which are sent in the next command slot. These return when they are sent and acknowledged, at most one sync
pulse later (6.25 s in external synchronisation, at the speed of the site); they take effect at the next long pulse, which shows in
`n_fee_get_mode` and the other questions then.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from egse.command import Range, Unit, commands_of, dynamic_interface, needs_setup
from egse.deferral import deferred
from egse.device import DeviceInterface
from egse.dpu.tickets import TicketRecord
from egse.security.roles import observe

CCDSideName = Literal["E", "F", "BOTH"]
TicketStateName = Literal["queued", "sent", "acknowledged", "in effect", "failed"]
Row = Annotated[int, Range(0, 65535), Unit("row")]


class DPUInterface(DeviceInterface):
    """The DPU control server's commands (developer manual, section 14.1; FEE operations reference, sections 8 and 9)."""

    # -- questions, answered from the mirror ---------------------------------------------------------------------

    @observe
    @dynamic_interface
    def n_fee_get_mode(self) -> int:
        """Returns the mode in effect, see `egse.fee.n_fee_mode`."""

    @observe
    @dynamic_interface
    def n_fee_is_dump_mode(self) -> bool:
        """Returns True in DUMP mode: full-image mode, dump gate high, nothing digitised."""

    @observe
    @dynamic_interface
    def n_fee_get_sync_mode(self) -> int:
        """Returns 0 for external and 1 for internal synchronisation (register field `sync_sel`, in effect)."""

    @observe
    @dynamic_interface
    def n_fee_get_frame_number(self) -> int:
        """Returns the number of the running frame in its cycle, 0..3."""

    @observe
    @dynamic_interface
    def n_fee_get_register_map(self) -> NDArray[np.uint8]:
        """Returns the mirror of the register memory: uint8, shape (2048,); read it with `egse.reg.RegisterMap`."""

    @observe
    @dynamic_interface
    def n_fee_get_register_value(self, name: str) -> int:
        """Returns the value of one register field in the mirror: as last written, perhaps not yet in effect.

        Args:
            name: name of the field.

        Raises:
            KeyError: when there is no such field.
        """

    @observe
    @dynamic_interface
    def get_num_cycles(self) -> int:
        """Returns how many image cycles are still to come, the running one included; 0 when they are not counted."""

    @observe
    @dynamic_interface
    def get_cycle_count(self) -> int:
        """Returns the number of long pulses (readout cycles) seen since the DPU Processor started."""

    @observe
    @dynamic_interface
    def get_timecode(self) -> dict[str, Any]:
        """Returns `timecode` (0..63, None before the first) and `timestamp`, the UTC text of its reception."""

    @observe
    @dynamic_interface
    def get_error_flags(self) -> int:
        """Returns the error flags of the last readout; `egse.fee.error_flag_names` tells their meaning."""

    @observe
    @dynamic_interface
    def get_status_summary(self) -> dict[str, Any]:
        """Returns the whole state: mode, synchronisation, position in the cycle, counters, backlog, processor."""

    @observe
    @dynamic_interface
    def get_hdf5_files(self, obsid: str) -> list[str]:
        """Returns the paths of the finished raw files of an observation, in the order of time.

        Args:
            obsid: full obsid, SITE_SETUP_TEST.
        """

    @observe
    @dynamic_interface
    def get_unfinished_files(self) -> int:
        """Returns how many cycles have ended whose raw file is not on disk yet; 0 when everything is written."""

    @observe
    @dynamic_interface
    def get_n_fee_housekeeping(self, since: str) -> dict[str, Any]:
        """Returns housekeeping areas that the DPU Processor has received; it keeps those of about a day, since its start.

        Args:
            since: time of reception (UTC text) after which they came; empty for all.

        Returns:
            `rows`: the oldest 500 of them, as [number, timestamp, 144 bytes]; `first`: number of the oldest one that is kept.
        """

    # -- commands to the FEE, sent in the next slot --------------------------------------------------------------

    @deferred
    @dynamic_interface
    def n_fee_set_on_mode(self) -> dict[str, Any]:
        """Commands ON mode; from modes without a direct transition with Immediate-On, which acts at once.

        Returns:
            `timecode` in whose slot it was sent, `timestamp` (Unix time [s]), and `ticket`, which tells later whether it
            is in effect.

        Raises:
            DPUProcessorError, RMAPError: when it was not sent, or the outcome is not known.
        """

    @deferred
    @dynamic_interface
    def n_fee_set_standby_mode(self) -> dict[str, Any]:
        """Commands STANDBY mode. Returns and raises as `n_fee_set_on_mode`.

        Raises:
            FEEModeError: when the mode in effect has no transition to STANDBY.
        """

    @deferred
    @needs_setup
    @dynamic_interface
    def n_fee_set_dump_mode(self) -> dict[str, Any]:
        """Commands DUMP mode in external synchronisation: all rows dumped, nothing digitised, default CCD order.

        Returns and raises as `n_fee_set_on_mode`.

        Raises:
            FEEModeError: when the mode in effect has no transition to full-image mode.
        """

    @deferred
    @needs_setup
    @dynamic_interface
    def n_fee_set_full_image_mode(
        self,
        num_cycles: Annotated[int, Range(0, 1_000_000)],
        row_start: Row,
        row_end: Row,
        rows_final_dump: Row,
        ccd_order: list[int],
        ccd_side: CCDSideName,
    ) -> dict[str, Any]:
        """Commands full-image mode. Returns and raises as `n_fee_set_on_mode`.

        Args:
            num_cycles: number of cycles, after which the DPU returns to DUMP mode by itself; 0 for no end.
            row_start: first row digitised; rows below it are dumped.
            row_end: last row digitised, inclusive; above 4509 parallel overscan.
            rows_final_dump: rows dumped after the readout.
            ccd_order: CCD (CGSE number 1..4) read at each of the four pulses.
            ccd_side: side(s) transmitted.

        Raises:
            FEEModeError: when the mode in effect has no transition to full-image mode.
            ValueError: when rows or CCD order make no sense.
        """

    @deferred
    @dynamic_interface
    def n_fee_set_internal_sync(
        self, int_sync_period: Annotated[int, Range(1, 65535), Unit("ms")]
    ) -> dict[str, Any]:
        """Commands internal synchronisation: every pulse is long. Returns and raises as `n_fee_set_on_mode`.

        Args:
            int_sync_period: period [ms]; the FEE adds the 400 ms of the pulse.
        """

    @deferred
    @dynamic_interface
    def n_fee_set_external_sync(self) -> dict[str, Any]:
        """Commands synchronisation by the AEU's pulses. Returns and raises as `n_fee_set_on_mode`."""

    @deferred
    @needs_setup
    @dynamic_interface
    def n_fee_set_register_values(self, values: dict[str, Any]) -> dict[str, Any]:
        """Writes register fields, all in one slot, in the order of their addresses, or none of them.

        Args:
            values: new values by field.

        Returns:
            As `n_fee_set_on_mode`.

        Raises:
            KeyError, ValueError: when a field does not exist or a value does not fit; nothing is sent.
            FEEModeError: when a change of mode is among them that the FEE would refuse.
            RMAPError: when a write failed; those before it were put back.
        """

    @deferred
    @dynamic_interface
    def n_fee_clear_error_flags(self) -> dict[str, Any]:
        """Clears the error flags of the FEE. Returns and raises as `n_fee_set_on_mode`."""

    # -- several at once, and without waiting --------------------------------------------------------------------

    @deferred
    @needs_setup
    @dynamic_interface
    def send_batch(self, commands: list[dict[str, Any]]) -> dict[str, Any]:
        """Sends commands in one slot, in their order, or none of them; from Python: `with dpu.batch():`.

        Args:
            commands: maps with `name` (a command to the FEE) and `arguments` (by name).

        Returns:
            As `n_fee_set_on_mode`.

        Raises:
            DPUBatchError: when there is none, or one is no command to the FEE.
            CommandError, KeyError, ValueError, FEEModeError: when one makes no sense; nothing is sent.
            RMAPError: when a write failed; those before it were put back.
            SlotOverrunError: when they do not fit into a slot; what was written was put back.
        """

    @needs_setup
    @dynamic_interface
    def submit_commands(self, commands: list[dict[str, Any]]) -> TicketRecord:
        """Queues commands that go out in one slot, and returns at once; from Python: `dpu.submit.n_fee_set_on_mode()`.

        Args:
            commands: as in `send_batch`.

        Returns:
            A ticket that tells what becomes of them.

        Raises:
            DPUBatchError, CommandError, KeyError, ValueError: as in `send_batch`; nothing is queued.
            DPUProcessorError: when the DPU Processor is not there.
        """

    @observe
    @dynamic_interface
    def get_ticket_record(self, ticket: str) -> TicketRecord:
        """Returns what has become of a command.

        Raises:
            KeyError: when there is no such ticket (any more).
        """

    @observe
    @dynamic_interface
    def get_ticket_records(self, last: Annotated[int, Range(0, 1000)] = 100) -> list[TicketRecord]:
        """Returns the newest tickets, whoever they belong to, oldest first."""

    @observe
    @deferred
    @dynamic_interface
    def wait_for_ticket(
        self, ticket: str, state: TicketStateName, timeout: Annotated[float, Range(0, 60), Unit("s")]
    ) -> TicketRecord:
        """Returns a ticket when it has reached a state, or failed, or when the time is over: as it is then.

        Args:
            ticket: its id.
            state: `sent`, `acknowledged`, `in effect`.
            timeout: how long to wait.

        Raises:
            KeyError: when there is no such ticket (any more).
        """


FEE_COMMANDS = {
    name: definition
    for name, definition in commands_of(DPUInterface).items()
    if name.startswith(("n_fee_set_", "n_fee_clear_"))
}
"""The commands that go to the FEE, in a slot, by name."""
