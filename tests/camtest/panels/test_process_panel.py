"""The process manager's panel: what it shows of servers and Setup, what it has started, and where its buttons lead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
import pytest

from camtest.panels import processes
from camtest.panels.pages import PAGES
from camtest.panels.processes import LINKS, TOOLS, ProcessPanel, identifiers, page_of
from egse.procman import ProcessManagerProxy
from egse.procman.interface import CORE, DEVICE, PROGRAM, ProcessManagerError, ServerState, ServerStatus
from egse.setup import Setup, SetupError
from egse.site.layout import SiteLayout

from .conftest import eventually


class Manager(ProcessManagerProxy):
    """A process manager that remembers what it is told, and refuses one of the servers."""

    told: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def connect_cs(self) -> None:
        """It is always there."""

    def send(self, name: str, arguments: Any, *args: Any, **kwargs: Any) -> Any:
        self.told.append((name, arguments))
        if arguments.get("name") == "aeu_psu1_cs":
            raise ProcessManagerError("aeu_psu1_cs is refused")


def server(name: str, kind: str = DEVICE, state: str = "running", **more: Any) -> ServerStatus:
    return ServerStatus(name=name, title=name, kind=kind, state=ServerState(state), **more)


SERVERS = (
    server("cm_cs", CORE),
    server("log_cs", CORE),
    server("sm_cs", CORE, "stopped"),
    server("pm_cs", CORE),
    server("fov_hk", PROGRAM, "stopped"),
    server("fitsgen", PROGRAM),
    server("ogse_cs", state="stopped"),
    server("aeu_crio_cs", state="stopped", simulator=True),
    server("aeu_psu1_cs", state="stopped", simulator=False),
    server("aeu_psu2_cs", simulator=False),
)


def tell(panel: ProcessPanel, setup: str | None = "00007") -> None:
    """Gives the panel what the process manager would publish; the configuration manager is heard as well."""
    status = {"setup": setup, "servers": {s.name: msgspec.to_builtins(s) for s in SERVERS}}
    panel.telemetry.receive([b"status", msgspec.msgpack.encode(status)])
    panel.site.receive([b"status", msgspec.msgpack.encode({})])
    panel._listening.wake()


def lamps(panel: ProcessPanel) -> dict[str, tuple[str, str]]:
    return {lamp.name: (lamp.state, lamp.text) for lamp in panel._state().lamps}


def below(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from below(child)


def shown(panel: ProcessPanel) -> dict[str, dict[str, Any]]:
    """Returns what the browser is told of the servers, once it is told."""
    eventually(lambda: panel.list.servers, "the servers")
    return {row["name"]: row for row in panel.list.servers}


def press(panel: ProcessPanel, verb: str, name: str) -> None:
    """Does what the browser does at the click of a button."""
    panel.list._take({verb: name}, None)


def agree(panel: ProcessPanel) -> None:
    _question, yes, _no = panel._confirmation.children
    yes.click()


@pytest.fixture
def panel(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessPanel]:
    content = {"camera": {"ID": "achel"}, "gse": {"hexapod": {"ID": "2B"}}}
    monkeypatch.setattr(processes, "get_setup", lambda number: Setup(content if number == 7 else {}))
    monkeypatch.setattr(Manager, "told", [])
    with ProcessPanel(Manager()) as made:
        made.telemetry.silence = made.site.silence = (
            600.0  # what `tell` says holds until it says something else
        )
        yield made


def test_identifiers_come_from_the_loaded_setup(panel: ProcessPanel) -> None:
    tell(panel)
    eventually(lambda: lamps(panel)["CAMERA ID"] == ("info", "achel"), "the camera")
    assert lamps(panel)["SETUP ID"] == ("info", "00007")
    assert lamps(panel)["HEXAPOD ID"] == ("info", "2B")
    tell(panel, "00008")
    eventually(lambda: lamps(panel)["CAMERA ID"] == ("info", "none"), "a Setup without any")
    assert lamps(panel)["HEXAPOD ID"] == ("info", "none")
    tell(panel, None)
    eventually(lambda: not panel.identifiers, "no Setup")
    assert {lamps(panel)[name][1] for name in ("SETUP ID", "CAMERA ID", "HEXAPOD ID")} == {"none"}
    assert panel.errors == []


def test_a_setup_that_cannot_be_read_is_not_known(
    panel: ProcessPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_number: int) -> Setup:
        raise SetupError("there is none")

    monkeypatch.setattr(processes, "get_setup", refuse)
    assert identifiers(7) is None
    tell(panel)
    assert lamps(panel)["CAMERA ID"] == ("info", "not known")


def test_what_does_not_run_is_red(panel: ProcessPanel) -> None:
    tell(panel)
    rows = shown(panel)
    for name in ("sm_cs", "ogse_cs", "fov_hk"):
        assert (rows[name]["colour"], rows[name]["words"]) == ("bad", "stopped")
    assert rows["cm_cs"]["colour"] == "ok"
    assert lamps(panel)["TROUBLE"] == ("bad", "sm_cs")  # a device that was stopped on purpose is none


def test_a_process_manager_that_is_not_heard_is_red(panel: ProcessPanel) -> None:
    tell(panel)
    assert panel.servers["pm_cs"]["state"] == "running"
    panel.telemetry.silence = 0.0
    assert panel.servers["pm_cs"]["state"] == "not responding"
    assert lamps(panel)["TROUBLE"] == ("bad", "sm_cs, pm_cs")


def test_the_aeu_is_started_and_stopped_as_a_whole(panel: ProcessPanel) -> None:
    with pytest.raises(Exception, match="names no AEU"):
        panel.start_aeu()
    tell(panel)
    assert shown(panel)["aeu_crio_cs"]["simulator"] is True
    panel.start_aeu()
    assert Manager.told == []  # it asks before
    agree(panel)
    eventually(lambda: "aeu_psu1_cs is refused" in panel.message.value, "the refusal")
    assert Manager.told == [
        ("start_cs", {"name": "aeu_crio_cs", "sim_mode": True}),
        ("start_cs", {"name": "aeu_psu1_cs", "sim_mode": False}),
    ]
    Manager.told.clear()
    panel.stop_aeu()
    agree(panel)
    eventually(lambda: "stop AEU: done" in panel.message.value, "the stop")
    assert Manager.told == [("shut_down_cs", {"name": "aeu_psu2_cs"})]


def test_buttons_open_other_panels_below(panel: ProcessPanel) -> None:
    tell(panel)
    rows = shown(panel)
    assert {name for name, row in rows.items() if row["panel"]} == {s.name for s in SERVERS} - {
        "sm_cs",
        "pm_cs",
    }
    assert {row["address"] for row in rows.values()} == {""}, "in a notebook there are no pages to lead to"
    press(panel, "open", "log_cs")
    (opened,) = panel._opened.values()
    assert opened.name == "log"
    press(panel, "open", "log_cs")
    assert opened.closed
    assert not panel._place.children
    descriptions = {getattr(w, "description", "") for w in below(panel.widget)}
    assert set(TOOLS.values()) <= descriptions


def test_which_buttons_a_server_has_and_when(panel: ProcessPanel) -> None:
    tell(panel)
    rows = shown(panel)
    assert {name for name, row in rows.items() if row["start"] is None} == {
        "cm_cs",
        "log_cs",
        "sm_cs",
        "pm_cs",
    }
    assert {name for name, row in rows.items() if row["simulator"] is not None} == {
        s.name for s in SERVERS if s.kind == DEVICE
    }
    assert [(rows[name]["start"], rows[name]["stop"]) for name in ("ogse_cs", "aeu_psu2_cs")] == [
        (True, False),
        (False, True),
    ]


def test_a_server_is_started_in_the_mode_that_its_switch_shows(panel: ProcessPanel) -> None:
    tell(panel)
    assert shown(panel)["ogse_cs"]["simulator"] is False
    press(panel, "switch", "ogse_cs")
    eventually(lambda: shown(panel)["ogse_cs"]["simulator"], "the switch")
    press(panel, "start", "ogse_cs")
    eventually(lambda: Manager.told, "the command")
    press(panel, "start", "fitsgen")
    eventually(lambda: len(Manager.told) == 2, "the other one")
    press(panel, "stop", "fitsgen")
    agree(panel)
    eventually(lambda: len(Manager.told) == 3, "the stop")
    assert Manager.told == [
        ("start_cs", {"name": "ogse_cs", "sim_mode": True}),
        ("start_fitsgen", {}),
        ("stop_fitsgen", {}),
    ]
    press(panel, "start", "no_such_cs")
    panel.list._take({"rendered": True}, None)
    assert panel.errors == []


def test_pages_link_to_pages_that_exist(panel: ProcessPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {*LINKS.values(), *TOOLS} <= set(PAGES)
    assert page_of("cm_cs", CORE) == "cm_ui.ipynb"
    assert page_of("ogse_cs", DEVICE) == "device_ui.ipynb?server=ogse_cs"
    assert page_of("sm_cs", CORE) == ""
    monkeypatch.setattr(processes, "is_page", lambda: True)
    link = panel.link("UI", "log_ui", "log_ui.ipynb", hint="Panel of log_cs")
    assert link.value == '<a href="log_ui.ipynb" target="_blank" title="Panel of log_cs">UI</a>'
