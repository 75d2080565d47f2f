"""The N-FEE as a plain object: registers, modes, sync pulses, packets. No socket, no process, no sleep.

A shell (process, memory link, test) calls `step(now)` when `next_event()` is due and sends what it returns, and passes
what arrives to `handle`. Time is any number of seconds that grows.

What takes effect when (ICD, and the reference where it leaves a choice):

- all configuration registers and the mode: at the next long pulse. `sensor_sel` and `ccd_readout_order`: at every pulse;
- mode 8 (Immediate On) and 7 (soft reset): when they are written. A transition that is not legal is refused: the FEE
  stays in its mode, the other registers take effect, the request stays in the register and is tried again at the next
  long pulse; `refused` counts;
- `clear_error_flag` = 1: the flags are cleared when it is written;
- internal sync: every pulse is long, one readout a cycle, spacing `int_sync_period` + 400 ms.

Housekeeping: a packet after each timecode; the memory area is updated at the pulse and again when the readout is over.
In ON and the pattern modes the CCDs have no power: their bias voltages read 0.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from egse.fee.feed import NEVER, CameraFeed, TrainGenerator, supply_counts
from egse.fee.frame import Chunk, Frame, plan_chunks
from egse.fee.hk import HKMap, load_hk_map
from egse.fee.image import Detector, ImageSource, TestPattern
from egse.fee.light import Exposure
from egse.fee.modes import IMAGE_MODES, PATTERN_MODES, TRAP_PUMPING_MODES, is_legal_transition, n_fee_mode
from egse.fee.readout import ReadoutConfig
from egse.fee.scene import StarField
from egse.fee.source import PointSource, SourceScene
from egse.fee.specials import ChargeInjection, RepeatedPixels, ReverseClocking, TrapPumping
from egse.fee.sync import Pulse, SyncGenerator
from egse.fee.timing import TIME_PIXEL_READOUT, TIME_ROW_CLEAROUT, TIME_ROW_PARALLEL
from egse.fee.windowing import WINDOWING_ADDRESS, WINDOWING_SIZE, WindowChunk, WindowFrame, read_windows
from egse.reg import RegisterMap
from egse.rmap import HK_AREA_ADDRESS, HK_AREA_SIZE, AddressRules, RMAPTarget
from egse.spw import CCDSide, PacketKind, PacketType, TimecodePacket, encode_header

MAX_PACKETS: Final = 64
"""Most packets of a readout that one step returns."""

Packet = bytes | memoryview

_FPGA_MINOR_VERSION: Final = 24
_HK_ANALOG: Final = 128
"""Bytes of the housekeeping that hold analogue values."""


class NFEEModel:
    """An N-FEE with its four CCDs and the sync pulses of the AEU.

    Args:
        camera: "em", "pfm" or "fm": register and housekeeping map, pixel coding.
        registers: its memory; the register map of the camera after power-on when not given.
        start: time of the first long pulse [s].
        cycle_time: image cycle time with external sync [s].
        pixels: False: everything but the image packets, for dry runs.
        detector: makes the pixels; one with a star field from `seed` when not given.
        seed: of the random parts.
        light_level: attenuation of what comes from outside the camera, 0..1.
        repeat_pixels: make the pixels of one frame only and send them again and again, see `RepeatedPixels`.

    Attributes:
        registers: the memory as commanded.
        active: the configuration in effect.
        mode: the mode in effect.
        timecode: the last timecode sent.
        frame_counter: counter of readouts, 16 bits.
        frame_number: index of the readout in the cycle.
        error_flags: see `egse.fee.hk.ERROR_FLAGS`.
        hk_values: analogue housekeeping that is not the default, raw value by name with prefix.
        powered: False: no supply voltage, the FEE is silent.
        source: the point source in front of the camera; None when nobody told of one.
        best_focus: position of the detector at which the spot is sharpest [mm].
        refused: transitions that were refused.
        overruns: readouts cut short because the next pulse came.
    """

    def __init__(
        self,
        camera: str = "fm",
        *,
        registers: RegisterMap | None = None,
        start: float = 0.0,
        cycle_time: float = 25.0,
        pixels: bool = True,
        detector: Detector | None = None,
        seed: int = 0,
        light_level: float = 1.0,
        repeat_pixels: bool = False,
    ) -> None:
        self.camera = camera
        self.registers = registers if registers is not None else RegisterMap("N-FEE", camera)
        self.sync: SyncGenerator | TrainGenerator = SyncGenerator(start, cycle_time)
        self.powered = True
        self.hk_map: HKMap = load_hk_map(camera)
        self.hk_values: dict[str, int] = {}
        self.light_level = light_level
        self.source: PointSource | None = None
        self.best_focus = 0.0
        self._focus = 0.0
        self.error_flags = 0
        self.refused = 0
        self.overruns = 0
        self._pixels = pixels
        self._seed = seed
        self._detector = detector
        self._repeated = RepeatedPixels() if repeat_pixels else None
        self._rng = np.random.default_rng([seed, 2])
        self._windowing = bytearray(WINDOWING_SIZE)
        self._target = RMAPTarget(
            self.registers.memory,
            AddressRules(),
            on_write=self._written,
            more_memory={WINDOWING_ADDRESS: self._windowing},
        )
        self._bias_voltages = _bias_words(self.hk_map)
        self._chunks: deque[tuple[float, Chunk | WindowChunk]] = deque()
        self._frame: Frame | WindowFrame | None = None
        self._readout_end: float | None = None
        self._internal: float | None = None
        self._now = start
        self._clear_states(start)

    def _clear_states(self, now: float) -> None:
        """Puts everything but the registers into the state after power-on."""
        self.mode = n_fee_mode.ON_MODE
        self.active = replace(ReadoutConfig.from_registers(self.registers), ccd_mode_config=0, sync_sel=0)
        self.timecode = 63
        self.frame_counter = 0xFFFF
        self.frame_number = 3
        self.error_flags = 0
        self._last_read = dict.fromkeys(range(4), now)
        self._drop_readout()
        self._internal = None
        self._update_hk_area()

    # --- time ---------------------------------------------------------------------------------------------------

    def next_event(self) -> float:
        """Returns when the next thing happens [s]; in the past when it is due."""
        return self._next()[0]

    def step(self, now: float) -> list[Packet]:
        """Does what is due at `now`.

        Args:
            now: time [s].

        Returns:
            Packets to send, in order; a timecode is the 2 bytes 0x91 and timecode. At most some `MAX_PACKETS`: when
            more is due, `next_event()` is not later than `now`, and the caller steps again.
        """
        out: list[Packet] = []
        while len(out) < MAX_PACKETS:
            time, action = self._next()
            if time > now or (out and action == self._send_chunk):
                break
            out += action(time)
        return out

    def handle(self, packet: bytes, now: float) -> list[bytes]:
        """Takes a packet from the link.

        Args:
            packet: an RMAP command; anything else is ignored (and counted in `rmap_counters`).
            now: time [s]; nothing that is due later than the last `step` happens here.

        Returns:
            The replies to send; none without power.
        """
        self._now = now
        if not self.powered:
            return []
        reply = self._target.handle(packet)
        return [] if reply is None else [reply]

    @property
    def rmap_counters(self) -> dict[str, int]:
        """Number of RMAP commands by outcome."""
        return dict(self._target.counters)

    def point_source_at(self, theta: float, phi: float, light: float = 1.0) -> None:
        """Tells where the point source is: the hook for simulators of mechanisms.

        Args:
            theta, phi: field angles [deg].
            light: which part of the pupil its beam fills, 0..1.

        From now on the camera sees this source and nothing else, unless its scene is an image.
        """
        self._look_at(PointSource(theta, phi, light, self._focus - self.best_focus))

    def focus_at(self, position: float) -> None:
        """Tells where the detector is along the optical axis [mm]: the hook for simulators of mechanisms."""
        self._focus = position
        if self.source is not None:
            self._look_at(replace(self.source, defocus=position - self.best_focus))

    def _look_at(self, source: PointSource) -> None:
        self.source = source
        scene = None if self._detector is None else self._detector.scene
        if isinstance(scene, SourceScene):
            scene.show(source)

    @property
    def is_reading_out(self) -> bool:
        """True while CCDs are read out or dumped."""
        return self._readout_end is not None

    def feed(self, feed: CameraFeed, now: float) -> None:
        """Takes what an AEU gives, from now on.

        Power that comes leaves the FEE in ON mode, with its registers as after power-on; without it the FEE is silent.

        Args:
            feed: voltages and sync pulses.
            now: time [s].
        """
        self._now = now
        self.hk_values.update(supply_counts(feed.voltages))
        if not isinstance(self.sync, TrainGenerator) or not _is_same(self.sync, feed):
            self.sync = TrainGenerator(feed.fresh_train(now))
            self.sync.skip_until(now)
        if feed.powers_fpga and not self.powered:
            self.powered = True
            self.registers.reset()
            self._clear_states(now)
            self.sync.skip_until(now)
        elif self.powered and not feed.powers_fpga:
            self.powered = False
            self._internal = None
            self._drop_readout()

    def _next(self) -> tuple[float, Callable[[float], list[Packet]]]:
        if not self.powered:
            return NEVER, self._pulse
        pulse = self._next_pulse().time
        if self._chunks and self._chunks[0][0] < pulse:
            return self._chunks[0][0], self._send_chunk
        if self._readout_end is not None and self._readout_end < pulse and not self._chunks:
            return self._readout_end, self._end_readout
        return pulse, self._pulse

    def _next_pulse(self) -> Pulse:
        return self.sync.next if self._internal is None else Pulse(self._internal, long=True)

    # --- pulses -------------------------------------------------------------------------------------------------

    def _pulse(self, time: float) -> list[Packet]:
        pulse = self._next_pulse()
        if self._internal is None:
            self.sync.advance()
        if self.is_reading_out:
            self.overruns += 1
            self._end_readout(time)
        self._latch(pulse)
        self._schedule_internal(time)
        self.timecode = (self.timecode + 1) & 63
        self.frame_counter = (self.frame_counter + 1) & 0xFFFF
        self.frame_number = 0 if pulse.long else (self.frame_number + 1) & 3
        self._update_hk_area()
        self._start_readout(time + pulse.length)
        return [TimecodePacket.from_timecode(self.timecode).packet_as_bytes, self._hk_packet()]

    def _latch(self, pulse: Pulse) -> None:
        commanded = ReadoutConfig.from_registers(self.registers)
        if not pulse.long:
            order, sides = commanded.ccd_readout_order, commanded.sensor_sel
            self.active = replace(self.active, ccd_readout_order=order, sensor_sel=sides)
            return
        self._change_mode(commanded.ccd_mode_config, pulse.time)
        self.active = replace(commanded, ccd_mode_config=int(self.mode))

    def _change_mode(self, requested: int, time: float) -> None:
        if requested == self.mode:
            return
        known = any(requested == mode for mode in n_fee_mode)
        if not known or not is_legal_transition(self.mode, requested):
            self.refused += 1
            return
        if self.mode == n_fee_mode.ON_MODE:
            self._last_read = dict.fromkeys(range(4), time)
        self.mode = n_fee_mode(requested)

    def _schedule_internal(self, time: float) -> None:
        if self.active.sync_sel:
            self._internal = time + self.active.internal_period
        elif self._internal is not None:
            self._internal = None
            self.sync.skip_until(math.nextafter(time, math.inf))

    # --- readout ------------------------------------------------------------------------------------------------

    @property
    def ccd_code(self) -> int:
        """FEE code of the CCD of the present readout."""
        return self.active.codes[self.frame_number]

    def _start_readout(self, start: float) -> None:
        """Plans the readout that begins at the end of the pulse."""
        active = self.active
        self._readout_end = start
        if self.mode in IMAGE_MODES or active.sends_windows:
            self._readout_end = start + active.readout_time
        if self._pixels and active.sends_windows:
            self._plan_windows(start)
        elif self._pixels and active.sends_images:
            self._plan_rows(start)

    def _plan_rows(self, start: float) -> None:
        active, layout = self.active, self.active.layout
        exposure = self._exposure(start)
        self._frame = Frame(
            layout, int(self.mode), self.frame_number, self.frame_counter, exposure, self._image_source()
        )
        first = start + active.v_start * TIME_ROW_CLEAROUT
        self._chunks.extend(
            (first + chunk.rows_done * _row_time(layout.columns), chunk)
            for chunk in plan_chunks(layout, MAX_PACKETS)
        )

    def _plan_windows(self, start: float) -> None:
        code, active = self.ccd_code, self.active
        fields = {name: self.registers[name] for name in self.registers if name.startswith(f"ccd{code + 1}_")}
        windows = read_windows(self._windowing, fields, code)
        self.error_flags |= windows.error_flags
        self._frame = WindowFrame(
            windows,
            active.sides,
            active.packet_size,
            int(self.mode),
            self.frame_number,
            self.frame_counter,
            self._exposure(start),
            self._image_source(),
            {side: fields.get(f"ccd{code + 1}_last_{side.name}packet", 0) for side in CCDSide},
        )
        self._chunks.extend(
            (start + chunk.rows_done * _row_time(active.h_end + 1), chunk) for chunk in self._frame.chunks()
        )

    def _exposure(self, start: float) -> Exposure:
        light = 0.0 if self.active.DG_en else start - self._last_read[self.ccd_code]
        return Exposure(self.ccd_code, self.timecode, light, self.light_level)

    def _image_source(self) -> ImageSource:
        source = self._pixel_source()
        return source if self._repeated is None else self._repeated.of(source)

    def _pixel_source(self) -> ImageSource:
        if self.mode in PATTERN_MODES:
            return TestPattern()
        if self._detector is None:
            scene = SourceScene(StarField(self._seed), self.camera)
            self._detector = Detector(scene, seed=self._seed, twos_complement=self.camera == "em")
            if self.source is not None:
                scene.show(self.source)
        source: ImageSource = self._detector
        active, twos_complement = self.active, self.camera == "em"
        if self.mode in TRAP_PUMPING_MODES:
            serial = self.mode >= n_fee_mode.SERIAL_TRAP_PUMPING_1_MODE
            shift = (int(self.mode) + 1) & 1
            return TrapPumping(
                source, serial=serial, shift=shift, seed=self._seed, twos_complement=twos_complement
            )
        if active.img_clk_dir or active.reg_clk_dir:
            return ReverseClocking(source)
        if active.charge_injection_en:
            width, gap = active.charge_injection_width, active.charge_injection_gap
            return ChargeInjection(source, width, gap, active.v_start, twos_complement)
        return source

    def _send_chunk(self, time: float) -> list[Packet]:
        _, chunk = self._chunks.popleft()
        match self._frame, chunk:
            case Frame() as frame, Chunk():
                return list(frame.packets(chunk))
            case WindowFrame() as frame, WindowChunk():
                return list(frame.packets(chunk))
        return []

    def _end_readout(self, time: float) -> list[Packet]:
        if self.mode not in PATTERN_MODES and self.mode not in (n_fee_mode.ON_MODE, n_fee_mode.STANDBY_MODE):
            self._last_read[self.ccd_code] = time
        self._drop_readout()
        self._update_hk_area()
        return []

    def _drop_readout(self) -> None:
        self._chunks.clear()
        self._frame = None
        self._readout_end = None

    # --- registers ----------------------------------------------------------------------------------------------

    def _written(self, address: int, data: bytes) -> None:
        """Acts on what takes effect when it is written."""
        if address != self.registers.layout.fields["ccd_mode_config"].pieces[0].address:
            return
        if self.registers["clear_error_flag"]:
            self.error_flags = 0
            self._update_hk_area()
        if self.registers["ccd_mode_config"] == n_fee_mode.IMMEDIATE_ON:
            self.mode = n_fee_mode.ON_MODE
            self.active = replace(self.active, ccd_mode_config=0)
            self.registers["ccd_mode_config"] = 0
            self._drop_readout()
            self._update_hk_area()
        elif self.registers["ccd_mode_config"] == n_fee_mode.SOFT_RESET:
            self.reset()

    def reset(self) -> None:
        """Soft asynchronous reset: registers and state as after power-on; the pulses of the AEU go on."""
        self.registers.reset()
        self._clear_states(self._now)
        self.sync.skip_until(self._now)

    # --- housekeeping -------------------------------------------------------------------------------------------

    def _housekeeping(self) -> bytes:
        words = 0x8000 + self._rng.integers(-3, 4, _HK_ANALOG // 2)
        if self.mode == n_fee_mode.ON_MODE or self.mode in PATTERN_MODES:
            words[self._bias_voltages] -= 0x8000 - 3
        analogue = words.astype(">u2").tobytes()
        values = {
            "NFEE_SPW_TIMECODE": self.timecode,
            "NFEE_SPW_LINK_RUNNING": 1,
            "NFEE_FRAMECOUNTER": self.frame_counter,
            "NFEE_OP_MODE": int(self.mode),
            "NFEE_FRAME_NUMBER": self.frame_number,
            "NFEE_ERROR_FLAGS": self.error_flags,
            "NFEE_FPGA_MINOR_VERSION": _FPGA_MINOR_VERSION,
        }
        return self.hk_map.encode({**values, **self.hk_values}, analogue.ljust(HK_AREA_SIZE, b"\0"))

    def _update_hk_area(self) -> None:
        self.registers.set_data(HK_AREA_ADDRESS, self._housekeeping())

    def _hk_packet(self) -> bytes:
        kind = PacketType(int(self.mode), True, 0, self.ccd_code, self.frame_number, PacketKind.HOUSEKEEPING)
        data = self.registers.get_data(HK_AREA_ADDRESS, HK_AREA_SIZE)
        return encode_header(len(data), kind.word, self.frame_counter, 0) + data


def _is_same(generator: TrainGenerator, feed: CameraFeed) -> bool:
    """Returns True when the pulses of a feed are those that go on already."""
    if generator.train is None or feed.train is None:
        return generator.train is feed.train
    return generator.train.number == feed.train.number


def _row_time(columns: int) -> float:
    """Returns the time that a row takes [s]."""
    return TIME_ROW_PARALLEL + columns * TIME_PIXEL_READOUT


def _bias_words(hk_map: HKMap) -> list[int]:
    """Returns which of the analogue words are bias voltages of CCDs."""
    names = ("_VOD_MON", "_VOG_MON", "_VRD_MON", "_VDD_MON", "_VGD_MON", "IG_HI_MON")
    return sorted(
        {field.offset // 2 for name, field in hk_map.fields.items() if any(part in name for part in names)}
    )
