"""The F-FEE (fast cameras) as a plain object: modes, 2.5 s cycle, four links. No socket, no process, no sleep.

As far as the references go: ON to STANDBY and back and Immediate-On are asynchronous, all other transitions happen at the
next pulse; all CCDs are read in each cycle and a readout ends their exposure, whether it is transmitted or not; in
full-image mode the data of at most two CCDs are transmitted; a CCD in STANDBY integrates on; there is no partial readout,
clear-out, charge injection, dump gate or parallel reverse clocking. DUMP is full-image mode with nothing transmitted.

Register map, packets, housekeeping and times are **assumed**, all in `f_fee_assumed_v1.yaml`; lists and packets of windows are
assumed to be those of the N-FEE (`egse.fee.windowing`), with the sides as on the link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from egse.fee.frame import Frame, plan_chunks
from egse.fee.geometry import COLUMNS_SIDE, COLUMNS_TRANSMITTED, FrameLayout
from egse.fee.hk import load_hk_map
from egse.fee.image import Detector, ImageSource, Pixels, TestPattern
from egse.fee.light import Exposure
from egse.fee.windowing import WINDOWING_ADDRESS, WINDOWING_SIZE, WindowFrame, read_windows
from egse.reg import RegisterMap
from egse.rmap import HK_AREA_ADDRESS, HK_AREA_SIZE, RMAPTarget
from egse.spw import CCDSide, PacketKind, PacketType, TimecodePacket, encode_header
from egse.yamlfile import read_yaml

ASSUMPTIONS_FILE: Final = (
    Path(__file__).resolve().parent.parent / "data" / "common" / "f-fee" / "f_fee_assumed_v1.yaml"
)

CYCLE: Final = 2.5
"""Time between pulses, and length of a cycle [s]."""

ROWS: Final = COLUMNS_SIDE
"""Light-sensitive rows; the other half of the CCD is masked storage."""

PARALLEL_OVERSCAN: Final = 15
SERIAL_PRESCAN: Final = 24
SERIAL_OVERSCAN: Final = 16
LINKS: Final = 4
MAX_CCDS: Final = 2
"""Most CCDs transmitted in full-image mode."""

_MAX_PACKETS: Final = 64


class f_fee_mode(IntEnum):
    """Modes of the F-FEE; the numbers are assumed to be those of the N-FEE."""

    ON_MODE = 0
    FULL_IMAGE_PATTERN_MODE = 1
    WINDOWING_PATTERN_MODE = 2
    STANDBY_MODE = 4
    FULL_IMAGE_MODE = 5
    WINDOWING_MODE = 6
    IMMEDIATE_ON = 8


_PATTERNS: Final = frozenset({f_fee_mode.FULL_IMAGE_PATTERN_MODE, f_fee_mode.WINDOWING_PATTERN_MODE})
_IMAGES: Final = frozenset({f_fee_mode.FULL_IMAGE_MODE, f_fee_mode.WINDOWING_MODE})

F_FEE_TRANSITIONS: Final[dict[f_fee_mode, frozenset[f_fee_mode]]] = {
    f_fee_mode.ON_MODE: _PATTERNS | {f_fee_mode.STANDBY_MODE},
    f_fee_mode.STANDBY_MODE: _IMAGES | {f_fee_mode.ON_MODE},
    **dict.fromkeys(_PATTERNS, frozenset({f_fee_mode.ON_MODE})),
    **dict.fromkeys(_IMAGES, frozenset({f_fee_mode.STANDBY_MODE})),
}
"""From each mode, the modes that can be reached; ON and STANDBY from each other at once, the others at a pulse."""

_WINDOWS: Final = frozenset({f_fee_mode.WINDOWING_MODE, f_fee_mode.WINDOWING_PATTERN_MODE})
_ASYNCHRONOUS: Final = frozenset({f_fee_mode.ON_MODE, f_fee_mode.STANDBY_MODE})

LinkPacket = tuple[int, bytes | memoryview]
"""Number of the link, 1..4, and a packet."""

Planned = tuple[float, int, Callable[[], Sequence[bytes | memoryview]]]
"""When packets are sent [s], on which link, and what makes them."""


@cache
def f_fee_assumptions() -> Mapping[str, Any]:
    """Returns what is assumed about the F-FEE, see the file itself."""
    content: Mapping[str, Any] = read_yaml(ASSUMPTIONS_FILE)
    return content


def convention_side(bit: int) -> CCDSide:
    """Returns the side of the N-CAM convention for the side bit of an F-FEE packet (users and files use that one)."""
    return CCDSide(bit ^ 1 if f_fee_assumptions()["packets"]["sides_swapped"] else bit)


@dataclass(frozen=True, slots=True)
class _FCamSource:
    """Pixels of a detector in the columns of an F-CAM (24 + 2255 + 16), with sides as on the link."""

    source: ImageSource

    def fill(self, out: Pixels, exposure: Exposure, side: CCDSide, first_row: int) -> None:
        packets, per_packet, columns = out.shape
        if first_row >= ROWS:
            exposure = replace(exposure, exposure=0.0)
        rows = np.empty((packets, per_packet, COLUMNS_TRANSMITTED), out.dtype)
        self.source.fill(rows, exposure, convention_side(side), first_row)
        out[...] = np.roll(rows, -1, axis=2)[..., :columns]


class FFEEModel:
    """An F-FEE with its four CCDs and its pulses.

    Args:
        start: time of the first pulse [s].
        pixels: False: everything but the image packets.
        detector: makes the pixels; one with a star field from `seed` when not given.
        seed: of noise and stars.
        light_level: attenuation of what comes from outside the camera, 0..1.

    Attributes:
        registers: the memory as commanded.
        mode: the mode in effect.
        timecode: the last timecode sent.
        frame_counter: counter of readouts, 16 bits.
        error_flags: set by faults, cleared by `clear_error_flag`.
        refused: transitions, and requests for more than two CCDs, that were refused.
    """

    def __init__(
        self,
        *,
        start: float = 0.0,
        pixels: bool = True,
        detector: Detector | None = None,
        seed: int = 0,
        light_level: float = 1.0,
    ) -> None:
        assumed = f_fee_assumptions()
        self._packets, self._links, self._timing = assumed["packets"], assumed["links"], assumed["timing"]
        self.registers = RegisterMap("F-FEE", "f-fee")
        self.hk_map = load_hk_map(assumed["hk_map"])
        self.light_level = light_level
        self.mode = f_fee_mode.ON_MODE
        self.timecode, self.frame_counter = 63, 0xFFFF
        self.error_flags = self.refused = 0
        self._pixels = pixels
        self._detector = detector or Detector(seed=seed)
        self._rng = np.random.default_rng([seed, 4])
        self._windowing = bytearray(WINDOWING_SIZE)
        self._target = RMAPTarget(
            self.registers.memory, on_write=self._written, more_memory={WINDOWING_ADDRESS: self._windowing}
        )
        self._next_pulse = start
        self._pulses = 0
        self._start = start
        self._now = start
        self._exposed_since = dict.fromkeys(range(1, 5), start)
        self._chunks: deque[Planned] = deque()
        self._update_hk()

    @property
    def command_link(self) -> int:
        """Number of the link with RMAP and housekeeping."""
        return int(self._links["command_link"])

    @property
    def transmitted(self) -> list[int]:
        """CCDs (1..4) whose images are sent, as commanded."""
        return [ccd for ccd in range(1, 5) if self.registers["transmit"] >> (ccd - 1) & 1]

    def next_event(self) -> float:
        """Returns when the next thing happens [s]."""
        return min(self._next_pulse, self._chunks[0][0]) if self._chunks else self._next_pulse

    def step(self, now: float) -> list[LinkPacket]:
        """Returns the packets due at `now` [s] with their links, in order; call again while `next_event()` is due."""
        if self._chunks and self._chunks[0][0] <= min(now, self._next_pulse):
            _, link, make = self._chunks.popleft()
            return [(link, packet) for packet in make()]
        return self._pulse(self._next_pulse) if self._next_pulse <= now else []

    def handle(self, packet: bytes, now: float) -> list[bytes]:
        """Takes a packet from the command link and returns the replies."""
        self._now = now
        reply = self._target.handle(packet)
        return [] if reply is None else [reply]

    # --- pulses -------------------------------------------------------------------------------------------------

    def _pulse(self, time: float) -> list[LinkPacket]:
        self._pulses += 1
        self._next_pulse = self._start + self._pulses * CYCLE
        self._chunks.clear()
        self._change_mode(self.registers["mode"], time)
        self.timecode = (self.timecode + 1) & 63
        self.frame_counter = (self.frame_counter + 1) & 0xFFFF
        self._update_hk()
        self._read_out(time + self._timing["pulse_length"])
        timecode = TimecodePacket.from_timecode(self.timecode).packet_as_bytes
        return [*((link, timecode) for link in range(1, LINKS + 1)), (self.command_link, self._hk_packet())]

    def _change_mode(self, requested: int, time: float) -> None:
        if requested == self.mode:
            return
        if requested not in list(f_fee_mode) or f_fee_mode(requested) not in F_FEE_TRANSITIONS[self.mode]:
            self.refused += 1
            return
        if self.mode is f_fee_mode.ON_MODE:
            self._exposed_since = dict.fromkeys(range(1, 5), time)
        self.mode = f_fee_mode(requested)

    def _read_out(self, start: float) -> None:
        """Reads all CCDs that are not in STANDBY, and plans what is transmitted."""
        if self.mode not in _IMAGES | _PATTERNS:
            return
        wanted = self.transmitted
        if len(wanted) > MAX_CCDS and self.mode not in _WINDOWS:
            self.refused += 1
            wanted = []
        planned = []
        for ccd in range(1, 5):
            if self.registers["aeb_standby"] >> (ccd - 1) & 1:
                continue
            exposure = start - self._exposed_since[ccd]
            self._exposed_since[ccd] = start + self._timing["frame_transfer_time"]
            if ccd in wanted and self._pixels:
                planned += self._plan(ccd, exposure, start)
        self._chunks.extend(sorted(planned, key=lambda item: item[0]))

    def _plan(self, ccd: int, exposure: float, start: float) -> list[Planned]:
        pattern = self.mode in _PATTERNS
        source: ImageSource = TestPattern() if pattern else self._detector
        code = ccd - self._packets["ccd_code_offset"]
        light = 0.0 if self.registers["reg_clk_dir"] else exposure
        facts = Exposure(code, self.timecode, light, self.light_level)
        chunks = self._made_of(ccd, facts, _FCamSource(source))
        link = self._links["ccd_of_link"].index(ccd) + 1
        first = start + self._timing["frame_transfer_time"]
        row = self._timing["time_row_readout"]
        return [(first + rows_done * row, link, make) for rows_done, make in chunks]

    def _made_of(
        self, ccd: int, facts: Exposure, source: ImageSource
    ) -> list[tuple[int, Callable[[], Sequence[bytes | memoryview]]]]:
        """Returns what is sent of a CCD: after how many rows, and what makes the packets."""
        layout = self._layout()
        if self.mode not in _WINDOWS:
            frame = Frame(layout, int(self.mode), 0, self.frame_counter, facts, source)
            return [
                (chunk.rows_done, partial(frame.packets, chunk))
                for chunk in plan_chunks(layout, _MAX_PACKETS)
            ]
        windows = read_windows(self._windowing, self.registers.values(), ccd - 1, ROWS + PARALLEL_OVERSCAN)
        self.error_flags |= windows.error_flags
        size = self._packets["packet_size"]
        window_frame = WindowFrame(
            windows, layout.sides, size, int(self.mode), 0, self.frame_counter, facts, source
        )
        return [(chunk.rows_done, partial(window_frame.packets, chunk)) for chunk in window_frame.chunks()]

    def _layout(self) -> FrameLayout:
        # sensor_sel is in the N-CAM convention, the layout in that of the link
        selected = {1: (CCDSide.F,), 2: (CCDSide.E,), 3: (CCDSide.E, CCDSide.F)}.get(
            self.registers["sensor_sel"], ()
        )
        sides = tuple(sorted(convention_side(side) for side in selected))
        return FrameLayout(
            0,
            ROWS + PARALLEL_OVERSCAN - 1,
            sides=sides,
            packet_size=self._packets["packet_size"],
            height=ROWS,
        )

    # --- registers and housekeeping -----------------------------------------------------------------------------

    def _written(self, address: int, data: bytes) -> None:
        """Acts on what takes effect when it is written."""
        if self.registers["clear_error_flag"]:
            self.error_flags = 0
        requested = self.registers["mode"]
        if requested == f_fee_mode.IMMEDIATE_ON:
            self.mode = f_fee_mode.ON_MODE
            self.registers["mode"] = int(f_fee_mode.ON_MODE)
            self._chunks.clear()
        elif self.mode in _ASYNCHRONOUS and requested in _ASYNCHRONOUS:
            self._change_mode(requested, self._now)
        self._update_hk()

    def _update_hk(self) -> None:
        words = 0x8000 + self._rng.integers(-3, 4, HK_AREA_SIZE // 2)
        values = {
            "FFEE_SPW_TIMECODE": self.timecode,
            "FFEE_SPW_LINK_RUNNING": 1,
            "FFEE_FRAMECOUNTER": self.frame_counter,
            "FFEE_OP_MODE": int(self.mode),
            "FFEE_AEB_STANDBY": self.registers["aeb_standby"],
            "FFEE_ERROR_FLAGS": self.error_flags,
        }
        base = words[: 128 // 2].astype(">u2").tobytes().ljust(HK_AREA_SIZE, b"\0")
        self.registers.set_data(HK_AREA_ADDRESS, self.hk_map.encode(values, base))

    def _hk_packet(self) -> bytes:
        kind = PacketType(int(self.mode), True, 0, 0, 0, PacketKind.HOUSEKEEPING)
        data = self.registers.get_data(HK_AREA_ADDRESS, HK_AREA_SIZE)
        return encode_header(len(data), kind.word, self.frame_counter, 0) + data
