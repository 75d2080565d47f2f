"""Which housekeeping parameters were beyond their limits, how far and for how long, from the archive.

The limits are those of the limit monitor: of the TM dictionary, refined by the Setup. What depends on circumstances (state,
phase, mode), rates and rules over several parameters are in the journal of alarms only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egse.hk.cache import user_cache
from egse.hk.column import Column
from egse.hk.files import daily_files
from egse.monitor.alarms import PRIORITIES
from egse.monitor.loading import read_definitions
from egse.report.span import Scope
from egse.setup import Setup
from egse.tmdict import Limits, Parameter, find_dictionary

LONGEST_HOLD = 60.0
"""A value counts until the next one, but no longer than this [s]."""


@dataclass(frozen=True)
class Violation:
    """One parameter that was beyond its limits.

    Attributes:
        name: of the parameter.
        mnemonic: of its producer.
        unit: of its values.
        severity: warning, alarm, critical: the worst of its limits that was violated.
        limits: the limits.
        samples: how many values were beyond, of `total`.
        total: how many values there are.
        seconds: how long it was beyond [s].
        first, last: times of the first and last such value [Unix s].
        lowest, highest: of all values.
    """

    name: str
    mnemonic: str
    unit: str
    severity: str
    limits: Limits
    samples: int
    total: int
    seconds: float
    first: float
    last: float
    lowest: float
    highest: float

    @property
    def limits_text(self) -> str:
        """The limits, `-20..60`."""
        low, high = ("" if x is None else f"{x:g}" for x in (self.limits.low, self.limits.high))
        return f"{low}..{high}"


def find_violations(scope: Scope, setup: Setup | None) -> list[Violation]:
    """Returns the parameters that were beyond their limits, the worst first.

    Args:
        scope: the time.
        setup: whose limits count; None for those of the TM dictionary of this package.
    """
    dictionary = find_dictionary(setup)
    found = []
    for name, definition in read_definitions(setup, dictionary).by_name.items():
        parameter = dictionary.get(name)
        if parameter is not None and definition.checks.monitored and definition.checks.ranges:
            found += _of_parameter(parameter, definition.checks.ranges, scope)
    return sorted(found, key=lambda v: (-PRIORITIES.index(v.severity), -v.seconds, v.name))


def _of_parameter(
    parameter: Parameter, ranges: Sequence[tuple[str, Limits]], scope: Scope
) -> list[Violation]:
    days = scope.span.days
    paths = [path for day in days for path in daily_files(scope.site, day, parameter.mnemonic)]
    samples = _samples(parameter, paths, scope) if paths else None
    if samples is None:
        return []
    times, values = samples
    if not times.size:
        return []
    for severity, limits in ranges:
        found = judge(parameter, times, values, limits, severity)
        if found is not None:
            return [found]
    return []


def judge(
    parameter: Parameter,
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    limits: Limits,
    severity: str,
) -> Violation | None:
    """Returns how values were beyond limits; None when none was.

    Args:
        parameter: whose values they are.
        times: [Unix s], ascending, shape (N,).
        values: shape (N,); nan is no value.
        limits: the limits.
        severity: what it means to be beyond them.
    """
    low = -np.inf if limits.low is None else limits.low
    high = np.inf if limits.high is None else limits.high
    beyond = (values < low) | (values > high)
    if not beyond.any():
        return None
    holds = np.minimum(np.append(np.diff(times), 0.0), LONGEST_HOLD)
    where = np.flatnonzero(beyond)
    return Violation(
        parameter.name,
        parameter.mnemonic,
        parameter.unit,
        severity,
        limits,
        int(beyond.sum()),
        int(np.isfinite(values).sum()),
        float(holds[beyond].sum()),
        float(times[where[0]]),
        float(times[where[-1]]),
        float(np.nanmin(values)),
        float(np.nanmax(values)),
    )


def _samples(
    parameter: Parameter, paths: Iterable[Path], scope: Scope
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Returns numbers within the time; None when there are none."""
    cache = user_cache()
    pieces: list[tuple[Column, Column]] = []
    for path in paths:
        try:
            columns = cache.read(path, parameter.timestamp or "timestamp", parameter.name)
        except FileNotFoundError:
            continue
        if columns is not None and columns[1].kind in ("int", "float"):
            pieces.append(columns)
    if not pieces:
        return None
    times = np.concatenate([one.data for one, _ in pieces]).astype(np.float64)
    values = np.concatenate([one.data for _, one in pieces]).astype(np.float64)
    chosen = np.isfinite(times) & np.isfinite(values) & (times >= scope.span.start) & (times < scope.span.end)
    times, values = times[chosen], values[chosen]
    order = np.argsort(times, kind="stable")
    return times[order], values[order]
