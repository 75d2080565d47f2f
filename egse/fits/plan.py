"""Which exposures go into which FITS cube.

A cube holds consecutive cycles with image data and the same crucial parameters. It ends when one of these changes, at a cycle
without image data (such as DUMP), when slicing was commanded, and at a largest number of cycles.

Source: ICD of the storage formats, section 9.1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from egse.fee import n_fee_mode
from egse.h5 import (
    frame_numbers,
    get_attribute_value,
    get_attributes,
    get_file,
    get_timestamp,
    packet_count,
    packet_heads,
)
from egse.spw import HEADER_SIZE, CCDSide, decode_headers

LOGGER = logging.getLogger(__name__)

CRUCIAL = ("v_start", "v_end", "h_end", "n_final_dump", "ccd_readout_order", "ccd_mode_config")
"""When one of these changes, a new cube starts."""

MAX_CYCLES = 40
"""Largest number of cycles in a cube (the ICD leaves the number open): about 7 GB of full frames of both sides."""

_MODES = (n_fee_mode.FULL_IMAGE_MODE, n_fee_mode.FULL_IMAGE_PATTERN_MODE)


@dataclass(frozen=True)
class Exposure:
    """One readout of one CCD.

    Attributes:
        path: raw file.
        frame: frame number in it, 0..3.
        code: CCD code of the FEE, 0..3.
        sides: the sides in it, "E", "F" or both.
        timestamp: reception of its timecode, Unix time [s].
        attributes: register fields in effect.
        counter: the FEE's counter of readouts, 0..65535.
    """

    path: Path
    frame: int
    code: int
    sides: str
    timestamp: float
    attributes: dict[str, int]
    counter: int = 0

    @property
    def cycle_counter(self) -> int:
        """The FEE's counter at the first readout of the cycle, 0..65535."""
        return (self.counter - self.frame) & 0xFFFF

    @property
    def crucial(self) -> tuple[int, ...]:
        """The crucial parameters."""
        return tuple(self.attributes[name] for name in CRUCIAL)


@dataclass
class CubePlan:
    """The exposures of one cube, in the order of time.

    Attributes:
        exposures: at least one.
        cycles: number of readout cycles they come from.
    """

    exposures: list[Exposure] = field(default_factory=list)
    cycles: int = 0

    @property
    def lost_frames(self) -> int:
        """Readouts of these cycles without image data (4 belong to a cycle, 1 in internal synchronisation)."""
        of_a_cycle = 1 if self.first.attributes.get("sync_sel") else 4
        return max(0, of_a_cycle * self.cycles - len(self.exposures))

    @property
    def first(self) -> Exposure:
        """The first exposure: the time of the file counts from it."""
        return self.exposures[0]

    def of_side(self, code: int, side: str) -> list[Exposure]:
        """Returns the exposures of one CCD (FEE code) and side."""
        return [exposure for exposure in self.exposures if exposure.code == code and side in exposure.sides]

    def holds_begin_of(self, exposure: Exposure) -> bool:
        """Returns True when the last readout here is an earlier one of the same cycle: a DPU Processor that was killed in a cycle
        leaves the begin of it in one file, and its successor the end in another."""
        last = self.exposures[-1]
        return last.frame < exposure.frame and last.cycle_counter == exposure.cycle_counter


def plan_cubes(paths: Iterable[Path], max_cycles: int = MAX_CYCLES) -> list[CubePlan]:
    """Distributes the exposures in raw files over cubes.

    Args:
        paths: raw files of one observation, in the order of time; a file that cannot be read is logged and left out.
        max_cycles: largest number of cycles in a cube.
    """
    plans: list[CubePlan] = []
    current: CubePlan | None = None
    for path in paths:
        try:
            exposures, slicing = read_exposures(path)
        except (OSError, KeyError, ValueError) as exc:
            LOGGER.error("%s is left out of the FITS files: %s", path, exc)
            continue
        if not exposures:
            if not _holds_unknown_images(path):
                current = None
            continue
        limit = min(max_cycles, slicing) if slicing > 0 else max_cycles
        same = current is not None and current.first.crucial == exposures[0].crucial
        if current is not None and same and current.holds_begin_of(exposures[0]):
            current.exposures += exposures
            continue
        if current is None or not same or current.cycles >= limit:
            current = CubePlan()
            plans.append(current)
        current.exposures += exposures
        current.cycles += 1
    return plans


def read_exposures(path: Path) -> tuple[list[Exposure], int]:
    """Lists the exposures of one raw file.

    Args:
        path: the raw file.

    Returns:
        The exposures with image data, and after how many cycles a cube is to be cut (0: never).

    Raises:
        OSError: when the file cannot be read.
        KeyError: when it lacks something.
    """
    with get_file(path) as file:
        slicing = int(get_attribute_value(file["dpu"], "slicing_num_cycles")) if "dpu" in file else 0
        found = [_exposure(file, path, frame) for frame in frame_numbers(file)]
    return [exposure for exposure in found if exposure is not None], slicing


def _holds_unknown_images(path: Path) -> bool:
    """Returns True for a cycle with images of which nobody knows the registers: a DPU Processor had just been started. Its readouts are
    lost for a cube, but do not end it as a cycle without images does."""
    with get_file(path) as file:
        return any(
            packet_count(file, frame) and not set(CRUCIAL) <= set(get_attributes(file, frame))
            for frame in frame_numbers(file)
        )


def _exposure(file: h5py.File, path: Path, frame: int) -> Exposure | None:
    count = packet_count(file, frame)
    attributes = get_attributes(file, frame)
    if not count or attributes.get("ccd_mode_config") not in _MODES or not set(CRUCIAL) <= set(attributes):
        return None
    # Sides alternate from packet to packet; a few of them tell CCD and sides, also when one was lost.
    sample = packet_heads(file, frame, 6)
    headers = decode_headers([header.data for header in sample if header.size == HEADER_SIZE])
    if not headers.size:
        return None
    sides = "".join(sorted(CCDSide(side).name for side in set(headers["ccd_side"].tolist())))
    code = int(headers["ccd_number"][0])
    counter = int(headers["frame_counter"][0])
    return Exposure(path, frame, code, sides, get_timestamp(file, frame), attributes, counter)
