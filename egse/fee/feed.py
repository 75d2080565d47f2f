"""What an AEU gives to an N-FEE: six voltages and sync pulses.

Without an AEU simulator the FEE is powered and gives itself its pulses (`egse.fee.sync.SyncGenerator`); with one it gets a
`CameraFeed` whenever something changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from egse.fee.sync import Pulse
from egse.fee.timing import READOUT_PERIOD

NEVER: Final = 1e15
"""A time that does not come [s]."""
DIGITAL_LINE: Final = 5
"""Place of V_DIG among the voltages; it feeds the FPGA."""
ON_FROM: Final = 3.6
"""The FPGA works from this voltage on [V, own proposal: 80 % of the nominal 4.55 V]."""


HALF_RANGE: Final[dict[str, float]] = {
    "NFEE_VCCD_POS_RAW": 35.0,
    "NFEE_VCLK_POS_RAW": 16.0,
    "NFEE_VAN1_POS_RAW": 7.0,
    "NFEE_VAN2_POS_RAW": 7.0,
    "NFEE_VAN3_NEG_MON": 7.0,
    "NFEE_VDIG_RAW": 4.5,
}
"""Housekeeping of the six supply lines, and the voltage [V, amount] that 0x8000 counts stand for: assumed, as in the calibration
of the simulated camera (`nfee_sensor_calibration_sim_v1.yaml`)."""


def supply_counts(voltages: Sequence[float]) -> dict[str, int]:
    """Returns the raw housekeeping of the supply lines.

    Args:
        voltages: V_CCD, V_CLK, V_AN1, V_AN2, V_AN3, V_DIG [V].
    """
    lines = zip(HALF_RANGE.items(), voltages, strict=True)
    return {name: min(0xFFFF, round(0x8000 * abs(volts) / half)) for (name, half), volts in lines}


@dataclass(frozen=True)
class PulseTrain:
    """Sync pulses that repeat.

    Attributes:
        number: another number is another train; the same one goes on undisturbed.
        start: when the first pass began [s].
        period: length of a pass [s].
        pulses: start of each pulse within a pass [s], and whether it is a long one; at least one.
    """

    number: int
    start: float
    period: float
    pulses: tuple[tuple[float, bool], ...]

    def __post_init__(self) -> None:
        offsets = [offset for offset, _ in self.pulses]
        if (
            not offsets
            or not 0 <= offsets[0] <= offsets[-1] < self.period < math.inf
            or offsets != sorted(offsets)
        ):
            raise ValueError(f"pulses at {offsets} s make no train of {self.period} s")


@dataclass(frozen=True)
class CameraFeed:
    """What arrives at the camera.

    Attributes:
        voltages: V_CCD, V_CLK, V_AN1, V_AN2, V_AN3, V_DIG [V].
        train: the sync pulses; None when there are none.
    """

    voltages: tuple[float, ...] = (0.0,) * 6
    train: PulseTrain | None = None

    @property
    def powers_fpga(self) -> bool:
        """True when the FPGA of the FEE works."""
        return self.voltages[DIGITAL_LINE] >= ON_FROM

    def fresh_train(self, now: float) -> PulseTrain | None:
        """Returns the train; one that has just begun begins now, so that its first pulse is not lost on the way.

        Messages between the simulators take some time, which is long on a fast clock.
        """
        train = self.train
        if train is None or now - train.start >= READOUT_PERIOD:
            return train
        return replace(train, start=now - train.pulses[0][0])

    def to_json(self, now: float) -> dict[str, Any]:
        """Returns the feed as JSON values; times are relative to `now` [s], for clocks differ between processes."""
        train = self.train
        if train is None:
            return {"voltages": list(self.voltages), "train": None}
        pulses = [[offset, is_long] for offset, is_long in train.pulses]
        plain = {"number": train.number, "age": now - train.start, "period": train.period, "pulses": pulses}
        return {"voltages": list(self.voltages), "train": plain}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], now: float) -> CameraFeed:
        """Returns the feed in JSON values.

        Raises:
            ValueError, TypeError, KeyError: when they are none.
        """
        voltages = tuple(float(value) for value in values["voltages"])
        if len(voltages) != 6:
            raise ValueError(f"six voltages are needed, got {len(voltages)}")
        plain = values["train"]
        if plain is None:
            return cls(voltages)
        pulses = tuple((float(offset), bool(is_long)) for offset, is_long in plain["pulses"])
        start = now - float(plain["age"])
        return cls(voltages, PulseTrain(int(plain["number"]), start, float(plain["period"]), pulses))


class TrainGenerator:
    """The pulses of a train, one after the other; takes the place of `egse.fee.sync.SyncGenerator`.

    Args:
        train: the train; None: no pulses.
    """

    def __init__(self, train: PulseTrain | None = None) -> None:
        self.train = train
        self._pass = 0
        self._index = 0

    @property
    def next(self) -> Pulse:
        """The next pulse."""
        if self.train is None:
            return Pulse(NEVER, long=True)
        offset, is_long = self.train.pulses[self._index]
        return Pulse(self.train.start + self._pass * self.train.period + offset, is_long)

    def advance(self) -> None:
        """Takes the next pulse as done."""
        self._index += 1
        if self.train is not None and self._index >= len(self.train.pulses):
            self._pass, self._index = self._pass + 1, 0

    def skip_until(self, time: float) -> None:
        """Takes all pulses before `time` as done."""
        if self.train is None:
            return
        passes = math.floor((time - self.train.start) / self.train.period)
        if passes > self._pass:
            self._pass, self._index = passes, 0
        while self.next.time < time:
            self.advance()

    @property
    def cycle_time(self) -> float:
        """Mean time between long pulses [s]; 0 without pulses."""
        longs = sum(is_long for _, is_long in self.train.pulses) if self.train is not None else 0
        return self.train.period / longs if self.train is not None and longs else 0.0

    @cycle_time.setter
    def cycle_time(self, value: float) -> None:
        raise ValueError("the AEU simulator gives the sync pulses: set the image cycle time there")
