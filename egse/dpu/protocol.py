"""Life and housekeeping of the DPU control server."""

from __future__ import annotations

from typing import Any

from egse.dpu.backend import ProcessorBackend
from egse.dpu.controller import DPUController
from egse.dpu.errors import DPUProcessorError
from egse.protocol import Protocol

_COLUMNS = {
    "mode": "GDPU_N_FEE_MODE",
    "dump_mode": "GDPU_N_FEE_DUMP_MODE",
    "internal_sync": "GDPU_N_FEE_INTERNAL_SYNC",
    "frame_number": "GDPU_N_FEE_FRAME_NUMBER",
    "frame_counter": "GDPU_N_FEE_FRAMECOUNTER",
    "timecode": "GDPU_TIMECODE",
    "num_cycles": "GDPU_NUM_CYCLES",
    "cycle_count": "GDPU_CYCLE_COUNT",
    "error_flags": "GDPU_N_FEE_ERROR_FLAGS",
    "queued_commands": "GDPU_QUEUED_COMMANDS",
    "hdf5_backlog": "GDPU_HDF5_BACKLOG",
    "unfinished_files": "GDPU_UNFINISHED_FILES",
}


class DPUProtocol(Protocol):
    """Starts the DPU Processor with the server and ends it with the server.

    One housekeeping row: mode and position of the N-FEE as mirrored, counters of packets and problems (`GDPU_*`), and
    `GDPU_PROCESSOR_RESTARTS`. `GDPU_TIMECODE` is -1 before the first.
    """

    controller: DPUController

    def start(self) -> None:
        """Starts the DPU Processor; the N-FEE may still be away."""
        backend = self.controller.backend
        if isinstance(backend, ProcessorBackend):
            backend.start()

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row; none while the processor is being started again."""
        try:
            status = self.controller.get_status_summary()
        except (DPUProcessorError, TimeoutError):
            return {}
        row = {column: status.get(name, 0) for name, column in _COLUMNS.items()}
        row["GDPU_TIMECODE"] = -1 if status["timecode"] is None else status["timecode"]
        row |= {f"GDPU_{name.upper()}": value for name, value in status["counters"].items()}
        row["GDPU_PROCESSOR_RESTARTS"] = status.get("processor_restarts", 0)
        return row

    def get_status(self) -> dict[str, Any]:
        """Returns the state of N-FEE and processor as far as it is known."""
        try:
            return {"dpu": self.controller.get_status_summary()}
        except (DPUProcessorError, TimeoutError) as exc:
            return {"dpu": f"no answer from the DPU Processor: {exc}"}

    def quit(self) -> None:
        """Ends the DPU Processor: the running cycle is closed as it stands."""
        backend = self.controller.backend
        if isinstance(backend, ProcessorBackend):
            backend.stop()
