"""Calibration of the analogue housekeeping of the N-FEE: from raw counts to degrees Celsius and volts.

The Setup's `camera.fee.calibration` holds, for each parameter by its name in the housekeeping map (format: the comment at the head
of `nfee_sensor_calibration_*.yaml`), one of

- linear: `{gain: ..., offset: ...}`, value = gain * counts + offset;
- polynomial: `{polynomial: [c0, c1, c2, ...]}`, value = c0 + c1 * counts + c2 * counts^2 + ...;
- Callendar-Van Dusen: `{r0: ..., coefficients: EN60751, gain: ..., offset: ...}`, with the resistance R = gain * counts + offset [Ohm]
  and R = R0 (1 + A T + B T^2 + C (T - 100) T^3), T in degrees Celsius, the last term only below 0.

The coefficients A, B, C by standard are in `callendar_van_dusen` of the same file, else in `camera.sensor_calibration` or
`sensor_calibration` of the Setup. A null means that the number is not known: the parameter stays raw.

Source: operations reference 12.4 (Setup, EN 60751); IEC 60751 for the equation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

SUFFIX: Final = "_CAL"
"""A calibrated parameter has the name of the raw one with this behind it."""

_SECTIONS: Final = ("temperatures", "voltages", "currents", "others")
_TOLERANCE: Final = 1e-6
_COLDEST: Final = -273.15

Conversion = Callable[[float], float | None]


class CalibrationError(ValueError):
    """A calibration in the Setup is not valid."""


def callendar_van_dusen(ratio: float, a: float, b: float, c: float) -> float | None:
    """Returns the temperature of a platinum sensor [deg C]; None when there is none for this resistance.

    Args:
        ratio: its resistance, divided by that at 0 degrees.
        a, b, c: coefficients [1/K, 1/K^2, 1/K^4]; c counts below 0 degrees only.
    """
    discriminant = a * a - 4.0 * b * (1.0 - ratio)
    if discriminant < 0:
        return None
    temperature = (math.sqrt(discriminant) - a) / (2.0 * b) if b else (ratio - 1.0) / a
    if ratio >= 1.0:
        return temperature
    for _ in range(50):  # Newton; the quadratic is off by 2.4 K at -200 degrees
        t = temperature
        value = 1.0 + a * t + b * t * t + c * (t - 100.0) * t**3 - ratio
        slope = a + 2.0 * b * t + c * (4.0 * t**3 - 300.0 * t * t)
        if not slope > 0:
            return None
        temperature = t - value / slope
        if abs(temperature - t) < _TOLERANCE:
            return temperature if temperature > _COLDEST else None
    return None


class HKCalibration:
    """The calibration of a camera.

    Args:
        content: `camera.fee.calibration` of the Setup; None for none.
        standards: coefficients by standard, for those that `content` does not hold.

    Raises:
        CalibrationError: when it is not valid; the message names the parameter.
    """

    def __init__(
        self, content: Mapping[str, Any] | None = None, standards: Mapping[str, Any] | None = None
    ) -> None:
        self._conversions: dict[str, Conversion] = {}
        content = content or {}
        known = {**(standards or {}), **(content.get("callendar_van_dusen") or {})}
        for section in _SECTIONS:
            for name, spec in (content.get(section) or {}).items():
                conversion = _conversion(str(name), spec, known)
                if conversion is not None:
                    self._conversions[str(name)] = conversion

    @classmethod
    def from_setup(cls, setup: Mapping[str, Any] | None) -> HKCalibration:
        """Returns the calibration that a Setup holds.

        Raises:
            CalibrationError: when it is not valid.
        """
        standards = _at(setup, "camera", "sensor_calibration", "callendar_van_dusen")
        if standards is None:
            standards = _at(setup, "sensor_calibration", "callendar_van_dusen")
        content = _at(setup, "camera", "fee", "calibration")
        if content is not None and not isinstance(content, Mapping):
            raise CalibrationError("camera.fee.calibration of the Setup is no table of calibrations")
        return cls(content, standards if isinstance(standards, Mapping) else None)

    def __contains__(self, name: object) -> bool:
        return name in self._conversions

    def __len__(self) -> int:
        return len(self._conversions)

    def calibrate(self, name: str, counts: float) -> float | None:
        """Returns the calibrated value of a parameter, None when its calibration is not known or has no value for it.

        Args:
            name: in the housekeeping map, without prefix.
            counts: raw value.
        """
        conversion = self._conversions.get(name)
        return None if conversion is None else conversion(counts)


def _at(node: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    return node


def _conversion(name: str, spec: Any, standards: Mapping[str, Any]) -> Conversion | None:
    if not isinstance(spec, Mapping):
        raise CalibrationError(
            f"calibration of {name}: {spec!r} is no table such as {{gain: ..., offset: ...}}"
        )
    try:
        if "polynomial" in spec:
            return _polynomial(spec["polynomial"])
        if spec.get("gain") is None or spec.get("offset") is None:
            return None
        gain, offset = float(spec["gain"]), float(spec["offset"])
        if "r0" not in spec:
            return lambda counts: gain * counts + offset
        return _platinum(spec, gain, offset, standards)
    except (TypeError, ValueError, KeyError) as error:
        raise CalibrationError(f"calibration of {name} is not valid: {error}") from error


def _polynomial(coefficients: Any) -> Conversion | None:
    if coefficients is None or any(value is None for value in coefficients):
        return None
    numbers = [float(value) for value in coefficients]

    def convert(counts: float) -> float:
        value = 0.0
        for number in reversed(numbers):
            value = value * counts + number
        return value

    return convert


def _platinum(
    spec: Mapping[str, Any], gain: float, offset: float, standards: Mapping[str, Any]
) -> Conversion | None:
    if spec["r0"] is None:
        return None
    r0, standard = float(spec["r0"]), str(spec["coefficients"])
    if not r0 > 0:
        raise ValueError("r0 must be larger than 0")
    if standard not in standards:
        raise KeyError(f"there are no coefficients {standard}; there are {sorted(standards)}")
    a, b, c = (float(standards[standard][key]) for key in "ABC")
    return lambda counts: callendar_van_dusen((gain * counts + offset) / r0, a, b, c)
