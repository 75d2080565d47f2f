"""The DPU Processor as the controller sees it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from egse.clock import Clock
from egse.control import ServerContext
from egse.device import DeviceConnectionError
from egse.dpu.errors import DPUProcessorError
from egse.dpu.handle import ProcessorHandle
from egse.dpu.hk_rows import HousekeepingRows
from egse.dpu.keeper import RecordKeeper
from egse.dpu.processor import ProcessorConfig
from egse.env import get_data_storage_location, get_site_id
from egse.fee import camera_model
from egse.h5 import parse_format
from egse.logger.handler import receiver_endpoint
from egse.settings import SettingsError
from egse.spw import DEFAULT_IDENTITY
from egse.spw.server import default_endpoint

LOGGER = logging.getLogger(__name__)

READY_TIMEOUT = 20.0
"""A processor is ready within this time [s], Python and libraries being read from a slow disk."""
SLOT_TIMEOUT = 15.0
"""A command is sent within this time [s of the camera]: one pulse, its readout, and something to spare."""
NO_TIMECODE = 60.0
"""Without a timecode for this long [s of the camera] the link counts as down: longer than the longest cycle's gap."""


class ProcessorBackend:
    """A DPU Processor, kept running, with the bookkeeping around it.

    Args:
        context: of the control server.
    """

    def __init__(self, context: ServerContext) -> None:
        self._settings = context.settings
        self._clock: Clock = context.clock
        self._control_server = context.control_server
        self._root = Path(get_data_storage_location())
        self._num_cycles = 0
        self._is_zmq = context.simulator or _transport(context.settings) == "zmq"
        self.handle = ProcessorHandle(self._make_config, self._on_event)
        self.keeper = RecordKeeper(self._root, self._set_obsid, HousekeepingRows(self._setup_stamp))

    def _setup_stamp(self) -> object:
        """Returns what changes with the loaded Setup; always the same for a server that hears of none."""
        watch = getattr(self._control_server, "setup_watch", None)
        return None if watch is None else watch.loaded

    def _make_config(self, queues: dict[str, str]) -> ProcessorConfig:
        settings = self._settings
        return ProcessorConfig(
            queues=queues,
            spw_endpoint=default_endpoint(),
            spw_identity=str(settings.get("SPW_IDENTITY", DEFAULT_IDENTITY)),
            data_endpoint=f"tcp://127.0.0.1:{settings['DATA_DISTRIBUTION_PORT']}",
            monitoring_endpoint=f"tcp://127.0.0.1:{settings['DPU_PROCESSOR_MONITORING_PORT']}",
            data_root=str(self._root),
            site=get_site_id(),
            speed=self._clock.speed,
            camera=camera_model(),
            log_endpoint=_log_endpoint(),
            hdf5_format=_hdf5_format(settings),
        )

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the processor and waits until it is ready; the FEE may still be away.

        Raises:
            DeviceConnectionError: when it does not become ready.
        """
        self.keeper.start()
        self.handle.start()
        if not self.handle.wait_ready(READY_TIMEOUT):
            raise DeviceConnectionError(
                f"the DPU Processor was not ready within {READY_TIMEOUT:g} s; see the log"
            )

    def stop(self) -> None:
        """Ends processor and bookkeeping."""
        self.handle.stop(timeout=3.0)
        self.keeper.close()

    # -- backend -------------------------------------------------------------------------------------------------

    def query(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """See `DPUBackend`."""
        return self.handle.query(name, arguments)

    def command(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """See `DPUBackend`."""
        timeout = SLOT_TIMEOUT / self._clock.speed + 5.0
        value: dict[str, Any] = self.handle.command(name, arguments, timeout, self._is_ending)
        return value

    def _is_ending(self) -> bool:
        return bool(getattr(self._control_server, "stopping", False))

    def hdf5_files(self, obsid: str) -> list[str]:
        """See `DPUBackend`."""
        return self.keeper.hdf5_files(obsid)

    def connect(self) -> None:
        """Waits until the processor is there; it keeps the link up by itself."""
        if not self.handle.wait_ready(5.0):
            raise DeviceConnectionError("the DPU Processor is not running; it is being started again")

    def disconnect(self) -> None:
        """Nothing happens: the DPU Processor never leaves the FEE alone."""

    def is_connected(self) -> bool:
        """See `DPUBackend`."""
        status = self.query("status")
        age = (self._clock.now() - status["timecode_timestamp"]) * self._clock.speed
        return status["timecode"] is not None and age < max(NO_TIMECODE, 2.0 * self._clock.speed)

    def is_simulator(self) -> bool:
        """SpaceWire over ZeroMQ leads to simulators only."""
        return self._is_zmq

    def status(self) -> dict[str, Any]:
        """See `DPUBackend`."""
        return {
            "processor_pid": self.handle.pid,
            "processor_restarts": self.handle.restarts,
            "n_fee_hk_rows": self.keeper.hk_rows,
            "waiting_files": self.keeper.waiting_files,
        }

    # -- events of the processor ---------------------------------------------------------------------------------

    def _on_event(self, name: str, values: dict[str, Any]) -> None:
        if name == "cycle":
            self._num_cycles = int(values["num_cycles"])
        elif name == "started" and self._num_cycles > 0:
            # The counting of image cycles goes on where the dead processor left it.
            self.handle.notify("set_num_cycles", {"num_cycles": self._num_cycles})
        self.keeper.on_event(name, values)

    def _set_obsid(self, cycle: int, obsid: str) -> None:
        try:
            self.handle.query("set_obsid", {"cycle": cycle, "obsid": obsid})
        except (DPUProcessorError, TimeoutError) as exc:
            LOGGER.error("the obsid %r of cycle %d was not delivered: %s", obsid, cycle, exc)


def _transport(settings: Any) -> str:
    transport = str(settings.get("TRANSPORT", "zmq")).lower()
    if transport != "zmq":
        raise SettingsError(f"DPU Control Server: TRANSPORT is {transport!r}; the transport there is: zmq")
    return transport


def _hdf5_format(settings: Any) -> str:
    try:
        return "{}.{}".format(*parse_format(settings.get("HDF5_FORMAT", "2.6")))
    except ValueError as exc:
        raise SettingsError(f"DPU Control Server: HDF5_FORMAT: {exc}") from exc


def _log_endpoint() -> str:
    try:
        return receiver_endpoint()
    except SettingsError:
        return ""
