"""The loop at the FEE's end of a link: lateness, stopping, the end of the source."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import pytest

from egse.clock import RealClock
from egse.spw import SpaceWireOverZeroMQ
from egse.spw.server import LinkServer


class SteppedClock(RealClock):
    """A clock that jumps when it is told to, as after a host was asleep."""

    jumped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.jumped


class Ticker:
    """A source with something to do each 0.01 s; jumps the clock once, and ends after ten times."""

    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock
        self.due = clock.monotonic()
        self.steps: list[float] = []
        self.answered: list[bytes] = []

    def next_event(self) -> float:
        return self.due

    def step(self, now: float) -> list[bytes]:
        self.steps.append(now)
        if len(self.steps) == 5:
            self.clock.jumped = 3600.0
        self.due = self.due + 0.01 if len(self.steps) < 10 else math.inf
        return [b"packet"]

    def handle(self, packet: bytes, now: float) -> list[bytes]:
        self.answered.append(packet)
        return [packet]


@pytest.fixture
def served() -> Iterator[tuple[LinkServer, Ticker, SteppedClock]]:
    clock = SteppedClock()
    source = Ticker(clock)
    with SpaceWireOverZeroMQ("tcp://127.0.0.1:0", "TEST", bind=True) as link:
        server = LinkServer(source, link, clock)
        yield server, source, clock
        server.close()


def test_an_hour_asleep_is_not_caught_up(served: tuple[LinkServer, Ticker, SteppedClock]) -> None:
    server, source, _ = served
    server.serve()
    assert len(source.steps) == 10
    assert server.stood_still == pytest.approx(3600, abs=1)
    assert source.steps[-1] - source.steps[0] < 5, "the time of the source went on where it stood"
    assert server.state()["dropped"] == 10, "nobody was at the other end"


def test_stop_from_another_thread_ends_a_long_wait(served: tuple[LinkServer, Ticker, SteppedClock]) -> None:
    server, source, clock = served
    source.due = clock.monotonic() + 1000
    thread = threading.Thread(target=server.serve)
    thread.start()
    server.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert source.steps == []


def test_commands_are_answered_while_nothing_else_is_due(
    served: tuple[LinkServer, Ticker, SteppedClock],
) -> None:
    server, source, clock = served
    source.due = clock.monotonic() + 1000
    thread = threading.Thread(target=server.serve)
    thread.start()
    with SpaceWireOverZeroMQ(server.link.endpoint, "TEST") as dpu_end:
        while not source.answered:
            try:
                dpu_end.write_packet(b"command")
            except ConnectionError:
                dpu_end.poll(0.01)
                continue
            assert dpu_end.read_packet(5000)[1] == b"command"
    server.stop()
    thread.join(5)
    assert not thread.is_alive()
