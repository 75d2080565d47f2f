"""One row of the TM dictionary, and the columns of its file (manual, section 5.6.1; storage ICD, section 7.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from egse.tmdict.prefixes import SYNOPTICS_PREFIX

ORIGIN = "Origin of synoptics at "
"""Start of the names of the columns with the origins of synoptics, one for each test house."""

COLUMNS: dict[str, str] = {
    "TM source": "source",
    "Storage mnemonic": "mnemonic",
    "CAM EGSE mnemonic": "name",
    "Original name in EGSE": "original",
    "Name of corresponding timestamp": "timestamp",
    f"{ORIGIN}CSL": "",
    f"{ORIGIN}SRON": "",
    f"{ORIGIN}IAS": "",
    f"{ORIGIN}INTA": "",
    "Description": "description",
    "MON screen": "screen",
    "unit cal1": "unit",
    "offset b cal1": "offset",
    "slope a cal1": "slope",
    "calibration function": "calibration_function",
    "MAX nonops": "",
    "MIN nonops": "",
    "MAX ops": "",
    "MIN ops": "",
    "Comment": "comment",
}
"""The columns in the order of the file, with the attribute of `Parameter` that holds them."""

NUMBERS = ("offset b cal1", "slope a cal1", "MAX nonops", "MIN nonops", "MAX ops", "MIN ops")
"""The columns that hold numbers."""


def parse_number(text: str) -> float | None:
    """Returns the number in a cell, None for an empty one.

    Raises:
        ValueError: when it is no finite number.
    """
    if not text.strip():
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


@dataclass(frozen=True, slots=True)
class Limits:
    """A range that values should stay in; None where there is no limit.

    Attributes:
        low, high: in the unit of the parameter.
    """

    low: float | None = None
    high: float | None = None

    def __contains__(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __bool__(self) -> bool:
        return self.low is not None or self.high is not None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A housekeeping parameter.

    Attributes:
        name: EGSE-conform name (column `CAM EGSE mnemonic`), also that of its metric.
        mnemonic: storage mnemonic of its producer.
        source: the producer, for people.
        original: name in the device, where it differs.
        timestamp: column of the housekeeping file with its time.
        origins: for synoptics of devices of a test house: original names by test house.
        description: what it is.
        screen: dashboard that shows it.
        unit: of the (calibrated) value.
        slope, offset: of a linear calibration, calibrated = slope * raw + offset; None when there is none.
        calibration_function: not used at the moment.
        nonops: limits out of operation.
        ops: limits in operation.
        comment: anything else.
        line: where it stands in its file, 0 when it comes from no file.
    """

    name: str
    mnemonic: str = ""
    source: str = ""
    original: str = ""
    timestamp: str = "timestamp"
    origins: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    screen: str = ""
    unit: str = ""
    slope: float | None = None
    offset: float | None = None
    calibration_function: str = ""
    nonops: Limits = Limits()
    ops: Limits = Limits()
    comment: str = ""
    line: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, str], line: int = 0) -> Parameter:
        """Makes a parameter of a row of the file; numbers that cannot be read are left out (`check_file` names them).

        Args:
            row: cells by column; missing columns are empty.
            line: number of its line.
        """
        cells = {column: (row.get(column) or "").strip() for column in row if column}
        texts: dict[str, Any] = {
            attribute: cells.get(column, "")
            for column, attribute in COLUMNS.items()
            if attribute and column not in NUMBERS
        }
        numbers = {column: _lenient(cells.get(column, "")) for column in NUMBERS}
        return cls(
            **texts,
            origins={
                column.removeprefix(ORIGIN): cell
                for column, cell in cells.items()
                if cell and column.startswith(ORIGIN)
            },
            slope=numbers["slope a cal1"],
            offset=numbers["offset b cal1"],
            nonops=Limits(numbers["MIN nonops"], numbers["MAX nonops"]),
            ops=Limits(numbers["MIN ops"], numbers["MAX ops"]),
            line=line,
        )

    @property
    def is_synoptic(self) -> bool:
        """True for a parameter that the synoptics manager stores."""
        return self.name.startswith(SYNOPTICS_PREFIX) or self.original.startswith(SYNOPTICS_PREFIX)

    @property
    def synoptic_name(self) -> str:
        """Name of a synoptic in its file, `GSYN_...`; either of the two columns may hold it (see `common_origin`)."""
        return self.name if self.name.startswith(SYNOPTICS_PREFIX) else self.original

    @property
    def common_origin(self) -> str:
        """Original name of a synoptic that all test houses have; empty for one of a test house's own devices."""
        return self.original if self.name.startswith(SYNOPTICS_PREFIX) else self.name

    @property
    def is_calibrated(self) -> bool:
        """True when a linear calibration is known."""
        return self.slope is not None or self.offset is not None

    @overload
    def calibrate(self, raw: float) -> float: ...
    @overload
    def calibrate(self, raw: Any) -> Any: ...
    def calibrate(self, raw: Any) -> Any:
        """Returns `slope * raw + offset`, a missing one being 1 or 0; `raw` itself without a calibration.

        Args:
            raw: a number or a numpy array.
        """
        if not self.is_calibrated:
            return raw
        slope = 1.0 if self.slope is None else self.slope
        return slope * raw + (0.0 if self.offset is None else self.offset)


def _lenient(text: str) -> float | None:
    try:
        return parse_number(text)
    except ValueError:
        return None
