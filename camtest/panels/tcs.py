"""The panel of the TCS EGSE: temperatures and heaters, tables of all housekeeping and configuration (user interfaces, 11)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as widgets
import msgspec

from camtest.panels.board import Lamp, Value
from camtest.panels.device import DevicePanel
from camtest.panels.panel import monitoring_endpoint
from camtest.panels.static_form import Section
from camtest.panels.telemetry import as_text, verdict
from camtest.panels.threads import Subscription, weak
from egse.proxy import Proxy
from egse.system import format_datetime
from egse.tcs import OperatingMode, TCSProxy
from egse.tcs.driver import TELEMETRY_SETTINGS
from egse.tcs.items import hk_name

REFRESH = 10.0
"""The tables are renewed so often [s]."""
MAIN = (
    "tou_rtd_1", "tou_rtd_2", "tou_rtd_3", "tou_rtd_tav", "ch1_pid_sp", "ch1_pid_cv", "ch1_pout",
    "fee_rtd_1", "fee_rtd_2", "fee_rtd_3", "fee_rtd_tav", "ch2_pid_sp", "ch2_pid_cv", "ch2_pout",
    "ambient_rtd", "elapsed_time",
)  # fmt: skip
"""Items on the board; all of them stand in the table."""
CHARTS = ("tou_rtd_tav", "ch1_pout", "fee_rtd_tav", "ch2_pout")
HEATERS = {0: ("ok", "fine"), 1: ("bad", "open"), 2: ("bad", "shorted"), 3: ("bad", "kept off")}

Row = Sequence[Any]


class TCSPanel(DevicePanel):
    """The TCS EGSE: remote mode, task, TRP1 and TRP22, all housekeeping, all parameters.

    Args:
        proxy: of `tcs_cs`; one from the Settings by default.

    Attributes:
        items: newest value of each item by its name in the TCS EGSE.
    """

    name: ClassVar[str] = "tcs"

    def __init__(self, proxy: Proxy | None = None) -> None:
        self.items: dict[str, Any] = {}
        self._remote: bool | None = None
        self._asked = float("-inf")
        self._rows: list[Row] = []
        self._parameters: dict[str, Any] = {}
        self.item_filter = widgets.Text(placeholder="part of a name", description="Filter")
        self.item_filter.observe(weak(self._fill_tables), "value")
        self.item_table, self.parameter_table = widgets.HTML(), widgets.HTML()
        super().__init__(proxy or TCSProxy(), "TCS EGSE (thermal control of the camera)")

    # -- what comes ------------------------------------------------------------------------------------------------

    def _subscriptions(self) -> list[Subscription]:
        stream = monitoring_endpoint(TELEMETRY_SETTINGS)
        telemetry = Subscription(stream, (b"housekeeping",), weak(self._take_telemetry))
        return [*super()._subscriptions(), telemetry]

    def _take_telemetry(self, frames: list[bytes]) -> None:
        """Takes a row of the telemetry process."""
        row = msgspec.msgpack.decode(frames[1])
        self._take_items(
            {n.removeprefix("GTCS_").lower(): v for n, v in row.items() if n.startswith("GTCS_")}
        )

    def _take_items(self, items: dict[str, Any]) -> None:
        if not self.items:
            for name in CHARTS:
                self.charts.toggle(self.telemetry.parameter(hk_name(name)))
        self.items |= items
        self.charts.add({hk_name(name): value for name, value in items.items()}, time.monotonic())

    def _worth_a_chart(self, row: dict[str, Any]) -> list[str]:
        return []  # the server's own row has nothing to draw

    def _refresh(self) -> None:
        if self.telemetry.alive and time.monotonic() - self._asked >= REFRESH:
            self.refresh()
        super()._refresh()

    def refresh(self) -> None:
        """Asks for all housekeeping, and in remote mode for the configuration."""
        self._asked = time.monotonic()
        self.command("?all housekeeping", self._fetch, self._fetched)

    def _fetch(self) -> tuple[bool, list[Row], dict[str, Any]]:
        tcs: Any = self.proxy
        if tcs.is_remote_operation_active():
            return True, [(d, n, v) for n, d, v in tcs.get_all_housekeeping()], tcs.get_configuration()
        now = format_datetime()
        return False, [(now, n, v) for n, v in sorted(tcs.get_data().items())], {}

    def _fetched(self, answer: tuple[bool, list[Row], dict[str, Any]]) -> None:
        self._remote, self._rows, found = answer
        self._parameters = found or self._parameters
        self._take_items({name: value for _, name, value in self._rows})
        self._fill_tables()

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _lamps(self) -> list[Lamp]:
        lamps = super()._lamps()
        remote = self.telemetry.row.get("GTCS_REMOTE", self._remote)
        if remote is not None:
            lamps.append(
                Lamp("REMOTE", "ok" if remote else "warn", "remote mode" if remote else "buttons only")
            )
        items = self.items
        if "task_is_running" in items:
            running = items["task_is_running"] == 1
            lamps.append(Lamp("TASK", "ok" if running else "off", "running" if running else "not running"))
        if isinstance(items.get("op_mode"), int):
            mode = OperatingMode(items["op_mode"]).name.replace("_", " ").lower()
            lamps.append(Lamp("MODE", "info", mode))
        if "sync_status" in items:
            synced = items["sync_status"] == 1
            lamps.append(Lamp("CLK HEATER", "ok" if synced else "bad", "there" if synced else "missing"))
        for number, what in ((1, "TRP1"), (2, "TRP22")):
            if (status := items.get(f"ch{number}_heater_status")) is not None:
                lamps.append(Lamp(f"HEATER {what}", *HEATERS.get(status, ("warn", str(status)))))
        return lamps

    def _values(self) -> list[Value]:
        found = []
        for item in MAIN:
            if item in self.items:
                parameter, value = self.telemetry.parameter(hk_name(item)), self.items[item]
                state = verdict(parameter, value)
                found.append(
                    Value(parameter.name, as_text(value), parameter.unit, state, parameter.description)
                )
        return found

    def _fill_tables(self, _change: Any = None) -> None:
        wanted = self.item_filter.value.strip().lower()
        rows = [(at, n, self._with_unit(n, v)) for at, n, v in self._rows if wanted in n]
        self.item_table.value = _table("All Housekeeping", ("Timestamp", "Name", "Value"), rows)
        plain = {n: v for n, v in self._parameters.items() if n != "rtd_list"}
        sensors = {
            f"rtd {n}": ", ".join(f"{c:g}" for c in v)
            for n, v in self._parameters.get("rtd_list", {}).items()
        }
        self.parameter_table.value = _table(
            "Configuration", ("Name", "Value"), list((plain | sensors).items())
        )

    def _with_unit(self, item: str, value: Any) -> str:
        return f"{as_text(value)} {self.telemetry.parameter(hk_name(item)).unit}".strip()

    def _extra_sections(self) -> Sequence[Section]:
        rows = tuple((str(n), self._with_unit(n, v), "", "") for _, n, v in self._rows)
        return [*([Section("All Housekeeping", rows)] if rows else []), *super()._extra_sections()]

    # -- toolbar -------------------------------------------------------------------------------------------------------

    def _controls(self) -> list[widgets.Widget]:
        return [
            widgets.HBox(
                [
                    self.button("Stop task", self.stop_task, style="danger", hint="Heaters off"),
                    self.button("Run task", self.run_task, hint="Start to regulate, after a question"),
                    self.button("Remote mode", self.take_control, hint="Take control from the buttons"),
                    self.button("Local mode", self.give_control, hint="Give control back to the buttons"),
                    self.button("Refresh", self.refresh, style="info", hint="Renew the tables"),
                ]
            )
        ]

    def _further_tabs(self) -> dict[str, widgets.Widget]:
        if not hasattr(self, "_tables"):
            housekeeping = widgets.VBox([self.item_filter, self.item_table])
            self._tables = {"Housekeeping": housekeeping, "Configuration": self.parameter_table}
        return self._tables

    def stop_task(self) -> None:
        """Stops the task at once."""
        self._send_and_look("stop_task", False)

    def run_task(self) -> None:
        """Starts a task, after a question."""
        self._send_and_look("run_task", True)

    def take_control(self) -> None:
        """Takes control of the TCS EGSE."""
        self._send_and_look("request_remote_operation", False)

    def give_control(self) -> None:
        """Gives control back to the buttons."""
        self._send_and_look("quit_remote_operation", False)

    def _send_and_look(self, name: str, confirm: bool) -> None:
        self.send(name, {}, confirm=confirm)
        if not confirm:
            self.refresh()


def _table(title: str, columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Returns a table as HTML."""
    if not rows:
        return f"<i>{escape(title)}: nothing yet</i>"
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div style="max-height:30em;overflow:auto"><table aria-label="{escape(title)}"><caption>{escape(title)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
