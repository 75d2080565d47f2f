"""Tests a SpaceWire connection: link, timecode, housekeeping, RMAP read (`python -m egse.spw check`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from egse.rmap import HK_AREA_ADDRESS, HK_AREA_SIZE, RMAPError
from egse.spw.errors import NoBytesReceivedError, SpaceWireError, TimecodeTimeoutError
from egse.spw.interface import SpaceWireInterface
from egse.spw.packets import HousekeepingPacket, SpaceWirePacket, TimecodePacket

TIMEOUT: Final = 60.0
"""Time to wait for a timecode [s]: the longest cycle is 50 s, with a gap after its fourth pulse."""

HK_TIMEOUT: Final = 5.0
"""Time to wait for the housekeeping packet, which follows the timecode at once [s]."""

P = TypeVar("P", bound=SpaceWirePacket)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Outcome of one step.

    Attributes:
        name: what was tested.
        passed: True when it is well.
        text: what was found, or what is wrong and what to do.
    """

    name: str
    passed: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.passed else 'FAIL'}  {self.name:<14} {self.text}"


def check_connection(
    link: SpaceWireInterface, timeout: float = TIMEOUT, hk_timeout: float = HK_TIMEOUT
) -> Iterator[CheckResult]:
    """Tests a connection step by step; the link is opened and closed.

    Args:
        link: the link, not yet open.
        timeout: time to wait for a timecode [s].
        hk_timeout: time to wait for the housekeeping packet after it [s].

    Yields:
        A result for each step as it is done: link, timecode, housekeeping, RMAP read. When the link cannot be opened
        there are no more.
    """
    try:
        link.connect()
        link.configure()
    except (SpaceWireError, OSError) as error:
        link.disconnect()
        yield CheckResult("link", False, str(error))
        return
    try:
        yield CheckResult("link", True, str(link))
        yield _step("timecode", lambda: _timecode(link, timeout))
        yield _step("housekeeping", lambda: _housekeeping(link, min(timeout, hk_timeout)))
        yield _step("RMAP read", lambda: _rmap(link))
    finally:
        link.disconnect()


def _step(name: str, action: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(name, True, action())
    except (SpaceWireError, RMAPError) as error:
        return CheckResult(name, False, f"{type(error).__name__}: {error}")


def _rmap(link: SpaceWireInterface) -> str:
    word = link.read_register(0)
    area = link.read_memory_map(HK_AREA_ADDRESS, HK_AREA_SIZE)
    return f"register at 0x0000 is 0x{word.hex().upper()}; {len(area)} bytes of housekeeping memory"


def _timecode(link: SpaceWireInterface, timeout: float) -> str:
    packet = _wait_for(link, TimecodePacket, timeout)
    if packet is None:
        raise TimecodeTimeoutError(f"no timecode within {timeout:g} s: are there sync pulses?")
    return f"timecode {packet.timecode}"


def _housekeeping(link: SpaceWireInterface, timeout: float) -> str:
    packet = _wait_for(link, HousekeepingPacket, timeout)
    if packet is None:
        raise NoBytesReceivedError(f"no housekeeping packet within {timeout:g} s")
    return f"frame counter {packet.frame_counter}, {packet.type}"


def _wait_for(link: SpaceWireInterface, kind: type[P], timeout: float) -> P | None:
    """Returns the next packet of a kind; others are passed over."""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        _, data = link.read_packet(int(left * 1000) + 1)
        packet = SpaceWirePacket.create_packet(data)
        if isinstance(packet, kind):
            return packet
    return None
