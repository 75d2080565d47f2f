"""What the synoptics manager knows: the translation of names, and the current value of each synoptic. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from egse.advice import or_meant
from egse.synoptics.interface import COMMON, SITE
from egse.tmdict import Parameter, TMDictionary

RAW_UNIT = "ADU"
"""Unit of values that are no synoptics without a calibration."""

MAX_TEXT = 200
"""Longest text that is a value."""

ZERO_CELSIUS = 273.15
"""[K]"""

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Translation:
    """How one parameter of a producer becomes a synoptic.

    Attributes:
        name: the synoptic.
        synoptic: its row of the TM dictionary.
        origin: the row of the producer's parameter; None when the dictionary has none.
    """

    name: str
    synoptic: Parameter
    origin: Parameter | None

    @property
    def is_raw(self) -> bool:
        """True when the producer's values are raw and the dictionary has no calibration for them."""
        origin = self.origin
        return (
            origin is not None
            and origin.unit == RAW_UNIT
            and not origin.is_calibrated
            and self.synoptic.unit != RAW_UNIT
        )

    def convert(self, value: Any) -> Value:
        """Returns a value as it is stored: calibrated, in the unit of the synoptic; None for "no valid value".

        Raises:
            ValueError: when it cannot be a value of this synoptic.
        """
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, (bool, str)):
            if self.synoptic.unit:
                raise ValueError(f"{value!r:.40} is no number")
            if isinstance(value, str) and len(value) > MAX_TEXT:
                raise ValueError(f"a text of {len(value)} characters")
            return value
        if not isinstance(value, (int, float)):
            raise ValueError(f"a {type(value).__name__} is no single value")
        if self.origin is None:
            return value
        number: float = self.origin.calibrate(value)
        if self.origin.unit == "Kelvin" and self.synoptic.unit == "DegCelsius":
            number = round(number - ZERO_CELSIUS, 9)  # no traces of the subtraction
        return number


@dataclass(frozen=True)
class Update:
    """What became of the housekeeping of a producer.

    Attributes:
        taken: how many values were taken over.
        refused: why others were not, by name.
    """

    taken: int = 0
    refused: dict[str, str] = field(default_factory=dict)


class SynopticsTable:
    """The synoptics of a site.

    Args:
        dictionary: the TM dictionary.
        site_id: the site.
        stale_after: a value that was not renewed for so long is not current any more [s].
    """

    def __init__(self, dictionary: TMDictionary, site_id: str, stale_after: float) -> None:
        self.dictionary = dictionary
        self.site_id = site_id
        self.stale_after = stale_after
        self.names = list(dict.fromkeys(row.synoptic_name for row in dictionary.synoptics))
        self._tables = {
            COMMON: self._translations(dictionary.common_synoptics()),
            SITE: self._translations(dictionary.site_synoptics(site_id)),
        }
        self._values: dict[str, tuple[Value, float, str]] = {}  # value, when it was measured, origin

    def _translations(self, names: Mapping[str, str]) -> dict[str, Translation]:
        return {
            origin: Translation(name, self.dictionary[name], self.dictionary.get(origin))
            for origin, name in names.items()
        }

    @property
    def origins(self) -> dict[str, list[str]]:
        """The names of the housekeeping that is wanted, see `SynopticsManagerInterface.get_origins`."""
        return {
            kind: [name for name, translation in table.items() if not translation.is_raw]
            for kind, table in self._tables.items()
        }

    def update(self, hk: Mapping[Any, Any], kind: str, now: float, age: float = 0.0) -> Update:
        """Takes over the housekeeping of a producer.

        Args:
            hk: values by name; `timestamp` is not looked at.
            kind: `COMMON` or `SITE`.
            now: monotonic time [s].
            age: how old the values are [s]; older ones never replace younger ones, and stale ones are left out.
        """
        taken, refused = 0, {}
        for name, value in hk.items():
            if name == "timestamp":
                continue
            translation = self._tables[kind].get(name) if isinstance(name, str) else None
            if translation is None:
                refused[f"{name!s:.80}"] = self._why_unknown(str(name), kind)
                continue
            try:
                converted = translation.convert(value)
            except ValueError as exc:
                refused[name] = str(exc)
                continue
            taken += self._put(translation.name, name, converted, now, age)
        return Update(taken, refused)

    def _put(self, name: str, origin: str, value: Value, now: float, age: float) -> bool:
        moment = now - max(age, 0.0)
        known, measured, source = self._values.get(name, (None, float("-inf"), origin))
        if now - moment > self.stale_after or measured > moment:
            return False
        if source != origin and known is not None and now - measured <= self.stale_after:
            return False  # a site may have two devices for one synoptic: the one that tells it goes on telling it
        self._values[name] = (value, moment, origin)
        return True

    def _why_unknown(self, name: str, kind: str) -> str:
        other = SITE if kind == COMMON else COMMON
        if name in self._tables[other]:
            return f"is one for store_{other}_synoptics"
        return f"is no origin of a synoptic{or_meant(name, self._tables[kind])}"

    def current(self, now: float) -> dict[str, Value]:
        """Returns all synoptics by name, None for those without a current value; `now` as for `update`."""
        row: dict[str, Value] = {}
        for name in self.names:
            value, moment, _ = self._values.get(name, (None, now, ""))
            row[name] = None if now - moment > self.stale_after else value
        return row
