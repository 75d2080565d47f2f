"""Sync pulses as waveforms of the generators, and back.

Generator 2 plays two arbitrary waveforms of the same length: the read-out sync of the CCDs on channel 1, the heater sync
on channel 2. One pass holds a whole number of image cycles and of heater periods, so that both close on themselves; the
frequencies of a pass are those of the device reference. A sample is 25 ms, so that all edges fall on samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from egse.fee.timing import FRAMES_PER_CYCLE, LONG_PULSE, READOUT_PERIOD, SHORT_PULSE

SAMPLE: Final = 0.025
"""Length of a sample [s, own proposal]."""
HIGH: Final = 32767
"""Sample of a pulse."""
LOW: Final = -32767
"""Sample between pulses."""
MAX_POINTS: Final = 8192
"""Longest waveform."""
HEATER_PERIOD: Final = 12.5
"""Between two heater pulses [s], whatever the image cycle."""
HEATER_PULSE: Final = 0.2
"""Length of a heater pulse [s, own proposal]."""
F_CAM_PERIOD: Final = 2.5
"""Image cycle of the F-CAM [s]."""
CLOCK_FREQUENCY: Final = 50e6
"""Of the clock of generator 1 [Hz]."""
AMPLITUDE: Final = 2.7
"""Of all signals [Vpp]."""
OFFSET: Final = 1.35
"""Of all signals [V]; also the threshold between low and high."""

PASSES: Final = {
    25.0: (6, 0.006667),
    31.25: (2, 0.016),
    37.5: (4, 0.006667),
    43.75: (2, 0.0114286),
    50.0: (3, 0.006667),
    F_CAM_PERIOD: (5, 0.08),
}
"""Image cycle time [s] -> image cycles in one pass, frequency of the pass [Hz]; the row of the F-CAM is our own."""


@dataclass(frozen=True)
class Edge:
    """A pulse in a waveform.

    Attributes:
        offset: start, from the beginning of the waveform [fraction of it].
        width: length [fraction].
    """

    offset: float
    width: float


@dataclass(frozen=True)
class SyncWaveforms:
    """What generator 2 plays for one image cycle time.

    Attributes:
        frequency: passes per second [Hz].
        readout, heater: samples of channel 1 and 2.
    """

    frequency: float
    readout: list[int]
    heater: list[int]


def sync_waveforms(image_cycle_time: float) -> SyncWaveforms:
    """Returns the waveforms for an image cycle time.

    Args:
        image_cycle_time: 25, 31.25, 37.5, 43.75, 50 (N-CAM) or 2.5 (F-CAM) [s].

    Raises:
        ValueError: for any other.
    """
    if image_cycle_time not in PASSES:
        raise ValueError(f"the image cycle time is one of {sorted(PASSES)} s, got {image_cycle_time!r}")
    cycles, frequency = PASSES[image_cycle_time]
    length = cycles * image_cycle_time
    frames = 1 if image_cycle_time == F_CAM_PERIOD else FRAMES_PER_CYCLE
    readout = [
        (cycle * image_cycle_time + frame * READOUT_PERIOD, SHORT_PULSE if frame else LONG_PULSE)
        for cycle in range(cycles)
        for frame in range(frames)
    ]
    heater = [(index * HEATER_PERIOD, HEATER_PULSE) for index in range(round(length / HEATER_PERIOD))]
    return SyncWaveforms(frequency, _samples(length, readout), _samples(length, heater))


def _samples(length: float, pulses: Sequence[tuple[float, float]]) -> list[int]:
    samples = [LOW] * round(length / SAMPLE)
    for start, width in pulses:
        first = round(start / SAMPLE)
        samples[first : first + round(width / SAMPLE)] = [HIGH] * round(width / SAMPLE)
    return samples


def pulses_in(high: Sequence[bool]) -> Iterator[Edge]:
    """Finds the pulses in one pass of a waveform that repeats; one over the end belongs to its start.

    Args:
        high: for each sample whether the signal is high.
    """
    count = len(high)
    for index in range(count):
        if high[index] and not high[index - 1]:
            width = next(n for n in range(1, count) if not high[(index + n) % count])
            yield Edge(index / count, width / count)


def encode_samples(samples: Sequence[int]) -> bytes:
    """Returns a definite-length block: `#`, number of digits, number of bytes, big-endian signed 16-bit samples.

    Raises:
        ValueError: when there are too many samples, or one does not fit into 16 bits.
    """
    if len(samples) > MAX_POINTS:
        raise ValueError(f"a waveform has at most {MAX_POINTS} points, got {len(samples)}")
    try:
        data = b"".join(int(sample).to_bytes(2, "big", signed=True) for sample in samples)
    except OverflowError as exc:
        raise ValueError("a sample lies between -32768 and 32767") from exc
    size = str(len(data))
    return f"#{len(size)}{size}".encode() + data


def decode_samples(block: bytes) -> list[int]:
    """Returns the samples in a definite-length block; what follows it is ignored.

    Raises:
        ValueError: when it is none, or incomplete.
    """
    size = block_size(block)
    if size is None or len(block) < size:
        raise ValueError(f"{block[:20]!r}... is no complete block of samples")
    data = block[2 + int(block[1:2]) : size]
    return [int.from_bytes(data[n : n + 2], "big", signed=True) for n in range(0, len(data) - 1, 2)]


def block_size(block: bytes) -> int | None:
    """Returns how long a block is that begins like this [bytes]; None when that cannot be told yet.

    Raises:
        ValueError: when it is no block.
    """
    if block[:1] not in (b"#", b""):
        raise ValueError(f"a block begins with #, not {block[:1]!r}")
    if len(block) < 2:
        return None
    if not block[1:2].isdigit() or block[1:2] == b"0":
        raise ValueError(f"a block says with one digit how long its length is, not {block[1:2]!r}")
    digits = int(block[1:2])
    length = block[2 : 2 + digits]
    if not (length.isdigit() or not length):
        raise ValueError(f"{length!r} is no length of a block")
    return 2 + digits + int(length) if len(length) == digits else None
