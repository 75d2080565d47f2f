"""The DPU core joined with the FEE model in one thread; time is a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from egse.dpu.core import DPUCore
from egse.dpu.sink import Timeouts
from egse.dpu.state import NFEEState
from egse.fee.model import NFEEModel
from egse.h5 import Kind
from egse.reg import RegisterMap
from egse.spw import SpaceWireLinkError
from egse.zmq import MessageIdentifier

EPOCH = 1_700_000_000.0


class Bench:
    """Core and model; keeps all that the core asks for."""

    def __init__(self, **model_options: Any) -> None:
        self.now = 0.0
        self.model = NFEEModel(**{"start": 1.0, **model_options})
        self.state = NFEEState(RegisterMap("N-FEE", "fm"))
        self.core = DPUCore(self.state, self, 0.0, Timeouts())
        self.link_up = True
        self.lose: Callable[[bytes], bool] = lambda packet: False
        self.cycles: list[dict[str, Any]] = []
        self.ended = 0
        self.messages: list[tuple[MessageIdentifier, Any]] = []
        self.hk: list[bytes] = []
        self.results: dict[int, tuple[Any, Exception | None]] = {}
        self.sent: list[bytes] = []
        self.counts: list[tuple[int, int]] = []
        self.findings: list[tuple[bool, str]] = []
        self.pulses: list[tuple[int, bool]] = []
        self.begun: list[tuple[int, int | None]] = []
        self.replies: list[bytes] = []

    # -- sink

    def send(self, packet: bytes) -> None:
        if not self.link_up:
            raise SpaceWireLinkError("nobody is at the other end")
        self.sent.append(packet)
        for reply in self.model.handle(packet, self.now):
            self.replies.append(reply)

    def is_wanted(self, identifier: MessageIdentifier) -> bool:
        return True

    def publish(self, identifier: MessageIdentifier, payload: Any) -> None:
        self.messages.append((identifier, payload))

    def begin_cycle(self, timestamp: float, facts: dict[str, Any]) -> None:
        self.cycles.append({**facts, "timestamp": timestamp, "records": []})

    def record(self, kind: Kind, payload: Any, timestamp: float) -> None:
        if self.cycles:
            self.cycles[-1]["records"].append((kind, bytes(payload)))

    def record_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> None:
        if self.cycles:
            self.cycles[-1]["records"].append((kind, values))

    def end_cycle(self) -> None:
        self.ended += 1

    def housekeeping(self, area: bytes, timestamp: float) -> None:
        self.hk.append(area)

    def counting(self, num_cycles: int, frame_counter: int) -> None:
        self.counts.append((num_cycles, frame_counter))

    def fee_found(self, restarted: bool, reason: str, timestamp: float) -> None:
        self.findings.append((restarted, reason))

    def sending(self, request: int, timecode: int | None, timestamp: float) -> None:
        self.begun.append((request, timecode))

    def pulse(self, number: int, is_long: bool, timestamp: float) -> None:
        self.pulses.append((number, is_long))

    def finished(self, request: int, value: Any, error: Exception | None) -> None:
        self.results[request] = (value, error)

    # -- time

    def run(self, seconds: float) -> None:
        """Lets time pass: whatever is due in core or model happens at its time."""
        end = self.now + seconds
        while True:
            self._deliver()
            due = min(self.model.next_event(), self.core.next_event(self.now))
            if due > end:
                break
            self.now = max(due, self.now + 1e-3)
            for packet in self.model.step(self.now) if self.link_up else self.model.step(self.now) and []:
                if not self.lose(bytes(packet)):
                    self._handle(packet)
            self.core.step(self.now, EPOCH + self.now)
        self.now = end
        self._deliver()

    def _deliver(self) -> None:
        self.core.step(self.now, EPOCH + self.now)
        while self.replies:
            self._handle(self.replies.pop(0))

    def _handle(self, packet: Any) -> None:
        self.core.handle(packet, self.now, EPOCH + self.now)
        self.core.step(self.now, EPOCH + self.now)

    def command(self, name: str, **arguments: Any) -> None:
        """Queues a command and lets time pass until it is sent."""
        request = len(self.results) + 1
        self.core.submit(request, [(name, arguments)])
        for _ in range(200):
            if request in self.results:
                break
            self.run(0.1)
        error = self.results[request][1]
        if error is not None:
            raise error

    def until_long_pulse(self) -> None:
        count = self.state.cycle_count
        while self.state.cycle_count == count:
            self.run(0.5)

    def kinds(self, cycle: int) -> list[Kind]:
        return [kind for kind, _ in self.cycles[cycle]["records"]]

    def of_kind(self, cycle: int, kind: Kind) -> list[Any]:
        return [value for k, value in self.cycles[cycle]["records"] if k is kind]

    def to_dump(self) -> None:
        """Reads the registers and goes from ON over STANDBY to DUMP."""
        self.run(3.0)
        self.command("n_fee_set_standby_mode")
        self.until_long_pulse()
        self.command("n_fee_set_dump_mode")
        self.until_long_pulse()


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    def make(**options: Any) -> Bench:
        return Bench(**options)

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
