"""What went over the wire to a device lately: a ring buffer in every transport.

`cgse tap NAME` shows it, saves it, and a saved one stands in for the device (`egse.simulator.replay`).
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from egse.files import write_atomically

CAPACITY = 256 * 1024
"""How much of the traffic a transport remembers [bytes]."""
TO_DEVICE, FROM_DEVICE, CONNECTED = ">", "<", "="
"""What a chunk is, as it is written: bytes in one direction, or a new connection."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that crossed the wire in one piece, or the beginning of a connection.

    Attributes:
        time: when [s since 1970, UTC].
        direction: `>` to the device, `<` from it, `=` a new connection.
        data: the bytes; none for a new connection.
    """

    time: float
    direction: str
    data: bytes

    def to_json(self) -> str:
        """Returns the chunk as one line of JSON; the bytes in base64."""
        return json.dumps(
            {"time": self.time, "dir": self.direction, "data": base64.b64encode(self.data).decode("ascii")}
        )

    @classmethod
    def from_json(cls, line: str) -> Chunk:
        """Returns the chunk that a line of JSON describes.

        Raises:
            ValueError: when it describes none.
        """
        try:
            entry = json.loads(line)
            data = base64.b64decode(entry["data"], validate=True)
            chunk = cls(float(entry["time"]), str(entry["dir"]), data)
        except (TypeError, KeyError, ValueError) as exc:
            raise ValueError(f"this is no line of a saved tap: {line[:80]!r}") from exc
        if chunk.direction not in (TO_DEVICE, FROM_DEVICE, CONNECTED):
            raise ValueError(f"a direction is one of > < =, not {chunk.direction!r}")
        return chunk


class WireTap:
    """The last bytes in both directions, oldest first.

    Args:
        capacity: how many bytes are kept; the oldest chunks go first.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._chunks: deque[Chunk] = deque()
        self._size = 0
        self._lock = threading.Lock()

    def connected(self) -> None:
        """Remembers that a connection was made."""
        self._add(Chunk(time.time(), CONNECTED, b""))

    def sent(self, data: bytes) -> None:
        """Remembers bytes that went to the device."""
        self._add(Chunk(time.time(), TO_DEVICE, data))

    def received(self, data: bytes) -> None:
        """Remembers bytes that came from the device."""
        self._add(Chunk(time.time(), FROM_DEVICE, data))

    def _add(self, chunk: Chunk) -> None:
        with self._lock:
            self._chunks.append(chunk)
            self._size += len(chunk.data)
            while self._size > self.capacity and len(self._chunks) > 1:
                self._size -= len(self._chunks.popleft().data)

    def chunks(self) -> list[Chunk]:
        """Returns what is remembered, oldest first."""
        with self._lock:
            return list(self._chunks)


def save_tap(path: Path | str, chunks: Iterable[Chunk]) -> None:
    """Saves a tap, one JSON line for each chunk (mode 0600)."""
    text = "".join(chunk.to_json() + "\n" for chunk in chunks)
    write_atomically(Path(path), text.encode("ascii"), 0o600)


def load_tap(path: Path | str) -> list[Chunk]:
    """Returns the chunks of a saved tap.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is no saved tap; says which line.
    """
    chunks = []
    for number, line in enumerate(Path(path).read_text("utf-8").splitlines(), start=1):
        try:
            chunks.append(Chunk.from_json(line))
        except ValueError as exc:
            raise ValueError(f"{path}, line {number}: {exc}") from exc
    return chunks
