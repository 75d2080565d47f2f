"""The mirror of the FEE: what the FEE does now, and what it was told to do next, without asking it."""

from __future__ import annotations

from typing import Any

from egse.fee import IMAGE_MODES, CCDNumbering, ccd_numbering, is_dump_mode, n_fee_mode, sides_of
from egse.fee.geometry import PACKET_SIZE, ROWS, FrameLayout
from egse.h5 import DATA_ATTRIBUTES
from egse.reg import RegisterMap, RegisterWrite
from egse.spw import CCDSide

LATCHED_ON_EVERY_PULSE = ("sensor_sel", "ccd_readout_order")
"""Register fields that the FEE re-reads on every sync pulse; all others take effect at the long pulse only."""

INTERNAL_SYNC = 1


class NFEEState:
    """The state of the N-FEE as the DPU Processor knows it.

    `registers` is the register memory of the FEE as last read or written; `in_effect` are the fields as the FEE uses them since
    the last pulse at which it re-reads them.

    Args:
        registers: register map of the camera, with its memory as expected before it was read.
        numbering: CCD numbers of the camera.

    Attributes:
        registers: mirror of the register memory.
        known: False until the registers were read from the FEE.
        in_effect: value of every field, as in effect now.
        frame_number: number of the running frame, 0..3.
        timecode: last timecode 0..63, None before the first.
        timecode_timestamp: when it was received, Unix time [s].
        cycle_count: long pulses seen since start.
        pulse_count: pulses seen since start.
        num_cycles: cycles of images still to come including the running one; 0 when they are not counted.
        error_flags: error flags of the last readout.
        frame_counter: the FEE's counter of readouts, 16 bits.
        frame_counter_known: False until a housekeeping packet told it.
    """

    def __init__(self, registers: RegisterMap, numbering: CCDNumbering | None = None) -> None:
        self.registers = registers
        self.numbering = numbering or ccd_numbering()
        self.known = False
        self.in_effect: dict[str, int] = registers.values()
        self.frame_number = 0
        self.timecode: int | None = None
        self.timecode_timestamp = 0.0
        self.cycle_count = 0
        self.pulse_count = 0
        self.num_cycles = 0
        self.error_flags = 0
        self.frame_counter = 0
        self.frame_counter_known = False

    @property
    def mode(self) -> int:
        """Mode in effect, see `egse.fee.n_fee_mode`."""
        return self.in_effect["ccd_mode_config"]

    @property
    def commanded_mode(self) -> int:
        """Mode in the registers: in effect from the next long pulse on."""
        return self.registers["ccd_mode_config"]

    @property
    def is_dump_mode(self) -> bool:
        """True when full-image mode is in effect with the dump gate high and nothing digitised."""
        return is_dump_mode(self.mode, self.in_effect["DG_en"], self.in_effect["digitise_en"])

    @property
    def takes_images(self) -> bool:
        """True when full-image mode is in the registers (perhaps not yet in effect), and it is not DUMP."""
        fields = self.registers
        mode = fields["ccd_mode_config"]
        return mode == n_fee_mode.FULL_IMAGE_MODE and not is_dump_mode(
            mode, fields["DG_en"], fields["digitise_en"]
        )

    @property
    def internal_sync(self) -> bool:
        """True when the FEE makes its own sync pulses."""
        return self.in_effect["sync_sel"] == INTERNAL_SYNC

    @property
    def sends_image(self) -> bool:
        """True when the configuration in effect makes the FEE send image packets."""
        fields = self.in_effect
        reads = fields["digitise_en"] and fields.get("ccd_read_en", 1) and fields["sensor_sel"]
        return self.mode in IMAGE_MODES and bool(reads) and fields["v_end"] >= fields["v_start"]

    @property
    def sides(self) -> tuple[CCDSide, ...]:
        """The CCD sides that the FEE transmits."""
        return sides_of(self.in_effect["sensor_sel"])

    @property
    def layout(self) -> FrameLayout:
        """How the running readout is cut into packets."""
        fields = self.in_effect
        size = fields.get("packet_size", PACKET_SIZE)
        return FrameLayout(fields["v_start"], fields["v_end"], fields["h_end"], self.sides, size)

    @property
    def has_overscan(self) -> bool:
        """True when parallel overscan rows are read."""
        return self.in_effect["v_end"] >= ROWS

    @property
    def frames_per_cycle(self) -> int:
        """Frames in a cycle: 4, or 1 in internal synchronisation."""
        return 1 if self.internal_sync else 4

    @property
    def next_frame_number(self) -> int:
        """The frame number expected at the next pulse."""
        return (self.frame_number + 1) % self.frames_per_cycle

    @property
    def cycle_start(self) -> int:
        """The frame counter with which the running cycle began."""
        return (self.frame_counter - self.frame_number) & 0xFFFF

    @property
    def is_last_frame(self) -> bool:
        """True in the last frame of a cycle: the next pulse is a long one."""
        return self.next_frame_number == 0

    def data_attributes(self) -> dict[str, int]:
        """Returns the register fields that go with the data of the running frame."""
        return {name: self.in_effect[name] for name in DATA_ATTRIBUTES if name in self.in_effect}

    def on_pulse(self, frame_number: int) -> None:
        """Follows a sync pulse: the FEE re-reads its registers.

        Args:
            frame_number: number of the frame that starts, 0 for a long pulse.
        """
        self.pulse_count += 1
        self.frame_number = frame_number
        if frame_number == 0:
            self.cycle_count += 1
            self.in_effect = self.registers.values()
        else:
            for name in LATCHED_ON_EVERY_PULSE:
                self.in_effect[name] = self.registers[name]

    def on_written(self, write: RegisterWrite) -> None:
        """Follows an acknowledged write; Immediate-On takes effect at once."""
        self.registers.apply(write)
        if self.registers["ccd_mode_config"] == n_fee_mode.IMMEDIATE_ON:
            self.registers["ccd_mode_config"] = int(n_fee_mode.ON_MODE)
            self.in_effect["ccd_mode_config"] = int(n_fee_mode.ON_MODE)

    def on_read(self, memory: bytes) -> None:
        """Takes over the register memory read from the FEE, and regards it as in effect when nothing was known before."""
        self.registers.set_array(memory)
        if not self.known:
            self.known = True
            self.in_effect = self.registers.values()

    def use_maps(self, registers: RegisterMap, numbering: CCDNumbering) -> None:
        """Takes other maps into use: another Setup was loaded. The registers are read from the FEE again."""
        self.registers, self.numbering = registers, numbering
        self.in_effect = registers.values()
        self.known = False

    def resynchronise(self, memory: bytes, mode: int) -> None:
        """Takes over the register memory of a FEE that is not as expected; all of it counts as in effect.

        Args:
            memory: as read now.
            mode: the mode that its housekeeping reports.
        """
        self.registers.set_array(memory)
        self.in_effect = {**self.registers.values(), "ccd_mode_config": mode}
        self.num_cycles = 0

    def correct_mode(self, mode: int) -> None:
        """Takes over the mode that the FEE reports: a long pulse was missed, or the FEE has refused a transition."""
        if mode == self.commanded_mode:
            self.in_effect = self.registers.values()
        self.in_effect["ccd_mode_config"] = mode

    def summary(self) -> dict[str, Any]:
        """Returns the state in plain values, for people and housekeeping."""
        return {
            "known": self.known,
            "mode": self.mode,
            "mode_name": _mode_name(self.mode),
            "commanded_mode": self.commanded_mode,
            "dump_mode": self.is_dump_mode,
            "internal_sync": self.internal_sync,
            "frame_number": self.frame_number,
            "frame_counter": self.frame_counter,
            "timecode": self.timecode,
            "timecode_timestamp": self.timecode_timestamp,
            "cycle_count": self.cycle_count,
            "pulse_count": self.pulse_count,
            "num_cycles": self.num_cycles,
            "error_flags": self.error_flags,
            "v_start": self.in_effect["v_start"],
            "v_end": self.in_effect["v_end"],
            "sensor_sel": self.in_effect["sensor_sel"],
            "ccd_order": self.numbering.decode_order(self.in_effect["ccd_readout_order"]),
        }


def _mode_name(mode: int) -> str:
    return n_fee_mode(mode).name if mode in n_fee_mode._value2member_map_ else str(mode)
