"""The panel of the OGSE: lamps of the source, attenuator, power meters with a chart."""

from __future__ import annotations

from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.panels.board import Lamp
from camtest.panels.device import DevicePanel
from egse.ogse import LEVELS, OGSEProxy
from egse.proxy import Proxy

LAMPS = {
    "INTERLOCK": ("LDLS_INTERLOCK", ("bad", "open"), ("ok", "closed")),
    "POWER": ("LDLS_POWER", ("ok", "on"), ("off", "off")),
    "PSU": ("LDLS_PSU", ("ok", "on"), ("off", "off")),
    "OPERATE": ("LDLS_OPERATE", ("ok", "on"), ("off", "off")),
    "LAMP": ("LDLS_LAMP", ("ok", "burns"), ("off", "off")),
    "LASER": ("LDLS_LASER", ("ok", "on"), ("off", "off")),
    "LAMP FAULT": ("LDLS_LAMP_FAULT", ("bad", "fault"), ("ok", "none")),
    "CONTROLLER FAULT": ("LDLS_CTRL_FAULT", ("bad", "fault"), ("ok", "none")),
    "POWER METER 1": ("PM_CH1_STATUS", ("ok", "answers"), ("bad", "missing")),
    "POWER METER 2": ("PM_CH2_STATUS", ("ok", "answers"), ("bad", "missing")),
}
"""Lamp -> housekeeping (without `GOGSE_`), how it looks when that is True, how when it is False."""
CHARTS = ("GOGSE_PM_CH1_PWR", "GOGSE_PM_CH2_PWR", "GOGSE_ATT_LVL")


class OGSEPanel(DevicePanel):
    """The OGSE: source, attenuator, power meters.

    Args:
        proxy: of `ogse_cs`; one from the Settings by default.
    """

    name: ClassVar[str] = "ogse"

    def __init__(self, proxy: Proxy | None = None) -> None:
        self.level = widgets.Dropdown(
            options=[(f"#{index}  {level:.6g}", index) for index, level in enumerate(LEVELS)],
            description="Level",
            tooltip="Transmission of both filter wheels, 0 opaque, 1 clear",
        )
        super().__init__(proxy or OGSEProxy(), "OGSE (source, attenuator, power meters)")

    def _lamps(self) -> list[Lamp]:
        row: dict[str, Any] = dict(self.telemetry.row)
        lamps = super()._lamps()
        for name, (column, when_true, when_false) in LAMPS.items():
            if f"GOGSE_{column}" in row:
                lamps.append(Lamp(name, *(when_true if row[f"GOGSE_{column}"] else when_false)))
        if "GOGSE_ATT_LVL" in row:
            dark = row["GOGSE_ATT_LVL"] == 0.0
            lamps.append(Lamp("ATTENUATOR", "off" if dark else "info", f"{row['GOGSE_ATT_LVL']:.4g}"))
        return lamps

    def _worth_a_chart(self, row: dict[str, Any]) -> list[str]:
        return [name for name in CHARTS if name in row]

    def _controls(self) -> list[widgets.Widget]:
        source = [
            self.button("Power on", self.power_on),
            self.button("Light on", self.light_on, style="warning", hint="Operate: after a question"),
            self.button("Light off", self.light_off, style="danger"),
            self.button("Power off", self.power_off),
            self.button("Reset faults", self.reset),
        ]
        attenuator = [
            self.level,
            self.button("Set level", self.set_level, hint="The wheels take 6 to 9 s"),
            self.button("Less light", self.level_down),
            self.button("More light", self.level_up),
            self.button("Opaque", self.opaque),
        ]
        return [widgets.HBox(source), widgets.HBox(attenuator)]

    def power_on(self) -> None:
        """Turns the power on."""
        self.send("power_on", {}, confirm=False)

    def power_off(self) -> None:
        """Turns power and light off."""
        self.send("power_off", {}, confirm=False)

    def light_on(self) -> None:
        """Turns the light on, after a question."""
        self.send("operate_on", {}, confirm=True)

    def light_off(self) -> None:
        """Turns the light off."""
        self.send("operate_off", {}, confirm=False)

    def reset(self) -> None:
        """Clears faults."""
        self.send("reset", {}, confirm=False)

    def set_level(self) -> None:
        """Sets the level that is chosen."""
        self.send("att_set_level_index", {"index": self.level.value}, confirm=False)

    def level_up(self) -> None:
        """One level up."""
        self.send("att_level_up", {}, confirm=False)

    def level_down(self) -> None:
        """One level down."""
        self.send("att_level_down", {}, confirm=False)

    def opaque(self) -> None:
        """Lets no light through."""
        self.send("att_set_level_index", {"index": 0}, confirm=False)
