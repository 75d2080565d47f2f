"""The DPU Processor as the controller sees it."""

from __future__ import annotations

import logging
import secrets
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from egse.clock import Clock
from egse.control import ServerContext
from egse.device import DeviceConnectionError
from egse.dpu.countfile import CountFile
from egse.dpu.errors import DPUProcessorError, FEERestartedError
from egse.dpu.handle import ProcessorHandle
from egse.dpu.keeper import RecordKeeper
from egse.dpu.maps import FEEMaps
from egse.dpu.processor import ProcessorConfig
from egse.dpu.queues import BATCH, COMMAND
from egse.dpu.slot import Commands
from egse.dpu.tickets import Effect, TicketBook, TicketRecord, TicketState
from egse.env import get_data_storage_location, get_site_id
from egse.h5 import parse_format
from egse.logger.handler import receiver_endpoint
from egse.settings import SettingsError
from egse.setup import SetupError, get_setup
from egse.spw import DEFAULT_IDENTITY, make_link
from egse.spw.server import default_endpoint

LOGGER = logging.getLogger(__name__)

READY_TIMEOUT = 20.0
"""A processor is ready within this time [s], Python and libraries being read from a slow disk."""
SLOT_TIMEOUT = 25.0
"""A command that somebody waits for is sent within this time [s of the camera]; a batch may have to wait for a longer slot."""
QUEUE_TIMEOUT = 120.0
"""A submitted command is sent within this time [s of the camera], many others before it."""
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
        self._count = CountFile(self._root)
        self.maps = FEEMaps.of(None)
        self._stamp: Any = None
        self._loading: threading.Thread | None = None
        self.tickets = TicketBook()
        self._tickets: dict[int, str] = {}
        self._prefix = secrets.token_hex(3)
        self._address = default_endpoint() if context.simulator else spw_address(context.settings)
        self.handle = ProcessorHandle(self._make_config, self._on_event)
        self.keeper = RecordKeeper(self._root, self._set_obsid)

    def _make_config(self, queues: dict[str, str]) -> ProcessorConfig:
        settings = self._settings
        return ProcessorConfig(
            queues=queues,
            spw_endpoint=self._address,
            spw_identity=str(settings.get("SPW_IDENTITY", DEFAULT_IDENTITY)),
            data_endpoint=f"tcp://127.0.0.1:{settings['DATA_DISTRIBUTION_PORT']}",
            monitoring_endpoint=f"tcp://127.0.0.1:{settings['DPU_PROCESSOR_MONITORING_PORT']}",
            data_root=str(self._root),
            site=get_site_id(),
            speed=self._clock.speed,
            maps=self.maps.as_plain(),
            log_endpoint=_log_endpoint(),
            hdf5_format=_hdf5_format(settings),
        )

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the processor and waits until it is ready; the FEE may still be away.

        Raises:
            SettingsError: when there is no such transport.
            ESLError: when the library of the DSI is not there.
            DeviceConnectionError: when it does not become ready.
        """
        _try_address(self._address)
        self.keeper.start()
        self._load_maps()
        self.handle.start()
        if not self.handle.wait_ready(READY_TIMEOUT):
            raise DeviceConnectionError(
                f"the DPU Processor was not ready within {READY_TIMEOUT:g} s; see the log"
            )

    def stop(self) -> None:
        """Ends processor and bookkeeping."""
        self.handle.stop(timeout=3.0)
        self.keeper.close()

    # -- maps ----------------------------------------------------------------------------------------------------

    def is_up_to_date(self) -> bool:
        """See `DPUBackend`."""
        return self._stamp == self._loaded_stamp() and (self._loading is None or not self._loading.is_alive())

    def _loaded_stamp(self) -> Any:
        server = self._control_server
        return None if server is None else server.setup_watch.loaded

    def _follow_setup(self) -> None:
        """Takes the maps of a Setup into use that was loaded since; asked for in a thread of its own."""
        stamp = self._loaded_stamp()
        if stamp != self._stamp and (self._loading is None or not self._loading.is_alive()):
            self._loading = threading.Thread(
                target=self._take_maps, args=(stamp,), name="dpu-setup", daemon=True
            )
            self._loading.start()

    def _take_maps(self, stamp: Any) -> None:
        if self._load_maps():
            self.handle.notify("set_maps", self.maps.as_plain())
        self._stamp = stamp

    def _load_maps(self) -> bool:
        """Returns True when the Setup has other maps than those in use; keeps them when there is none that can be used."""
        try:
            maps = FEEMaps.of(get_setup())
        except (ConnectionError, TimeoutError, SetupError) as exc:
            LOGGER.warning("no Setup; the maps of the N-FEE stay as they are: %s", exc)
            return False
        except (ValueError, OSError) as exc:
            LOGGER.error("the maps of the N-FEE in the Setup cannot be used; they stay as they are: %s", exc)
            return False
        changed, self.maps = maps != self.maps, maps
        return changed

    # -- backend -------------------------------------------------------------------------------------------------

    def query(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """See `DPUBackend`."""
        return self.handle.query(name, arguments)

    def submit(self, commands: Commands, timeout: float = QUEUE_TIMEOUT) -> TicketRecord:
        """See `DPUBackend`."""
        return self._queue(commands, timeout)[0]

    def command(self, commands: Commands) -> Any:
        """See `DPUBackend`: the future of the result, so that the control server can go on."""
        record, answer = self._queue(commands, SLOT_TIMEOUT)
        result: Future[dict[str, Any]] = Future()
        answer.add_done_callback(lambda done: _pass_on(done, result, record.id))
        return result if self._control_server is not None else result.result()

    def wait(self, ticket: str, state: TicketState, timeout: float) -> Any:
        """See `DPUBackend`: a future, as in `command`."""
        future = self.tickets.wait(ticket, state, timeout)
        return future if self._control_server is not None else future.result()

    def _queue(self, commands: Commands, timeout: float) -> tuple[TicketRecord, Future[Any]]:
        number = self.handle.new_number()
        record = self.tickets.open(
            f"{self._prefix}-{number}", [name for name, _ in commands], self._clock.now()
        )
        self._tickets[number] = record.id
        arguments = {"commands": [{"name": name, "arguments": dict(values)} for name, values in commands]}
        try:
            answer = self.handle.request(COMMAND, number, BATCH, arguments, timeout / self._clock.speed + 5.0)
        except ConnectionError as exc:
            self._tickets.pop(number)
            self.tickets.on_failed(record.id, exc)
            raise
        answer.add_done_callback(lambda done: self._on_answer(number, done))
        return record, answer

    def _on_answer(self, number: int, answer: Future[Any]) -> None:
        ticket = self._tickets.pop(number)
        if (error := answer.exception()) is not None:
            self.tickets.on_failed(ticket, error)
            return
        value = answer.result()
        self.tickets.on_acknowledged(
            ticket, Effect(value["effect"]), value["timecode"], value["pulse"], value["timestamp"]
        )

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
        return urlsplit(self._address).scheme in ("tcp", "ipc", "inproc")

    def status(self) -> dict[str, Any]:
        """See `DPUBackend`."""
        return {
            "processor_pid": self.handle.pid,
            "processor_restarts": self.handle.restarts,
            "waiting_files": self.keeper.waiting_files,
        }

    # -- events of the processor ---------------------------------------------------------------------------------

    def _on_event(self, name: str, values: dict[str, Any]) -> None:
        if name == "count":
            self._count.keep(values)
        elif name == "started" and (count := self._count.read()):
            # The counting of image cycles goes on where the dead processor, or server, left it.
            self.handle.notify("resume_count", count)
        elif name == "fee":
            self.tickets.on_fee_lost(FEERestartedError(f"{values['reason']}; it had not taken effect"))
        elif name == "pulse":
            self.tickets.on_pulse(values["pulse"], values["long"], values["timestamp"])
        elif name == "sent" and (ticket := self._tickets.get(values["request"])):
            self.tickets.on_sent(ticket, values["timecode"], values["timestamp"])
        elif name == "tick":
            self.tickets.expire()
            self._follow_setup()
        self.keeper.on_event(name, values)

    def _set_obsid(self, cycle: int, obsid: str) -> None:
        try:
            self.handle.query("set_obsid", {"cycle": cycle, "obsid": obsid})
        except (DPUProcessorError, TimeoutError) as exc:
            LOGGER.error("the obsid %r of cycle %d was not delivered: %s", obsid, cycle, exc)


def _pass_on(answer: Future[Any], result: Future[dict[str, Any]], ticket: str) -> None:
    error = answer.exception()
    if error is not None:
        result.set_exception(error)
    else:
        value = answer.result()
        result.set_result({"timecode": value["timecode"], "timestamp": value["timestamp"], "ticket": ticket})


def spw_address(settings: Any) -> str:
    """Returns the address of the SpaceWire link to the N-FEE: `SPW_ADDRESS` of the settings, or that of the simulator."""
    return str(settings.get("SPW_ADDRESS") or "") or default_endpoint()


def _try_address(address: str) -> None:
    """Raises at once, and not in the processor's log, what is wrong with an address."""
    try:
        make_link(address)
    except ValueError as exc:
        raise SettingsError(f"DPU Control Server: SPW_ADDRESS: {exc}") from exc


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
