"""The panel of the AEU: the lamps of the cRIO in their groups, from its housekeeping."""

from __future__ import annotations

from typing import Any, ClassVar

from camtest.panels.board import Lamp
from camtest.panels.device import DevicePanel
from camtest.panels.panel import Panel
from egse.aeu.lines import LEDS, OperatingMode
from egse.aeu.proxies import CRIOProxy
from egse.proxy import Proxy

ERRORS = ("S_voltage_oor", "S_current_oor", "Sync_gf")
"""Lamps that are red when they are lit: secondary voltage or current out of range, failure of the synchronisation."""


class AEUPanel(DevicePanel):
    """The cRIO of the AEU: EGSE mode, camera, power lines, errors and clocks as lamps.

    Args:
        proxy: of `aeu_crio_cs`; one from the Settings by default.
    """

    name: ClassVar[str] = "aeu"

    def __init__(self, proxy: Proxy | None = None) -> None:
        super().__init__(proxy or CRIOProxy(), "AEU (Ancillary Electronics Unit EGSE)")

    def _lamps(self) -> list[Lamp]:
        row: dict[str, Any] = dict(self.telemetry.row)
        lamps = super()._lamps()
        if "GAEU_MODE" in row:
            lamps.append(
                Lamp("EGSE MODE", "info", OperatingMode(row["GAEU_MODE"]).name.replace("_", " ").lower())
            )
        for name in LEDS:
            lit = row.get(f"GAEU_{name.upper().replace('-', '')}")
            if lit is None:
                continue
            state = ("bad" if name in ERRORS else "ok") if lit else "off"
            lamps.append(Lamp(name, state, "on" if lit else "off"))
        return lamps


def make(type: str = "proxy") -> Panel:
    """Returns a new panel, for the page."""
    if type != "proxy":
        from camtest.panels.local import local_panel

        return local_panel("aeu_crio_cs", type)
    return AEUPanel()
