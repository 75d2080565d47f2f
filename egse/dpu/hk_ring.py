"""The newest housekeeping of the N-FEE, for a listener that was away when it was published."""

from __future__ import annotations

from collections import deque
from typing import Any

from egse.storage.naming import utc_text

CAPACITY = 30_000
"""So many are kept: a day at two a timecode, 4.5 MB."""
MOST_AT_ONCE = 500
"""So many are given in one answer."""


class HousekeepingRing:
    """Keeps the newest housekeeping areas, numbered from 0."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, str, bytes]] = deque(maxlen=CAPACITY)
        self._next = 0

    def add(self, area: bytes, timestamp: float) -> tuple[bytes, str, int]:
        """Keeps an area.

        Args:
            area: 144 bytes of housekeeping.
            timestamp: time of reception, Unix time [s].

        Returns:
            What is published of it: area, time of reception (UTC text) and number.
        """
        number, text = self._next, utc_text(timestamp)
        self._rows.append((number, text, bytes(area)))
        self._next += 1
        return area, text, number

    def since(self, timestamp: str) -> dict[str, Any]:
        """Returns what was received after a time.

        Args:
            timestamp: UTC text; empty for all that are kept.

        Returns:
            `rows`: the oldest of them, at most `MOST_AT_ONCE`, as [number, timestamp, area], in their order; `first`: number of the
            oldest that is kept at all (those before it are forgotten).
        """
        newer = [row for row in self._rows if row[1] > timestamp][:MOST_AT_ONCE]
        return {"rows": newer, "first": self._rows[0][0] if self._rows else self._next}
