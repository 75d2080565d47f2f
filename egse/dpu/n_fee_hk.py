"""Housekeeping of the N-FEE: `n_fee_hk start | stop | status`.

A process of its own (ICD of the storage formats, section 7.2) that listens to the monitoring stream of the DPU Processor and stores two
rows a timecode in `N-FEE-HK`, raw and calibrated: one of the packet right after the timecode, which describes the readout before, and one
of the housekeeping area read back after the data, which describes this readout. Their time is that of reception in the DPU
Processor. The calibrated temperatures go to the synoptics.

The DPU Processor numbers what it publishes, and keeps that of a day. What it publishes while this process is away, or does not get here,
is asked for and stored late, in its order, before anything newer: the last row that is on disk tells where to begin. What it has
forgotten by then, or took with it when it was killed meanwhile, is announced; the raw files have it (`/N/hk`, `/N/hk_data`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from egse.command import dynamic_interface
from egse.control import ControlServerApp, ServerContext
from egse.dpu.hk_rows import HousekeepingRows
from egse.dpu.monitoring import DPUMonitoring
from egse.dpu.proxy import DPUProxy
from egse.env import get_data_storage_location
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
FORGOTTEN = "the DPU Processor had forgotten them, the raw files have them"
ANSWER_TIME = 1.5
"""So long it is waited for an answer of the DPU [s]."""
RETRY_TIME = 5.0
"""After so long [s] it is asked again when there was none."""
TAIL = 65536
"""So much of the end of a file is read to find its last row [byte]."""
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
        publish: publishes a row on the monitoring port of the server, for those who watch its limits.

    Attributes:
        rows: rows since the start.
        late: rows that were asked for, as they had not been heard of when they were published.
        missed: rows that the DPU Processor had forgotten when they were asked for.
        broken: housekeeping that could not be decoded.
    """

    def __init__(
        self,
        decode: Callable[[bytes], Mapping[str, Any]],
        publish: Callable[[str, Any], object] = lambda topic, row: None,
    ) -> None:
        self._publish = publish
        self.rows = self.late = self.missed = 0
        self.broken = 0
        self._number: int | None = None
        self._timestamp = ""
        self._behind = True
        self._next_try = float("-inf")
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
        self._timestamp = last_timestamp(Path(get_data_storage_location()))
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
                    self._hear(*message[1])
                elif self._behind:
                    self._catch_up()
            except Exception:
                # Whatever came over the network, the next housekeeping must be kept.
                self.broken += 1
                LOGGER.exception("housekeeping of the N-FEE was lost; it goes on")
        self._monitoring.disconnect()

    def _hear(self, area: bytes, timestamp: str, number: int) -> None:
        """Takes what was just published, when it is the next; else asks for all that it follows, and it with them."""
        if not self._behind and self._number is not None and number == self._number + 1:
            self._number = number
            self._take(area, timestamp)
        else:
            self._behind = True
            self._catch_up()

    def _catch_up(self) -> None:
        if time.monotonic() < self._next_try:
            return
        try:
            with DPUProxy(timeout=ANSWER_TIME) as dpu:
                while True:
                    answer = dpu.get_n_fee_housekeeping(self._timestamp)
                    self._take_late(answer["rows"], answer["first"])
                    if not answer["rows"]:
                        break
        except (ConnectionError, TimeoutError) as exc:
            # The DPU Processor keeps what it has; it is asked again.
            self._next_try = time.monotonic() + RETRY_TIME
            LOGGER.info("the DPU cannot tell what was missed: %s", exc)
            return
        self._behind = False

    def _take_late(self, rows: Sequence[tuple[int, str, bytes]], first: int) -> None:
        for number, timestamp, area in rows:
            lost = number - self._expected(number)
            if lost:
                self.missed += lost
                LOGGER.error("%d rows of N-FEE-HK before %s are missed; %s", lost, timestamp, FORGOTTEN)
            elif self._number is None and self._timestamp and number == first > 0:
                LOGGER.error("rows of N-FEE-HK after %s may be missed; %s", self._timestamp, FORGOTTEN)
            self._number = number
            self.late += 1
            self._take(bytes(area), timestamp)

    def _expected(self, number: int) -> int:
        """Returns the number that comes next, when it is `number` that came; a new DPU Processor begins with 0."""
        if self._number is None:
            return number
        return self._number + 1 if number > self._number else 0

    def _take(self, area: bytes, timestamp: str) -> None:
        self._timestamp = timestamp
        try:
            values = self._decode(area)
        except HKMapError as exc:
            self.broken += 1
            LOGGER.error("a housekeeping area cannot be decoded: %s", exc)
            return
        row = {"timestamp": timestamp, **values}
        self.rows += 1
        self._last = dict(row)
        self._publish("housekeeping", row)
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
        counts = {name: getattr(controller, name) for name in ("rows", "late", "missed", "broken")}
        return {**counts, "waiting": controller.waiting}

    def quit(self) -> None:
        """Ends listening."""
        self.controller.stop()


def last_timestamp(root: Path) -> str:
    """Returns the time of the last row of `N-FEE-HK` on disk (UTC text); empty when there is none.

    Args:
        root: data folder of the site.
    """
    for path in sorted(root.glob(f"daily/*/*_{HK_MNEMONIC}.csv"), reverse=True):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            whole, _, _ = file.read().rpartition(b"\n")  # a row that is being written does not count
        first = whole.rpartition(b"\n")[2].partition(b",")[0].decode("ascii", "replace")
        if first[:1].isdigit():
            return first
    return ""


def make_controller(context: ServerContext) -> NFEEHKController:
    """Makes the controller; its rows follow the Setup that the server hears of."""
    server = context.control_server
    rows = HousekeepingRows(lambda: None if server is None else server.setup_watch.loaded)
    return NFEEHKController(rows) if server is None else NFEEHKController(rows, server.publish)


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
