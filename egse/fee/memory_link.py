"""A SpaceWire link to an N-FEE model in the same thread: for dry runs and tests, at the speed of the clock given."""

from __future__ import annotations

from collections import deque

from egse.clock import Clock
from egse.fee.faults import FaultyFEE
from egse.fee.model import NFEEModel, Packet
from egse.rmap import AddressRules
from egse.spw import EOP, RMAPLink, SpaceWireLinkError


class NFEEMemoryLink(RMAPLink):
    """The DPU's end of a link whose other end is a model.

    Reading lets time pass: up to the next thing the model does, or to the end of the time-out. With a virtual clock,
    hours go by in milliseconds.

    Args:
        model: the FEE, with or without faults; its times are those of `clock.monotonic()`.
        clock: the clock both live by.
        rules: address rules for RMAP.
    """

    def __init__(self, model: NFEEModel | FaultyFEE, clock: Clock, rules: AddressRules | None = None) -> None:
        super().__init__(rules)
        self.model = model
        self.clock = clock
        self._arrived: deque[Packet] = deque()
        self._is_open = False

    def connect(self) -> None:
        self._is_open = True

    def disconnect(self) -> None:
        self._is_open = False
        self._pending.clear()
        self._arrived.clear()

    def configure(self) -> None:
        """There is nothing to configure."""

    def flush(self) -> None:
        self._pending.clear()
        self._arrived.clear()

    def send_timecode(self, timecode: int) -> None:
        """The FEE makes the timecodes and ignores those that it gets."""

    def write_packet(self, data: bytes | memoryview) -> None:
        self._check_open()
        self._step()
        self._arrived.extend(self.model.handle(bytes(data), self.clock.monotonic()))

    def _receive(self, timeout: int | None) -> tuple[int, bytes]:
        self._check_open()
        deadline = None if timeout is None else self.clock.monotonic() + timeout / 1000
        while True:
            self._step()
            if self._arrived:
                return EOP, bytes(self._arrived.popleft())
            now = self.clock.monotonic()
            if deadline is not None and now >= deadline:
                return EOP, b""
            due = self.model.next_event()
            self.clock.sleep(max(0.0, (due if deadline is None else min(due, deadline)) - now))

    def _step(self) -> None:
        now = self.clock.monotonic()
        while self.model.next_event() <= now:
            self._arrived.extend(self.model.step(now))

    def _check_open(self) -> None:
        if not self._is_open:
            raise SpaceWireLinkError("the SpaceWire link is not open")
