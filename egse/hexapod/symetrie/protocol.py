"""Housekeeping of the control servers of hexapods (storage ICD, section 7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from egse.hexapod.symetrie.controller import HexapodController
from egse.instrument import InstrumentProtocol

COORDINATES = ("T_X", "T_Y", "T_Z", "R_X", "R_Y", "R_Z")


class HexapodProtocol(InstrumentProtocol):
    """One row: positions, actuator lengths, states.

    Names: `G<SITE>_HEX_USER_T_X`... `R_Z` (object in user frame) and `..._MACH_...` (platform in machine frame) [mm, deg],
    `..._ALEN_1..6` [mm], `..._HOMED`, `..._IN_POS` (booleans). A PUNA with Alpha+
    has `HEXP` instead of `HEX`, a ZONDA `ZONDA`, a JORAN `JORAN`.
    """

    controller: HexapodController
    prefix = "{site}HEX_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        hexapod: Any = self.controller
        return dict(self._row(hexapod))

    def _row(self, hexapod: Any) -> Iterator[tuple[str, Any]]:
        for name, values in (
            ("USER", hexapod.get_user_positions()),
            ("MACH", hexapod.get_machine_positions()),
        ):
            yield from zip((f"{name}_{c}" for c in COORDINATES), values, strict=True)
        yield from ((f"ALEN_{n}", length) for n, length in enumerate(hexapod.get_actuator_length(), start=1))
        yield "HOMED", hexapod.is_homing_done()
        yield "IN_POS", hexapod.is_in_position()


class AlphaPlusProtocol(HexapodProtocol):
    """The same, and the temperatures of the motors `..._TEMP_1..6` [degC]."""

    prefix = "{site}HEXP_"

    def _row(self, hexapod: Any) -> Iterator[tuple[str, Any]]:
        yield from super()._row(hexapod)
        yield from ((f"TEMP_{n}", celsius) for n, celsius in enumerate(hexapod.get_temperature(), start=1))


class ZondaProtocol(AlphaPlusProtocol):
    """Housekeeping of a ZONDA."""

    prefix = "{site}ZONDA_"


class JoranProtocol(AlphaPlusProtocol):
    """Housekeeping of a JORAN."""

    prefix = "{site}JORAN_"
