"""The loop of a process at the FEE's end of a link: a simulator or a replayer.

The source of packets is a plain object with `next_event()`, `step(now)` and `handle(packet, now)`; this loop sends what
it gives at its time, passes on what arrives, and ends at once on SIGTERM, SIGHUP and SIGINT. It never waits for the
other end: packets for nobody are dropped and counted.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from egse.clock import RealClock
from egse.settings import Settings, SettingsError
from egse.spw.errors import SpaceWireBufferFullError, SpaceWireLinkError
from egse.spw.zeromq import SpaceWireOverZeroMQ

_LONGEST_WAIT: Final = 60.0
"""Longest time that the loop sleeps [s, real time]."""

_READ_AT_ONCE: Final = 100

_LATE: Final = 12.5
"""Later than this [s of the clock] nothing is caught up: two readout periods."""


SETTINGS: Final = "N-FEE SIMULATOR"
DEFAULT_PORT: Final = 30110
DEFAULT_ADMIN_PORT: Final = 30112


def default_endpoint() -> str:
    """Returns the endpoint of the link to the simulated N-FEE: `SPW_PORT` of the settings, on the loopback interface."""
    try:
        port = int(Settings.load(SETTINGS).get("SPW_PORT", DEFAULT_PORT))
    except SettingsError:
        port = DEFAULT_PORT
    return f"tcp://127.0.0.1:{port}"


def is_driven_by_aeu() -> bool:
    """Returns whether the settings want the simulated N-FEE to get power and sync pulses from the AEU simulator."""
    try:
        return bool(Settings.load(SETTINGS).get("AEU", False))
    except SettingsError:
        return False


def side_channel_port() -> int:
    """Returns the port of the side channel of the simulated N-FEE: `ADMIN_PORT` of the settings."""
    try:
        return int(Settings.load(SETTINGS).get("ADMIN_PORT", DEFAULT_ADMIN_PORT))
    except SettingsError:
        return DEFAULT_ADMIN_PORT


class PacketSource(Protocol):
    """What the loop serves."""

    def next_event(self) -> float:
        """Returns when the next thing happens [s]; infinity when nothing will."""

    def step(self, now: float) -> Sequence[bytes | memoryview]:
        """Returns the packets due at `now`."""

    def handle(self, packet: bytes, now: float) -> Sequence[bytes]:
        """Takes a packet and returns the answers."""


class LinkServer:
    """Serves a source of packets on a link.

    Args:
        source: the FEE or a recording of one.
        link: the link; opened and closed by the caller.
        clock: the clock whose `monotonic()` the times of the source are.

    Attributes:
        sent: packets sent.
        dropped: packets dropped because nobody was at the other end.
        overflowed: packets dropped because the other end did not read.
        stood_still: time that was left out, because the host slept or could not keep up [s of the clock].
    """

    def __init__(self, source: PacketSource, link: SpaceWireOverZeroMQ, clock: RealClock) -> None:
        self.source = source
        self.link = link
        self.clock = clock
        self.sent = self.dropped = self.overflowed = 0
        self.stood_still = 0.0
        self._stopping = False
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def stop(self) -> None:
        """Ends `serve` soon; may be called from a signal handler or another thread."""
        self._stopping = True
        with contextlib.suppress(BlockingIOError):  # full: it is awake already
            self._wake_in.send(b"\0")

    def close(self) -> None:
        """Releases what `stop` needs."""
        self._wake_in.close()
        self._wake_out.close()

    def serve(
        self,
        *,
        others: Callable[[], Sequence[socket.socket]] = tuple,
        on_other: Callable[[], None] | None = None,
        on_packets: Callable[[Sequence[bytes | memoryview]], Sequence[bytes | memoryview]] | None = None,
        on_overflow: Callable[[], None] | None = None,
    ) -> None:
        """Runs until `stop` is called or the source has nothing more.

        Args:
            others: sockets that are waited for too.
            on_other: called when one of them has input.
            on_packets: may change packets on their way out.
            on_overflow: called when packets were dropped because the other end did not read.
        """
        while not self._stopping:
            now = self.now()
            due = self.source.next_event()
            if now - due > _LATE:
                self.stood_still += now - due
            elif due <= now:
                packets = self.source.step(now)
                self._send(on_packets(packets) if on_packets else packets, on_overflow)
                self._answer()
            elif due == float("inf"):
                return
            else:
                if self._wait((due - now) / self.clock.speed, others()) and on_other is not None:
                    on_other()
                self._answer()

    def now(self) -> float:
        """Returns the time of the source [s]: that of the clock, less what was left out."""
        return self.clock.monotonic() - self.stood_still

    def _wait(self, seconds: float, others: Sequence[socket.socket]) -> bool:
        """Waits for input or the time given; returns True when one of the other sockets has input."""
        ready = self.link.poll(min(seconds, _LONGEST_WAIT), [self._wake_out, *others])
        return any(sock is not self._wake_out for sock in ready)

    def _answer(self) -> None:
        for _, packet in self.link.read_packets(_READ_AT_ONCE):
            self._send(self.source.handle(packet, self.now()), None)

    def _send(self, packets: Sequence[bytes | memoryview], on_overflow: Callable[[], None] | None) -> None:
        for packet in packets:
            try:
                self.link.write_packet(packet)
                self.sent += 1
            except SpaceWireBufferFullError:
                self.overflowed += 1
                if on_overflow is not None:
                    on_overflow()
            except SpaceWireLinkError:
                self.dropped += 1

    def state(self) -> dict[str, Any]:
        """Returns the counters."""
        return {
            "endpoint": self.link.endpoint,
            "sent": self.sent,
            "dropped": self.dropped,
            "overflowed": self.overflowed,
            "stood_still": self.stood_still,
        }
