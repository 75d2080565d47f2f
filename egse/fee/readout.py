"""The registers that shape a readout, taken out of the register map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from egse.fee.geometry import FrameLayout, sides_of
from egse.fee.modes import IMAGE_MODES, WINDOWING_MODES, is_dump_mode
from egse.fee.numbering import order_codes
from egse.fee.timing import internal_period, readout_time
from egse.reg import RegisterMap
from egse.spw import CCDSide


@dataclass(frozen=True, slots=True)
class ReadoutConfig:
    """Configuration of a readout; the fields have the names of the register map.

    Attributes:
        ccd_mode_config: mode.
        v_start, v_end: first and last row digitised, inclusive.
        h_end: last column transmitted, inclusive.
        n_final_dump: rows dumped after the readout.
        packet_size: largest packet with header [bytes].
        ccd_readout_order: four FEE codes, first CCD in the lowest two bits.
        sensor_sel: sides transmitted.
        digitise_en: data are digitised.
        DG_en: dump gate high.
        ccd_read_en: CCDs are read out; 1 where the map has no such field (EM).
        sync_sel: 0 external, 1 internal sync.
        int_sync_period: internal sync period [ms].
        charge_injection_en, charge_injection_width, charge_injection_gap: blocks of injected rows.
        img_clk_dir, reg_clk_dir: 1 where the parallel (serial) clocks run backwards.
    """

    ccd_mode_config: int
    v_start: int
    v_end: int
    h_end: int
    n_final_dump: int
    packet_size: int
    ccd_readout_order: int
    sensor_sel: int
    digitise_en: int
    DG_en: int
    ccd_read_en: int
    sync_sel: int
    int_sync_period: int
    charge_injection_en: int = 0
    charge_injection_width: int = 0
    charge_injection_gap: int = 0
    img_clk_dir: int = 0
    reg_clk_dir: int = 0

    @classmethod
    def from_registers(cls, registers: RegisterMap) -> Self:
        """Returns the configuration that a register map holds."""
        names = (name for name in cls.__dataclass_fields__ if name in registers)
        return cls(**{"ccd_read_en": 1, **{name: registers[name] for name in names}})

    @property
    def sends_images(self) -> bool:
        """True when a readout with this configuration sends data packets."""
        image = self.ccd_mode_config in IMAGE_MODES
        return bool(image and self.digitise_en and self.ccd_read_en and self.layout.packets)

    @property
    def sends_windows(self) -> bool:
        """True when a readout with this configuration sends windows, if there are any in the list."""
        return bool(self.ccd_mode_config in WINDOWING_MODES and self.digitise_en and self.ccd_read_en)

    @property
    def is_dump(self) -> bool:
        """True in DUMP mode."""
        return is_dump_mode(self.ccd_mode_config, self.DG_en, self.digitise_en)

    @property
    def sides(self) -> tuple[CCDSide, ...]:
        """Sides transmitted."""
        return sides_of(self.sensor_sel)

    @property
    def layout(self) -> FrameLayout:
        """How the readout is cut into packets."""
        return FrameLayout(self.v_start, self.v_end, self.h_end, self.sides, self.packet_size)

    @property
    def codes(self) -> list[int]:
        """FEE code of the CCD at each of the four pulses."""
        return order_codes(self.ccd_readout_order)

    @property
    def readout_time(self) -> float:
        """Time from the end of the pulse to the end of the final dump [s]."""
        return readout_time(self.v_start, self.v_end, self.n_final_dump, self.h_end + 1)

    @property
    def internal_period(self) -> float:
        """Time between internal pulses [s]."""
        return internal_period(self.int_sync_period)
