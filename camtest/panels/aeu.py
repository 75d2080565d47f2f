"""The panel of the AEU: the lamps of the cRIO in their groups, from its housekeeping and from its clocks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.panels.board import Lamp
from camtest.panels.device import DevicePanel
from camtest.panels.panel import Panel
from camtest.panels.static_form import COLOURS, Section
from egse.aeu.lines import LINES, OperatingMode
from egse.aeu.proxies import CRIOProxy
from egse.device import DeviceError
from egse.proxy import Proxy

MODES = {
    OperatingMode.STANDBY: "Stand-by",
    OperatingMode.SELFTEST: "Self-test",
    OperatingMode.FC_TVAC: "Functional check & TVAC",
    OperatingMode.ALIGNMENT: "Alignment",
}
"""What the modes are called."""
ERRORS = {
    "VOLTAGE_OOR": "Secondary voltage out-of-range",
    "CURRENT_OOR": "Secondary current out-of-range",
    "SYNC_GF": "Synchronisation generator failure",
}
"""Lamps that are red when they are lit."""
GROUPS: dict[str, dict[str, str]] = {
    "EGSE mode": {mode.name: text for mode, text in MODES.items()},
    "Camera selection": {"NCAM": "N-CAM", "FCAM": "F-CAM"},
    "Power lines": {line: line for line in LINES},
    "Error detection": ERRORS,
    "Clk signals": {"CLK_F_FEE_N": "Clk_F_FEE_N", "CLK_F_FEE_R": "Clk_F_FEE_R", "TESTPORT": "Test port"},
}
"""The lamps by group: name in the housekeeping, without `GAEU_`, and what stands on the lamp."""
CLOCKS = {
    "get_n_cam_clock_status": ("Clk_N_50MHz", "Clk_N_ccdread"),
    "get_svm_clock_status": ("TCS 50MHz nom", "TCS 50MHz red", "TCS heater nom", "TCS heater red"),
}
"""Lamps that the housekeeping does not have one by one, and the commands that tell them."""
LOOK = 2.0
"""Pause between two looks at the clocks [s]."""


class AEUPanel(DevicePanel):
    """The cRIO of the AEU: EGSE mode, camera, power lines, errors and clocks as lamps.

    Args:
        proxy: of `aeu_crio_cs`; one from the Settings by default.
    """

    name: ClassVar[str] = "aeu"

    def __init__(self, proxy: Proxy | None = None) -> None:
        self.clocks: dict[str, bool] = {}
        self._looked_at = float("-inf")
        super().__init__(proxy or CRIOProxy(), "AEU (Ancillary Electronics Unit EGSE)")

    # -- the clocks ----------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        if self.telemetry.alive and time.monotonic() - self._looked_at >= LOOK:
            self._looked_at = time.monotonic()
            self.command("?clocks", self._ask_clocks, self._take_clocks)
        self._show_lamps()
        super()._refresh()

    def _ask_clocks(self) -> dict[str, bool]:
        """Returns which clocks go through to the N-CAM and to the TCS; none when the cRIO does not tell."""
        found: dict[str, bool] = {}
        try:
            for command, lamps in CLOCKS.items():
                found |= zip(lamps, map(bool, getattr(self.proxy, command)()), strict=True)
        except (OSError, DeviceError):  # that server or device do not answer is told by their own lamps
            return {}
        return found

    def _take_clocks(self, found: dict[str, bool]) -> None:
        self.clocks = found

    # -- what is shown -------------------------------------------------------------------------------------------------

    def _lamps(self) -> list[Lamp]:
        lamps = super()._lamps()
        if "GAEU_MODE" in self.telemetry.row:
            lamps.append(Lamp("EGSE MODE", "info", MODES[OperatingMode(self.telemetry.row["GAEU_MODE"])]))
        return lamps

    def groups(self) -> dict[str, list[Lamp]]:
        """Returns the lamps of the front, in their groups; empty before the first housekeeping."""
        row: dict[str, Any] = dict(self.telemetry.row)
        found = {
            group: [
                _lamp(text, row[f"GAEU_{name}"], is_error=name in ERRORS)
                for name, text in lamps.items()
                if f"GAEU_{name}" in row
            ]
            for group, lamps in GROUPS.items()
        }
        if row:
            names = [name for lamps in CLOCKS.values() for name in lamps]
            found["Clk signals"][:0] = [_lamp(name, self.clocks.get(name)) for name in names]
        return {group: lamps for group, lamps in found.items() if lamps}

    def _show_lamps(self) -> None:
        value = lamps_html(self.groups(), self.telemetry.alive)
        if self.front.value != value:
            self.front.value = value

    def _controls(self) -> list[widgets.Widget]:
        self.front = widgets.HTML()
        return [self.front, *super()._controls()]

    def _extra_sections(self) -> Sequence[Section]:
        front = [
            Section(group, tuple((lamp.name, lamp.text, "", lamp.state) for lamp in lamps))
            for group, lamps in self.groups().items()
        ]
        return [*front, *super()._extra_sections()]


def _lamp(text: str, lit: Any, *, is_error: bool = False) -> Lamp:
    """Returns a lamp: red or green when it is lit, grey when it is not, and when nobody knows."""
    if lit is None:
        return Lamp(text, "off", "not known")
    return Lamp(text, ("bad" if is_error else "ok") if lit else "off", "on" if lit else "off")


def lamps_html(groups: dict[str, list[Lamp]], alive: bool) -> str:
    """Returns the lamps as HTML, a line for each group.

    Args:
        groups: lamps by group.
        alive: False: they are old.
    """
    lines = []
    for group, lamps in groups.items():
        cells = "".join(
            f'<span role="status" data-led="{escape(lamp.name)}" data-state="{lamp.state}" '
            f'aria-label="{escape(lamp.name)}: {lamp.text}" style="margin-right:1.2em;white-space:nowrap">'
            f'<span style="color:{COLOURS[lamp.state]}">●</span> {escape(lamp.name)} <small>{lamp.text}</small></span>'
            for lamp in lamps
        )
        lines.append(
            f'<div role="group" aria-label="{escape(group)}"><b style="display:inline-block;min-width:10em">{escape(group)}'
            f"</b>{cells}</div>"
        )
    return f'<div data-alive="{str(alive).lower()}" style="opacity:{1 if alive else 0.55}">{"".join(lines)}</div>'


def make(type: str = "proxy") -> Panel:
    """Returns a new panel, for the page."""
    if type != "proxy":
        from camtest.panels.local import local_panel

        return local_panel("aeu_crio_cs", type)
    return AEUPanel()
