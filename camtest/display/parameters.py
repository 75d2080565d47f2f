"""Housekeeping: the last value of each parameter with its limits, and plots over time with what happened meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from camtest.display.markup import BAD, GOOD, Cell, block, columns, table
from egse.env import EnvError, get_data_storage_location
from egse.monitor.loading import read_definitions
from egse.report.charts import Band, Mark, Series, line_chart
from egse.report.happenings import bands_of, block_bands, marks_between, observations_between
from egse.system import format_datetime, from_unix_time
from egse.tmdict import Limits, Parameter, TMDictionary, find_dictionary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egse.hk.access import TimeWindow
    from egse.setup import Setup

LOGGER = logging.getLogger(__name__)

RECENT = 600.0
"""Time that is shown when nothing else is asked for [s]."""


@dataclass(frozen=True)
class ParameterSamples:
    """One housekeeping parameter over time.

    Attributes:
        name: of the parameter.
        unit: of its values.
        limits: of the TM dictionary: operational ones when there are any.
        outer: the limits out of operation, where there are operational ones too.
        times: Unix times [s], shape (N,).
        values: shape (N,): numbers, booleans or texts.
    """

    name: str
    unit: str
    limits: Limits
    times: NDArray[np.float64]
    values: NDArray[Any]
    outer: Limits = field(default_factory=Limits)

    @property
    def is_numeric(self) -> bool:
        """True when the values can be plotted."""
        return self.values.dtype.kind in "iufb"

    @property
    def last(self) -> str:
        """The last value as text."""
        if not len(self.values):
            return "no data"
        value = self.values[-1]
        return f"{value:g}" if self.values.dtype.kind in "iuf" else str(value)

    @property
    def status(self) -> str:
        """`ok`, `OUT`, `no limits` or `no data`, of the last value."""
        if not len(self.values):
            return "no data"
        if not self.limits or self.values.dtype.kind not in "iuf":
            return "no limits"
        return "ok" if float(self.values[-1]) in self.limits else "OUT"

    @property
    def range_text(self) -> str:
        """The limits as text."""
        low, high = (f"{x:g}" if x is not None else "" for x in (self.limits.low, self.limits.high))
        return f"{low}..{high}" if self.limits else ""


class HousekeepingView:
    """Parameters over a time, to be shown; see `housekeeping`.

    Args:
        samples: the parameters.
        when: which time, for the title.
        marks: moments that are drawn into the plots: alarms.
        bands: spans that are drawn into the plots: observations and building blocks.
    """

    def __init__(
        self,
        samples: list[ParameterSamples],
        when: str,
        marks: Sequence[Mark] = (),
        bands: Sequence[Band] = (),
    ) -> None:
        self.samples = samples
        self.when = when
        self.marks = tuple(marks)
        self.bands = tuple(bands)

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                one.name,
                one.last,
                one.unit,
                one.range_text,
                one.status,
                f"{len(one.values)}",
                format_datetime(from_unix_time(float(one.times[-1])))[11:19] if len(one.times) else "",
            )
            for one in self.samples
        ]

    _HEAD = ("parameter", "last", "unit", "limits", "status", "samples", "at (UTC)")

    def __repr__(self) -> str:
        return f"Housekeeping of {self.when}\n{columns(self._HEAD, self._rows())}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        rows = []
        for row in self._rows():
            colour = {"OUT": BAD, "ok": GOOD}.get(row[4], "")
            style = f"color:{colour};font-weight:bold" if colour else ""
            rows.append([Cell(text, style if column in (1, 4) else "") for column, text in enumerate(row)])
        charts = [self._chart(one) for one in self.samples if one.is_numeric and len(one.values) > 1]
        title = f"<b>Housekeeping of {self.when}</b>"
        return {"text/plain": repr(self), "text/html": block(title, table(self._HEAD, rows), *charts)}

    def _chart(self, one: ParameterSamples) -> str:
        outer, inner = (one.outer, one.limits) if one.outer else (one.limits, Limits())
        return line_chart(
            Series(one.times, one.values.astype(np.float64), one.name),
            unit=one.unit,
            low=outer.low,
            high=outer.high,
            warn_low=inner.low,
            warn_high=inner.high,
            marks=self.marks,
            bands=self.bands,
        )


def housekeeping(
    *names: str,
    obsid: int | str | None = None,
    od: str | None = None,
    time_window: TimeWindow | None = None,
    setup: Setup | None = None,
) -> HousekeepingView:
    """Returns housekeeping parameters to be shown: last values with limits, and plots; from the files of the archive.

    Alarms, observations and building blocks of the time are drawn into the plots.

    Args:
        names: of the parameters, e.g. `GOGSE_ATT_LVL`.
        obsid: of this observation, in any form.
        od: of this UTC day, `YYYYMMDD`.
        time_window: of the last so many seconds, or `(start, end)`; the last 10 minutes when nothing is given.
        setup: whose TM dictionary is used; None for that of this package.

    Raises:
        LookupError: when no file of that time has one of the parameters.
        ValueError: when no name, or more than one time is given.
    """
    if not names:
        raise ValueError("which housekeeping? Give names of parameters, such as GOGSE_ATT_LVL")
    if obsid is None and od is None and time_window is None:
        time_window = RECENT
    dictionary = find_dictionary(setup)
    samples = [_read(name, dictionary, setup, obsid=obsid, od=od, time_window=time_window) for name in names]
    return HousekeepingView(samples, _when(obsid, od, time_window), *_happenings(samples, obsid))


def _happenings(samples: list[ParameterSamples], obsid: int | str | None) -> tuple[list[Mark], list[Band]]:
    """Returns what happened in the time of the samples; nothing when the archive does not tell."""
    moments = [time for one in samples if len(one.times) for time in (one.times[0], one.times[-1])]
    if not moments:
        return [], []
    start, end = float(min(moments)), float(max(moments))
    try:
        site = get_data_storage_location() if obsid is None else _site_of(obsid)
        found = observations_between(site, start, end)
        return marks_between(site, start, end), [*bands_of(found, end), *block_bands(site, found, end)]
    except (EnvError, LookupError, OSError) as exc:
        LOGGER.warning("alarms and observations are not drawn in: %s", exc)
        return [], []


def _site_of(obsid: int | str) -> Path:
    from egse.archive import Observation

    return Observation(obsid).site_folder


def _read(name: str, dictionary: TMDictionary, setup: Setup | None, **when: Any) -> ParameterSamples:
    from egse.hk import get_housekeeping  # loads numpy, which a session may never need

    times, values = get_housekeeping(name, setup=setup, **when)
    parameter = dictionary.get(name)
    if parameter is None:
        return ParameterSamples(name, "", Limits(), times, values)
    inner, outer = limits_of(parameter, dictionary, setup)
    return ParameterSamples(name, parameter.unit, inner or outer, times, values, outer if inner else Limits())


def limits_of(parameter: Parameter, dictionary: TMDictionary, setup: Setup | None) -> tuple[Limits, Limits]:
    """Returns the limits of a warning and of an alarm: of the TM dictionary, refined by the Setup (`monitor.limits`)."""
    definition = (
        read_definitions(setup, dictionary).by_name.get(parameter.name) if setup is not None else None
    )
    if definition is None:
        return parameter.ops, parameter.nonops
    ranges = dict(definition.checks.ranges)
    return ranges.get("warning", Limits()), ranges.get("alarm") or ranges.get("critical") or Limits()


def _when(obsid: int | str | None, od: str | None, window: TimeWindow | None) -> str:
    if obsid is not None:
        return f"observation {obsid}"
    if od is not None:
        return f"{od}"
    return f"{window[0]} to {window[1]}" if isinstance(window, tuple) else f"the last {window:g} s"
