"""Faults of the line between a device and its client, for every simulator alike.

A fault is *armed* with a count and acts on that many of the next replies: lost, late, cut short, turned into garbage.
The models know nothing of it. Faults of the device itself (a broken sensor, an open heater) belong to its model.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from egse.simulator.model import FaultError


@dataclass(frozen=True, slots=True)
class Send:
    """Send `data` in one write, `delay` seconds (of the simulation's clock) after the action before, not before `due`."""

    data: bytes
    delay: float = 0.0
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection when everything before has been sent."""


Action = Send | Close


@dataclass(slots=True)
class Fault:
    """One armed fault.

    Attributes:
        name: one of `LINE_FAULTS`.
        count: how many replies it still acts on.
        seconds: length of a delay [s].
    """

    name: str
    count: int = 1
    seconds: float = 1.0


def _terminator(reply: bytes) -> bytes:
    return reply[len(reply.rstrip(b"\r\n\x03")) :]


def _garbage(reply: bytes, fault: Fault, rng: random.Random) -> list[Action]:
    end = _terminator(reply)
    noise = bytes(rng.choice(b"#@~?!%\xff\x80") for _ in range(max(4, len(reply) - len(end))))
    return [Send(noise + end)]


def _halves(reply: bytes) -> tuple[bytes, bytes]:
    middle = max(1, len(reply.rstrip(b"\r\n\x03")) // 2)
    return reply[:middle], reply[middle:]


LINE_FAULTS: dict[str, tuple[str, Callable[[bytes, Fault, random.Random], list[Action]]]] = {
    "drop": ("close the connection instead of answering", lambda reply, fault, rng: [Close()]),
    "delay": ("answer `seconds` late", lambda reply, fault, rng: [Send(reply, fault.seconds)]),
    "silence": ("do not answer", lambda reply, fault, rng: []),
    "garbage": ("answer with nonsense of the same length", _garbage),
    "partial": ("send the first half of the reply only", lambda reply, fault, rng: [Send(_halves(reply)[0])]),
    "split": (
        "send the reply in two writes, `seconds` apart",
        lambda reply, fault, rng: [Send(_halves(reply)[0]), Send(_halves(reply)[1], fault.seconds)],
    ),
}
"""Faults of the line: name -> (what it does, reply -> actions)."""


class LineFaults:
    """The faults armed on one simulator.

    Args:
        seed: of the random bytes of `garbage`.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self._armed: list[Fault] = []

    def arm(self, name: str, arguments: Mapping[str, Any] | None = None) -> Fault:
        """Arms a fault for the next replies.

        Args:
            name: one of `LINE_FAULTS`.
            arguments: `count` (number of replies, default 1) and `seconds` (delay [s], default 1).

        Raises:
            FaultError: when name or arguments are not known or out of range.
        """
        if name not in LINE_FAULTS:
            raise FaultError(f"unknown fault {name!r}; known: {', '.join(LINE_FAULTS)}")
        given = dict(arguments or {})
        fault = Fault(name, given.pop("count", 1), given.pop("seconds", 1.0))
        if given:
            raise FaultError(f"{name} does not take {', '.join(given)}; it takes count, seconds")
        if not isinstance(fault.count, int) or isinstance(fault.count, bool) or fault.count < 1:
            raise FaultError(f"count must be a whole number from 1, got {fault.count!r}")
        if not isinstance(fault.seconds, int | float) or not 0 <= fault.seconds < math.inf:
            raise FaultError(f"seconds must be a number from 0, got {fault.seconds!r}")
        self._armed.append(fault)
        return fault

    def clear(self) -> None:
        """Disarms all faults."""
        self._armed.clear()

    def armed(self) -> list[dict[str, Any]]:
        """Returns what is armed, next first."""
        return [{"name": f.name, "count": f.count, "seconds": f.seconds} for f in self._armed]

    def apply(self, reply: bytes) -> list[Action]:
        """Returns what happens on the line for one reply of the device (empty: the device keeps silent)."""
        fault = self._armed[0] if self._armed else None
        if fault is None or (not reply and fault.name != "drop"):
            return [Send(reply)] if reply else []
        fault.count -= 1
        if fault.count == 0:
            self._armed.pop(0)
        return LINE_FAULTS[fault.name][1](reply, fault, self._rng)
