"""The panels of TCS EGSE and OGSE: what they show is what the servers say, what they command is in the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from camtest.panels import OGSEPanel, TCSPanel, panel_for, panel_of_server
from camtest.panels.pages import page_named
from egse.ogse import OGSEProxy
from egse.tcs import TCSProxy

from .conftest import DummyServer, eventually

Run = Callable[[str], DummyServer]


def lamp_of(panel: Any, name: str) -> tuple[str, str]:
    """Returns state and text of a lamp as the browser gets it."""
    found = {lamp[0]: (lamp[1], lamp[2]) for lamp in panel.board.state.get("lamps", [])}
    return found.get(name, ("", ""))


def agree(panel: Any) -> None:
    """Presses "Yes, do it"."""
    eventually(lambda: panel._confirmation.children, "a question")
    panel._confirmation.children[1].click()


def test_tcs_panel(run_server: Run) -> None:
    server = run_server("egse.tcs.tcs_cs")
    with panel_for(TCSProxy()) as panel:
        assert isinstance(panel, TCSPanel)
        eventually(
            lambda: lamp_of(panel, "REMOTE") == ("warn", "buttons only"), "the lamp of the remote mode"
        )
        eventually(lambda: "ambient_rtd" in panel.item_table.value, "the table")
        assert "Configuration: nothing yet" in panel.parameter_table.value
        eventually(lambda: lamp_of(panel, "TASK") == ("off", "not running"), "the lamp of the task")
        panel.take_control()
        eventually(lambda: lamp_of(panel, "REMOTE")[0] == "ok", "remote mode")
        eventually(lambda: "ch1_tset" in panel.parameter_table.value, "the configuration")
        assert "rtd PT100-01" in panel.parameter_table.value
        panel.run_task()
        assert ("run_task", {}) not in server.commands()
        agree(panel)
        eventually(lambda: ("run_task", {}) in server.commands(), "the command")
        panel.refresh()
        eventually(lambda: lamp_of(panel, "TASK") == ("ok", "running"), "the task")
        assert lamp_of(panel, "HEATER TRP1") == ("ok", "fine")
        assert lamp_of(panel, "CLK HEATER") == ("ok", "there")
        values = {value[0]: value[1:3] for value in panel.board.state["rows"]}
        assert values["GTCS_TOU_RTD_TAV"][1] == "DegCelsius"
        assert float(values["GTCS_TOU_RTD_TAV"][0]) < -100.0
        eventually(lambda: "GTCS_TOU_RTD_TAV" in [one["name"] for one in panel.charts.series], "a chart")
        panel.item_filter.value = "spare"
        assert "spare_rtd_1" in panel.item_table.value
        assert "ambient_rtd" not in panel.item_table.value
        panel.stop_task()
        eventually(lambda: lamp_of(panel, "TASK")[0] == "off", "the end of the task")
        assert [name for name, _ in server.commands() if not name.startswith(("get_", "is_"))] == [
            *("request_remote_operation", "run_task", "stop_task")
        ]
        assert "All Housekeeping" in panel.to_html()


def test_ogse_panel(run_server: Run) -> None:
    server = run_server("egse.ogse.ogse_cs")
    with panel_for(OGSEProxy()) as panel:
        assert isinstance(panel, OGSEPanel)
        eventually(lambda: lamp_of(panel, "INTERLOCK") == ("ok", "closed"), "the interlock")
        assert lamp_of(panel, "LAMP") == ("off", "off")
        assert lamp_of(panel, "ATTENUATOR") == ("off", "0")
        eventually(lambda: len(panel.charts.series) == 3, "three charts")
        panel.power_on()
        panel.light_on()
        agree(panel)
        panel.level.value = 46
        panel.set_level()
        eventually(lambda: lamp_of(panel, "LAMP") == ("ok", "burns"), "light")
        eventually(lambda: lamp_of(panel, "ATTENUATOR") == ("info", "1"), "the wheels")
        panel.level_down()
        panel.opaque()
        panel.light_off()
        eventually(lambda: lamp_of(panel, "LASER") == ("off", "off"), "darkness")
        sent = [(name, args) for name, args in server.commands() if not name.startswith("get_")]
        assert sent == [
            ("power_on", {}),
            ("operate_on", {}),
            ("att_set_level_index", {"index": 46}),
            ("att_level_down", {}),
            ("att_set_level_index", {"index": 0}),
            ("operate_off", {}),
        ]


def test_their_pages_know_the_other_types(site: object) -> None:
    for page, server in (("tcs_ui", "tcs_cs"), ("ogse_ui", "ogse_cs")):
        with page_named(page).make(type="simulator") as panel:
            assert "simulator in this process" in panel.title
            eventually(lambda panel=panel: panel.board.state.get("rows"), "housekeeping")
        with panel_of_server(server) as panel:
            assert type(panel).__name__ in ("TCSPanel", "OGSEPanel")
