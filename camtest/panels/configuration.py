"""The configuration manager's panel: site, Setup, observation, repository, listeners, and who has control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.panels.board import BoardState, Lamp, Value
from camtest.panels.panel import Panel, fresh, monitoring_endpoint
from camtest.panels.static_form import Section
from camtest.panels.telemetry import Telemetry
from camtest.panels.threads import Subscription, weak
from egse.authority import Grant, release_control, take_control
from egse.confman import ConfigurationManagerProxy
from egse.tmdict import TMDictionary

SETTINGS = "Configuration Manager Control Server"
HIDDEN = (
    "name",
    "title",
    "pid",
    "incarnation",
    "endpoints",
    "counters",
    "housekeeping",
    "simulator",
    "observation",
)
LAST = 10
"""So many of the last observations are shown."""


class ConfigurationPanel(Panel):
    """What the configuration manager publishes once a second.

    Args:
        proxy: of the server; one from the Settings by default.
    """

    name: ClassVar[str] = "configuration"

    def __init__(self, proxy: ConfigurationManagerProxy | None = None) -> None:
        self.telemetry = Telemetry("cm_cs", TMDictionary([]))
        self.manager = fresh(proxy or ConfigurationManagerProxy(), 20.0)
        self.observations: list[dict[str, Any]] = []
        self._closed_before = -1
        self._grant: Grant | None = None
        super().__init__("Configuration manager")

    def _subscriptions(self) -> list[Subscription]:
        return [Subscription(monitoring_endpoint(SETTINGS), (b"status",), weak(self._receive))]

    def _receive(self, frames: list[bytes]) -> None:
        self.telemetry.receive(frames)
        closed = self.telemetry.status.get("closed", -1)
        if closed != self._closed_before:  # the list of observations is asked for when it has changed
            self._closed_before = closed
            self.command(
                "?observations", lambda: self._manage(lambda m: m.list_observations(last=LAST)), self._take
            )

    def _take(self, found: list[dict[str, Any]]) -> None:
        self.observations = found

    def _manage(self, action: Any) -> Any:
        with self.manager as manager:
            return action(manager)

    def _state(self) -> BoardState:
        status, lamps = self.telemetry.status, self.telemetry.lamps()
        observation = status.get("observation") or {}
        obsid = str(observation.get("obsid", ""))
        lamps.append(Lamp("OBSERVATION", "ok" if obsid else "off", obsid or "none"))
        behind = status.get("listeners behind") or []
        lamps.append(Lamp("LISTENERS", "warn" if behind else "ok", ", ".join(behind) or "all have the Setup"))
        problems = status.get("record problems") or []
        if problems:
            lamps.append(Lamp("RECORD", "bad", f"{len(problems)} problems"))
        values = [Value(name, _words(value)) for name, value in status.items() if name not in HIDDEN]
        return BoardState(self.title, self.telemetry.note, self.telemetry.alive, tuple(lamps), tuple(values))

    def _extra_sections(self) -> Sequence[Section]:
        rows = [
            (
                str(o.get("obsid", "")),
                f"{o.get('status') or o.get('state')} {o.get('reason') or ''}",
                str(o.get("description", "")),
                "",
            )
            for o in self.observations
        ]
        return [Section("Last observations", tuple(rows))] if rows else []

    def _refresh(self) -> None:
        rows = "".join(
            f"<tr><td>{o.get('obsid')}</td><td>{o.get('status') or o.get('state')}</td><td>{o.get('start')}</td></tr>"
            for o in reversed(self.observations)
        )
        value = f"<b>Last observations</b><table>{rows}</table>" if rows else ""
        if self.list.value != value:
            self.list.value = value

    def _body(self) -> list[widgets.Widget]:
        self.reason = widgets.Text(
            placeholder="what for?", description="Control", layout=widgets.Layout(width="26em")
        )
        self.force = widgets.Checkbox(value=False, description="take it over", indent=False)
        self.list = widgets.HTML()
        control = widgets.HBox(
            [
                self.reason,
                self.force,
                self.button("Take control", self.take, style="warning"),
                self.button("Release control", self.release),
            ]
        )
        repository = widgets.HBox(
            [
                self.button("Check Setups", self.check, hint="Look for Setups that cannot be loaded"),
                self.button("Sync Setups", self.sync, hint="Fetch and push the repository of Setups"),
            ]
        )
        return [control, repository, self.list]

    def take(self) -> None:
        """Takes control of the site for this session (kernel, its panels and what it starts)."""
        reason, force = self.reason.value.strip(), bool(self.force.value)
        self.command(
            "take control",
            lambda: str(self._take_control(reason, force)),
            confirm="Really take control over from whoever has it?" if force else "",
        )

    def _take_control(self, reason: str, force: bool) -> Grant:
        grant = take_control(reason, force=force)
        if grant is self._grant:
            release_control()  # pressed twice: one release gives it back
        self._grant = grant
        return grant

    def release(self) -> None:
        """Gives control back."""
        self.command("release control", self._release)

    def _release(self) -> None:
        self._grant = None
        release_control()

    def check(self) -> None:
        """Has all Setups of the repository checked."""
        self.command(
            "check Setups", lambda: _words(self._manage(lambda m: m.check_setups())) or "all are good"
        )

    def sync(self) -> None:
        """Has the repository fetched and pushed."""
        self.command("sync Setups", lambda: _words(self._manage(lambda m: m.sync_setups())))

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.manager.disconnect_cs()


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_words(item)}" for key, item in value.items())
    return "" if value is None else str(value)


def make() -> ConfigurationPanel:
    """Returns a new panel, for the page."""
    return ConfigurationPanel()
