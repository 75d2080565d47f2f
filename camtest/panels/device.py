"""The generated panel: any device from its interface, so that it has a panel on the day it has a driver."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.panels.board import BoardState, Lamp, Value
from camtest.panels.charts import StripCharts
from camtest.panels.forms import CommandForm, is_dangerous, is_query
from camtest.panels.panel import Panel, fresh, monitoring_endpoint
from camtest.panels.static_form import Section
from camtest.panels.telemetry import Telemetry, dictionary
from camtest.panels.threads import Subscription, weak
from egse.catalogue import definition_of
from egse.command import CommandDefinition, commands_of
from egse.event import EventInterface
from egse.proxy import Proxy

CHARTS_AT_START = 4
"""So many numbers with limits are shown as charts when a panel is opened."""
TOPICS = (b"housekeeping", b"status")


class DevicePanel(Panel):
    """Commands, housekeeping and charts of one device server.

    Args:
        proxy: of the device; the panel makes connections of its own to the same server.
        title: shown above; by default the name of the server.
    """

    name: ClassVar[str] = "device"

    def __init__(self, proxy: Proxy, title: str = "") -> None:
        self.proxy = fresh(proxy)
        self.commands = self._find_commands(proxy)
        self.charts = StripCharts()
        self.telemetry = Telemetry(proxy.server_name or repr(proxy), dictionary(), self._take_row)
        self._monitoring = ""
        self._chosen = False
        super().__init__(title or _title_of(proxy))
        if self._is_elsewhere() or not self.commands:
            self.command("?looking for the server", self._look_around, self._looked_around)

    # -- from the server ---------------------------------------------------------------------------------------------

    def _has_charts(self) -> bool:
        return True

    def _find_commands(self, proxy: Proxy) -> dict[str, CommandDefinition]:
        return commands_of_proxy(proxy)

    def _is_elsewhere(self) -> bool:
        """Says whether the server itself has to tell where it publishes."""
        return self.proxy.has_own_endpoint or not self.proxy.settings_name

    def _subscriptions(self) -> list[Subscription]:
        return [Subscription(weak(self._stream), TOPICS, weak(self.telemetry.receive))]

    def _stream(self) -> str:
        if not self._is_elsewhere():
            return monitoring_endpoint(self.proxy.settings_name)()
        if not self._monitoring:
            self.command("?looking for the server", self._look_around, self._looked_around)
            raise ConnectionError(f"{self.telemetry.server} has not told where it publishes")
        return self._monitoring

    def _look_around(self) -> tuple[str, list[dict[str, Any]]]:
        with self.proxy.get_service_proxy() as services:
            status = services.get_server_status()
            return status["endpoints"]["monitoring"], services.get_commands()

    def _looked_around(self, found: tuple[str, list[dict[str, Any]]]) -> None:
        self._monitoring, entries = found
        if not self.commands:
            self.commands = {entry["name"]: definition_of(entry) for entry in entries}
            self._fill_choices()

    def _take_row(self, row: dict[str, Any], at: float) -> None:
        if not self._chosen:
            self._chosen = True
            for name in self._worth_a_chart(row)[:CHARTS_AT_START]:
                self.charts.toggle(self.telemetry.parameter(name))
        self.charts.add(row, at)

    def _worth_a_chart(self, row: dict[str, Any]) -> list[str]:
        """Returns names of numbers, those first that are measured, and of these the ones with limits."""

        def rank(name: str) -> tuple[bool, bool]:
            return not isinstance(row[name], float), not self.telemetry.parameter(name).ops

        return sorted(
            (n for n, v in row.items() if isinstance(v, int | float) and not isinstance(v, bool)), key=rank
        )

    def _refresh(self) -> None:
        self.charts.draw()

    def _pick(self, name: str) -> None:
        self.charts.toggle(self.telemetry.parameter(name))
        if self.telemetry.row:
            self._listening.wake()

    # -- what is shown -------------------------------------------------------------------------------------------------

    def _lamps(self) -> list[Lamp]:
        """Returns the lamps; sub-classes add their own."""
        return self.telemetry.lamps()

    def _values(self) -> list[Value]:
        """Returns the lines of the table; sub-classes add their own."""
        return self.telemetry.values()

    def _state(self) -> BoardState:
        return BoardState(
            self.title,
            self.telemetry.note,
            self.telemetry.alive,
            tuple(self._lamps()),
            tuple(self._values()),
            tuple(self.charts.strips),
        )

    def _extra_sections(self) -> Sequence[Section]:
        rows = [
            (at, f"{what}: {how.splitlines()[-1] if how else ''}", "", "") for at, what, how in self.history
        ]
        return [Section("What was done in this panel", tuple(rows))] if rows else []

    # -- commanding ----------------------------------------------------------------------------------------------------

    def _body(self) -> list[widgets.Widget]:
        self.filter = widgets.Text(
            placeholder="filter",
            description="Filter",
            continuous_update=True,
            style={"description_width": "6em"},
        )
        self.chooser = widgets.Select(
            rows=9,
            description="Command",
            style={"description_width": "6em"},
            layout=widgets.Layout(width="26em"),
        )
        self.chooser.add_class("camtest-commands")
        self.form: CommandForm | None = None
        self._form_box = widgets.VBox([])
        self.run_button = self.button(
            "Run", self._run, style="primary", hint="Send the command that is chosen"
        )
        self.filter.observe(weak(self._fill_choices), "value")
        self.chooser.observe(weak(self._choose), "value")
        left = widgets.VBox([self.filter, self.chooser])
        commanding = widgets.HBox([left, widgets.VBox([self._form_box, self.run_button])])
        self._fill_choices()
        self.tabs = widgets.Tab([self.charts, commanding, *self._further_tabs().values()])
        self.tabs.titles = ("Charts", "Commands", *self._further_tabs())
        return [*self._controls(), self.tabs]

    def _controls(self) -> list[widgets.Widget]:
        """Returns what a sub-class puts between the board and the tabs."""
        return []

    def _further_tabs(self) -> dict[str, widgets.Widget]:
        """Returns tabs of a sub-class by their titles; the same ones each time."""
        return {}

    def _fill_choices(self, _change: Any = None) -> None:
        wanted = self.filter.value.strip().lower()
        names = [n for n in self.commands if wanted in n.lower()]
        changing = [n for n in names if not is_query(self.commands[n])]
        asking = [n for n in names if is_query(self.commands[n])]
        self.chooser.options = [
            *((f"{n}", n) for n in changing),
            *((f"? {n}", n) for n in asking),
        ]

    def _choose(self, change: Any) -> None:
        name = change["new"]
        self.form = CommandForm(self.commands[name]) if name in self.commands else None
        self._form_box.children = [self.form] if self.form else []
        self.run_button.description = f"Run {name}" if name else "Run"

    def _run(self) -> None:
        if self.form is None:
            self.tell("choose a command first", bad=True)
            return
        self.send(self.form.definition.name, self.form.values())

    def send(self, name: str, arguments: dict[str, Any], confirm: bool | None = None) -> None:
        """Sends a command of the device; the operator confirms dangerous ones.

        Args:
            name: of the command.
            arguments: by name.
            confirm: ask before, or do not; None: when it is dangerous.
        """
        definition = self.commands[name]
        shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        what = f"{name}({shown})"
        asks = is_dangerous(definition) if confirm is None else confirm
        self.command(
            what, partial(self._execute, definition, arguments), confirm=f"Really {what}?" if asks else ""
        )

    def _execute(self, definition: CommandDefinition, arguments: dict[str, Any]) -> Any:
        method = getattr(self.proxy, definition.name, None)
        return self.proxy.send(definition.name, arguments) if method is None else method(**arguments)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.proxy.disconnect_cs()


def commands_of_proxy(proxy: Proxy) -> dict[str, CommandDefinition]:
    """Returns the commands of the interface that a proxy has; those of the site's own machinery are left out."""
    machinery = set(commands_of(EventInterface))
    found = {n: d for n, d in commands_of(type(proxy)).items() if n not in machinery}
    loaded = getattr(proxy, "_commands", {})
    return found | {name: command.definition for name, command in loaded.items()}


def _title_of(proxy: Proxy) -> str:
    return proxy.server_name or type(proxy).__name__.removesuffix("Proxy")
