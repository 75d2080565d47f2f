"""The parameters of the TCS EGSE: names, ranges, resolutions, and the buffer in which they wait to be taken over.

`operation_mode` and `ch1_tset` are named by the protocol reference; all other names are our own proposal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from egse.tcs.interface import OperatingMode

MODES = {mode.name.lower(): int(mode) for mode in OperatingMode} | {"de-icing": 2, "deicing": 2}
GROUPS = ("tou", "fee", "spare")
"""What channels 1, 2 and 3 measure and heat: TRP1, TRP22, spare."""
SENSORS = 3
"""Sensors of each group."""


class ParameterError(ValueError):
    """No such parameter, or no value for it."""


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        default, low, high: value at power-up, and range.
        step: resolution.
    """

    default: float
    low: float
    high: float
    step: float

    def coerce(self, value: float) -> float:
        """Returns the value that the TCS EGSE really takes: in range, and a multiple of the resolution."""
        inside = min(self.high, max(self.low, value))
        return round(round(inside / self.step) * self.step, 9)

    def format(self, value: float) -> str:
        """Returns a value as the TCS EGSE writes it."""
        return f"{value:g}" if self.step < 1 else f"{round(value)}"


def channel_parameters(number: int) -> dict[str, Parameter]:
    """Returns the parameters of a channel, by name."""
    tset = {1: -80.0, 2: -35.0}.get(number, 0.0)
    table = {
        "enabled": Parameter(1 if number == 1 else 0, 0, 1, 1),  # TRP22 heats only when it is told to
        "tset": Parameter(tset, -200.0, 100.0, 0.01),  # set point [deg C]
        "tmax": Parameter(60.0, -200.0, 120.0, 0.01),  # the heater is inhibited above [deg C]
        "mode": Parameter(0, 0, 3, 1),  # ClosedLoopMode
        "pi1_kp": Parameter(20.0, 0.0, 1000.0, 0.01),  # gain [% / K]
        "pi1_ti": Parameter(300.0, 1.0, 100000.0, 0.1),  # reset time [s]
        "pi2_kp": Parameter(5.0, 0.0, 1000.0, 0.01),
        "pi2_ti": Parameter(1200.0, 1.0, 100000.0, 0.1),
        "bb1_hysteresis": Parameter(0.1, 0.0, 20.0, 0.01),  # half width of the dead band [K]
        "bb2_hysteresis": Parameter(1.0, 0.0, 20.0, 0.01),
        "pwm_frequency": Parameter(40.0, 30.0, 50.0, 0.1),  # [Hz]
        "sensors": Parameter(7, 1, 7, 1),  # which sensors are averaged: bits 0..2
        "average": Parameter(0, 0, 1, 1),  # 0 mean, 1 median
    }
    return {f"ch{number}_{name}": parameter for name, parameter in table.items()}


def all_parameters(channels: int) -> dict[str, Parameter]:
    """Returns all parameters by name, in the order of `get_conf_all`."""
    table = {"operation_mode": Parameter(OperatingMode.NORMAL, 0, max(OperatingMode), 1)}
    for number in range(1, channels + 1):
        table |= channel_parameters(number)
    return table


_EN60751 = (100.0, 3.9083e-3, -5.775e-7, -4.183e-12, 0.0, 0.0)


@dataclass
class Configuration:
    """Parameters in force, those that wait, and the sensors that are known.

    Args:
        channels: how many channels there are.

    Attributes:
        values: in force, by name.
        staged: waiting for `commit_config` or `run_task`.
        sensors: six coefficients of each sensor, by serial number.
        inputs: serial number of the sensor at each input.
    """

    channels: int = 3
    values: dict[str, float] = field(init=False)
    staged: dict[str, float] = field(default_factory=dict)
    sensors: dict[str, tuple[float, ...]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = all_parameters(self.channels)
        self.values = {name: parameter.default for name, parameter in self.table.items()}
        for number, name in enumerate(rtd_inputs(), start=1):
            serial = f"PT100-{number:02d}"
            self.sensors[serial] = _EN60751
            self.inputs[name] = serial

    def of_channel(self, number: int, name: str) -> float:
        """Returns the value in force of a parameter of a channel."""
        return self.values[f"ch{number}_{name}"]

    def stage(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Lets values wait; all of them or none.

        Raises:
            ParameterError: when a name is not known, or a value is no number.
        """
        waiting = {}
        for name, text in pairs:
            if name not in self.table:
                raise ParameterError(name)
            if name == "operation_mode" and text.lower() in MODES:
                waiting[name] = float(MODES[text.lower()])
                continue
            value = finite_number(text)
            if name == "operation_mode" and value not in MODES.values():
                raise ParameterError(text)
            waiting[name] = value
        self.staged |= waiting

    def take_over(self) -> list[str]:
        """Takes over what waits; returns the names of those that had to be changed for that."""
        changed = []
        for name, value in self.staged.items():
            taken = self.table[name].coerce(value)
            if abs(taken - value) > 1e-9:
                changed.append(name)
            self.values[name] = taken
        self.staged.clear()
        return changed

    def lines(self) -> list[str]:
        """Returns the lines of `get_conf_all`; the keyword of the sensors' table stands in its first line only."""
        lines = [f"{name}\t{self.table[name].format(value)}" for name, value in self.values.items()]
        for number, (serial, coefficients) in enumerate(self.sensors.items()):
            keyword = "" if number else "rtd_list"
            lines.append("\t".join([keyword, serial, *(f"{c:g}" for c in coefficients)]))
        return lines

    def upload_sensor(self, text: str) -> None:
        """Takes `sn_r0_a_b_c` or `sn_a_b_c_d_e_f`.

        Raises:
            ParameterError: when it is neither.
        """
        serial, *fields = text.split("_")
        if not serial or len(fields) not in (4, 6):
            raise ParameterError(text)
        coefficients = [finite_number(one) for one in fields]
        self.sensors[serial] = tuple(coefficients + [0.0] * (6 - len(coefficients)))

    def connect_sensor(self, name: str, serial: str) -> None:
        """Says which sensor is at an input.

        Raises:
            ParameterError: when there is no such input or sensor.
        """
        if name not in self.inputs or serial not in self.sensors:
            raise ParameterError(f"{name} {serial}")
        self.inputs[name] = serial


def rtd_inputs() -> list[str]:
    """Returns the names of all inputs for sensors of the camera."""
    return [f"{group}_rtd_{number}" for group in GROUPS for number in range(1, SENSORS + 1)]


def finite_number(text: str) -> float:
    """Returns the number in a text; raises `ParameterError` when there is none."""
    try:
        value = float(text)
    except ValueError as exc:
        raise ParameterError(text) from exc
    if value - value != 0.0:  # nan or infinite
        raise ParameterError(text)
    return value
