"""Housekeeping of the N-FEE: `n_fee_hk start | stop | status`.

A process of its own (ICD of the storage formats, section 7.2) that listens to the monitoring stream of the DPU Processor and stores two
rows a timecode in `N-FEE-HK`, raw and calibrated: one of the packet right after the timecode, which describes the readout before, and one
of the housekeeping area read back after the data, which describes this readout. Their time is that of reception in the DPU
Processor. The calibrated temperatures go to the synoptics.

What the DPU Processor publishes while this process is away is not in `N-FEE-HK`; it is in the raw files (`/N/hk`, `/N/hk_data`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from egse.command import dynamic_interface
from egse.control import ControlServerApp, ServerContext
from egse.dpu.hk_rows import HousekeepingRows
from egse.dpu.monitoring import DPUMonitoring
from egse.event import Event, EventInterface
from egse.fee import HKMapError
from egse.mixin import DynamicCommandMixin
from egse.protocol import Protocol
from egse.proxy import DynamicProxy
from egse.synoptics import SynopticsForwarder
from egse.telemetry import HousekeepingStore
from egse.zmq import MessageIdentifier

LOGGER = logging.getLogger(__name__)

NAME = "n_fee_hk"
SETTINGS = "N-FEE-HK Control Server"
HK_MNEMONIC = "N-FEE-HK"
LISTENING_TIME = 0.2
"""So long it is listened [s] before it is looked whether the process ends."""


class NFEEHKInterface(EventInterface):
    """What the housekeeping process of the N-FEE can be asked."""

    @dynamic_interface
    def get_last_row(self) -> dict[str, Any]:
        """Returns the last housekeeping of the N-FEE.

        Returns:
            `timestamp` (UTC text) and all columns of `N-FEE-HK`, raw (`NFEE_CCD1_TS`) and calibrated (`NFEE_CCD1_TS_CAL`, None
            where the Setup has no numbers); empty before the first.
        """


class NFEEHKProxy(DynamicProxy, NFEEHKInterface):
    """Client of the housekeeping process of the N-FEE."""

    settings_name = SETTINGS
    server_name = NAME


class NFEEHKController(NFEEHKInterface, DynamicCommandMixin):
    """Stores the housekeeping that the DPU Processor publishes.

    Args:
        decode: turns 144 bytes of housekeeping into a row.

    Attributes:
        rows: rows since the start.
        broken: housekeeping that could not be decoded.
    """

    def __init__(self, decode: Callable[[bytes], Mapping[str, Any]]) -> None:
        self.rows = 0
        self.broken = 0
        self._decode = decode
        self._last: dict[str, Any] = {}
        self._store = HousekeepingStore(HK_MNEMONIC)
        self._synoptics = SynopticsForwarder(NAME)
        self._monitoring = DPUMonitoring(identifiers=(MessageIdentifier.N_FEE_HK,))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)

    @property
    def waiting(self) -> int:
        """Rows that the storage manager has not acknowledged yet."""
        return self._store.waiting

    def get_last_row(self) -> dict[str, Any]:
        return self._last

    def handle_event(self, event: Event) -> None:
        """A new Setup counts from the next row: the server has taken notice of it, and `HousekeepingRows` asks that."""

    def start(self) -> None:
        """Begins to listen.

        Raises:
            HandshakeError: when the DPU Processor asks for keys that this site does not have.
        """
        self._monitoring.connect()
        self._thread.start()

    def stop(self) -> None:
        """Ends listening, and hands what waits to the storage manager if that is there."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        self._synoptics.close()
        self._store.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                message = self._monitoring.receive(LISTENING_TIME)
                if message is not None:
                    self._take(*message[1])
            except Exception:
                # Whatever came over the network, the next housekeeping must be kept.
                self.broken += 1
                LOGGER.exception("housekeeping of the N-FEE was lost; it goes on")
        self._monitoring.disconnect()

    def _take(self, area: bytes, timestamp: str) -> None:
        try:
            values = self._decode(area)
        except HKMapError as exc:
            self.broken += 1
            LOGGER.error("a housekeeping area cannot be decoded: %s", exc)
            return
        row = {"timestamp": timestamp, **values}
        self.rows += 1
        self._last = dict(row)
        self._synoptics.store_common_synoptics(row)
        self._store.save(row)


class NFEEHKProtocol(Protocol):
    """Life and status; the rows of the N-FEE are all the housekeeping there is."""

    controller: NFEEHKController

    def start(self) -> None:
        """Begins to listen to the DPU Processor and to the configuration manager; they may still be away."""
        self.control_server.follow_setup()
        self.controller.start()

    def get_status(self) -> dict[str, Any]:
        """Returns what `n_fee_hk status` shows."""
        controller = self.controller
        return {"rows": controller.rows, "broken": controller.broken, "waiting": controller.waiting}

    def quit(self) -> None:
        """Ends listening."""
        self.controller.stop()


def make_controller(context: ServerContext) -> NFEEHKController:
    """Makes the controller; its rows follow the Setup that the server hears of."""
    server = context.control_server
    return NFEEHKController(HousekeepingRows(lambda: None if server is None else server.setup_watch.loaded))


APP = ControlServerApp(
    name=NAME,
    settings=SETTINGS,
    title="housekeeping of the N-FEE",
    interface=NFEEHKInterface,
    controller=make_controller,
    protocol=NFEEHKProtocol,
    proxy="egse.dpu.n_fee_hk:NFEEHKProxy",
    device=False,
)
main = APP.main

if __name__ == "__main__":
    main()
