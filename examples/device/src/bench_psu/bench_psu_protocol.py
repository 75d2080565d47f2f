"""Housekeeping of the BENCH_PSU control server."""

from __future__ import annotations

from typing import Any

from egse.instrument import InstrumentProtocol

from bench_psu.bench_psu import (
    BenchPsuController,
    BenchPsuOutput,
)


class BenchPsuProtocol(InstrumentProtocol):
    """One row: commanded and measured level [V], output on (True) or off.

    The names are those of `tm-dictionary.csv`: `G<SITE>_BENCH_PSU_LEVEL`, `..._READING`, `..._OUTPUT`.
    """

    controller: BenchPsuController
    prefix = "{site}BENCH_PSU_"

    def get_row(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        device = self.controller
        return {
            "LEVEL": device.get_level(),
            "READING": device.get_reading(),
            "OUTPUT": device.get_output() is BenchPsuOutput.ON,
        }
