"""What a control server remembers of what it has published, until it is too old to be told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egse.metrics.figures import Figure, leaves, metric_name, number_of, seconds_of, text_of
from egse.metrics.status import OWN_KEYS, PID_ENDS, server_figures

if TYPE_CHECKING:
    from egse.metrics.parameters import Descriptions

TIMESTAMPS = ("housekeeping", "server", "prometheus")
"""Where the time of a value comes from (manual, section 19.2, options 1 to 3)."""
PERIODS = 3.0
"""A row that has not been renewed for so many periods is told no longer."""
SHORTEST_LIFE = 5.0
"""No row is given up sooner [s]: a scrape every few seconds must find it."""
LONGEST_PERIOD = 60.0
"""Longer pauses between two rows are no rhythm [s]."""
MOST_FIGURES = 500
"""So many numbers of a status are told; a server with more publishes something that is no status."""


@dataclass(slots=True)
class _Row:
    """A row as it was published.

    Attributes:
        values: by column; never changed.
        received: when, on the monotonic clock [s].
        at: when, as Unix time [s].
        period: time since the row before, as far as that is a rhythm [s]; 0 when there was none.
    """

    values: Mapping[str, Any]
    received: float
    at: float
    period: float = 0.0


class MetricsBook:
    """Keeps the last housekeeping row of each kind, and the last status.

    Rows of one server may differ (a device with several tables, an N-FEE beside its server): those with the same columns
    replace each other. `note` is called by the threads that publish and costs nothing; all work is done when somebody asks.

    Args:
        period: returns how often rows are expected [s].
        timestamps: one of `TIMESTAMPS`.
        stale_after: age at which a row is told no longer [s]; 0 for three of its periods.
        monotonic, now: clocks [s].
    """

    def __init__(
        self,
        period: Callable[[], float] = lambda: 1.0,
        timestamps: str = TIMESTAMPS[0],
        stale_after: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        if timestamps not in TIMESTAMPS:
            raise ValueError(f"METRICS_TIMESTAMPS is {timestamps!r}; use one of {', '.join(TIMESTAMPS)}")
        self._timestamps = timestamps
        self._period, self._stale_after = period, stale_after
        self._monotonic, self._now = monotonic, now
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, ...], _Row] = {}
        self._status: _Row | None = None
        self.rows = 0

    def note(self, topic: str, value: Any) -> None:
        """Takes notice of what is published; topics other than housekeeping and status are not looked at."""
        if not isinstance(value, Mapping) or topic not in ("housekeeping", "status"):
            return
        fresh = _Row(value, self._monotonic(), self._now())
        with self._lock:
            if topic == "status":
                before, self._status = self._status, fresh
            else:
                before, self._rows[key] = self._rows.get(key := tuple(value)), fresh
                self.rows += 1
        if before is not None:
            fresh.period = min(fresh.received - before.received, LONGEST_PERIOD)

    def _is_fresh(self, row: _Row) -> bool:
        limit = self._stale_after or max(PERIODS * max(self._period(), row.period), SHORTEST_LIFE)
        return self._monotonic() - row.received <= limit

    def _current(self) -> tuple[list[_Row], _Row | None]:
        """Returns the rows and the status that may be told, the newest row last; what is too old is forgotten."""
        with self._lock:
            self._rows = {key: row for key, row in self._rows.items() if self._is_fresh(row)}
            rows = sorted(self._rows.values(), key=lambda row: row.received)
            status = self._status if self._status is not None and self._is_fresh(self._status) else None
        return rows, status

    def figures(self, descriptions: Descriptions) -> Iterator[Figure]:
        """Returns everything that may be told now.

        Args:
            descriptions: what is known about the values.
        """
        rows, status = self._current()
        if status is not None:
            yield from server_figures(status.values)
            yield Figure.of(
                "egse_server_status_timestamp_seconds", "Unix time of the status of the server", status.at
            )
            rows = [_named_leaves(status, descriptions), *rows]
        newest = {name: (value, row) for row in rows for name, value in row.values.items()}
        for name, (value, row) in newest.items():
            yield from self._parameter(name, value, row, descriptions)
        times = [row.at for row in rows[status is not None :]]
        if times:
            yield Figure.of(
                "egse_server_housekeeping_timestamp_seconds",
                "Unix time of the newest housekeeping row",
                max(times),
            )
        if status is not None:
            yield from _others(status.values, descriptions)

    def _parameter(self, name: str, value: Any, row: _Row, known: Descriptions) -> Iterable[Figure]:
        parameter = known.find(name)
        if parameter is None and name == "timestamp":
            return
        metric, number = metric_name(name), number_of(value)
        if number is not None:
            if parameter is not None and not isinstance(value, bool):
                number = parameter.calibrate(number)
            yield Figure.of(metric, known.help(name), number)
        elif text := text_of(value):
            yield Figure(f"{metric}_info", known.help(name), (({"value": text}, 1.0),))
        else:
            return
        if self._timestamps != "prometheus":
            yield Figure.of(f"{metric}_ts", f"Unix time of {name}", self._time_of(row, parameter))

    def _time_of(self, row: _Row, parameter: Any) -> float:
        if self._timestamps == "housekeeping":
            column = parameter.timestamp if parameter is not None and parameter.timestamp else "timestamp"
            for name in (column, "timestamp"):
                if (seconds := seconds_of(row.values.get(name))) is not None:
                    return seconds
        return row.at


def _named_leaves(status: _Row, known: Descriptions) -> _Row:
    """Returns the values of a status that the TM dictionary knows, for example the synoptics."""
    values = {key: value for _, key, value in leaves(status.values) if known.find(key) is not None}
    return _Row(values, status.received, status.at)


def _others(status: Mapping[str, Any], known: Descriptions) -> Iterator[Figure]:
    """Returns the other numbers of a status, as one metric with a label for each."""
    own = {key: value for key, value in status.items() if key not in OWN_KEYS}
    samples = [
        ({"figure": path}, number)
        for path, key, value in leaves(own)
        if known.find(key) is None
        and not f"_{key}".endswith(PID_ENDS)
        and (number := number_of(value)) is not None
    ]
    if samples:
        yield Figure(
            "egse_server_status",
            "Numbers in the status of the server, by their place in it",
            tuple(samples[:MOST_FIGURES]),
        )
