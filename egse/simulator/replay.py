"""A saved tap in the place of a device: it answers what the device answered then.

A request is looked for from where the last one was found, to the end and then from the beginning, so that a dialogue in its
recorded order gets the recorded answers, and one in another order the answers that fit. Nothing is known of the device:
a request that was never recorded gets no answer and is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from egse.simulator.framing import MAX_LINE_LENGTH, LineFramer
from egse.simulator.model import DeviceModel
from egse.wiretap import CONNECTED, TO_DEVICE, Chunk

LOGGER = logging.getLogger("egse.simulator.replay")


class ReplayModel(DeviceModel):
    """Answers from a tap.

    Args:
        chunks: the tap, oldest first.

    Raises:
        ValueError: when nothing in it was sent to the device.
    """

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self.banner, self._exchanges = _exchanges(chunks)
        if not self._exchanges:
            raise ValueError("this tap cannot be replayed: it has no request to the device")
        self._next = 0
        self.answered = 0
        self.unknown = 0

    def framer(self) -> RecordedFramer:
        """Returns a framer that knows the recorded requests."""
        return RecordedFramer(request for request, _ in self._exchanges)

    def connect(self, now: float) -> bytes:
        """Returns what the device sent when a connection was made."""
        return self.banner

    def handle(self, command: bytes, now: float) -> bytes:
        """Returns the recorded answer, empty for a request that was not recorded."""
        count = len(self._exchanges)
        for step in range(count):
            place = (self._next + step) % count
            request, answer = self._exchanges[place]
            if request.strip() == command.strip():
                self._next = (place + 1) % count
                self.answered += 1
                return answer
        self.unknown += 1
        LOGGER.warning("%r is not in the tap; no answer", command)
        return b""

    def describe(self) -> dict[str, Any]:
        """Returns how much was answered."""
        return {"exchanges": len(self._exchanges), "answered": self.answered, "unknown": self.unknown}


class RecordedFramer:
    """Cuts at recorded requests, which may be binary; at line ends where nothing recorded fits.

    Args:
        requests: those that were recorded.
    """

    def __init__(self, requests: Iterable[bytes]) -> None:
        self._requests = sorted(set(requests), key=len, reverse=True)
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes and returns the requests that are complete now."""
        self._pending += data
        commands: list[bytes] = []
        while self._pending:
            whole = next((one for one in self._requests if self._pending.startswith(one)), None)
            longer = any(
                len(one) > len(self._pending) and one.startswith(self._pending) for one in self._requests
            )
            if longer and whole != self._pending:
                break
            if whole is not None:
                commands.append(whole)
                self._pending = self._pending[len(whole) :]
                continue
            end = max(self._pending.find(b"\n"), self._pending.find(b"\r"))
            if end < 0 and len(self._pending) < MAX_LINE_LENGTH:
                break
            line, self._pending = (
                self._pending[: end + 1 or None],
                self._pending[end + 1 :] if end >= 0 else b"",
            )
            commands += LineFramer().feed(line + b"\n")
        return commands


def _exchanges(chunks: Iterable[Chunk]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Returns what the device sent at the beginning of a connection, and its answers to each request."""
    banner, exchanges, connecting = b"", [], False
    for chunk in chunks:
        if chunk.direction == CONNECTED:
            connecting, banner = True, b""
        elif chunk.direction == TO_DEVICE:
            connecting = False
            exchanges.append((chunk.data, b""))
        elif connecting:
            banner += chunk.data
        elif exchanges:
            request, answer = exchanges[-1]
            exchanges[-1] = request, answer + chunk.data
    return banner, exchanges
