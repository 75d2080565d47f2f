"""The panel of a hexapod beside a real server with its model inside, and with a model in the panel's own process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest.panels.devices import panel_for, panel_of_server
from camtest.panels.hexapod import HexapodFace, HexapodPanel
from camtest.panels.hexapod_view import bits_of, colour_of, lamps_of, matrix_html, sketch
from egse.hexapod.symetrie import PunaProxy
from egse.hexapod.symetrie.mechanisms import PUNA
from egse.hexapod.symetrie.states import ALPHA_GENERAL
from egse.journal import read_journal
from egse.settings import Settings
from egse.site.layout import SiteLayout
from egse.site.localsettings import read_local_settings, write_local_settings

from .conftest import eventually


@pytest.fixture
def puna_site(site: SiteLayout, free_ports: Callable[[int], list[int]]) -> Iterator[SiteLayout]:
    """A site for a PUNA whose time runs 50 times as fast."""
    names = ("COMMANDING_PORT", "MONITORING_PORT", "SERVICE_PORT", "METRICS_PORT")
    block = {
        **dict(zip(names, free_ports(4), strict=True)),
        "HK_DELAY": 0.25,
        "HK_MARGIN": 0.0,
        "MONITORING_DELAY": 0.25,
    }
    settings = read_local_settings(site.settings)
    own = {**settings.get("SITE", {}), "SPEED": 50.0}
    write_local_settings(site.settings, {**settings, "SITE": own, "PUNA Control Server": block})
    Settings.load(force=True)
    yield site
    Settings.load(force=True)


@pytest.fixture
def puna_cs(puna_site: SiteLayout) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "egse.hexapod.symetrie.puna_cs", "start", "--simulator"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("READY puna_cs")
    yield
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()


def commands() -> list[tuple[str, dict[str, Any]]]:
    """Returns what the server itself has recorded."""
    folder = Path(os.environ["PLATO_DATA_STORAGE_LOCATION"]) / "LAB" / "journal" / "puna_cs"
    records = [r for path in sorted(folder.glob("*.journal")) for r in read_journal(path)]
    return [(str(r.command), dict(r.args)) for r in records if r.event == "begin"]


def value_of(panel: HexapodFace, name: str) -> str:
    return next((row[1] for row in panel.board.state["rows"] if row[0] == name), "")


def lamp_of(panel: HexapodFace, name: str) -> str:
    return next((lamp[1] for lamp in panel.board.state.get("lamps", []) if lamp[0] == name), "")


def agree(panel: HexapodFace) -> None:
    _, yes, _ = panel._confirmation.children
    yes.click()


def press(panel: HexapodFace, text: str, which: int = 0) -> None:
    def all_below(widget: Any) -> Iterator[Any]:
        yield widget
        for child in getattr(widget, "children", ()):
            yield from all_below(child)

    buttons = [w for w in all_below(panel.widget) if getattr(w, "description", "") == text]
    buttons[which].click()


@pytest.mark.parametrize("kind", ["proxy", "simulator"])
def test_homing_a_move_and_stop(request: pytest.FixtureRequest, puna_site: SiteLayout, kind: str) -> None:
    if kind == "proxy":
        request.getfixturevalue("puna_cs")
    with panel_of_server("puna_cs", kind) as panel:
        assert isinstance(panel, HexapodFace)
        eventually(lambda: lamp_of(panel, "System Initialized") == "ok", "the states")
        assert lamp_of(panel, "Brake on") == "warn"
        assert lamp_of(panel, "Homing done") == "off"
        press(panel, "Homing")
        agree(panel)
        eventually(lambda: lamp_of(panel, "Homing done") == "ok", "the homing")
        panel.manual.numbers = [0, 0, 50, 0, 0, 0]
        press(panel, "Validate Movement...")
        eventually(lambda: "out of the factory workspace" in panel.verdict.value, "the verdict")
        panel.manual.numbers = [1, 2, 10, 0, 0, 0.5]
        press(panel, "Validate Movement...")
        eventually(lambda: 'data-verdict="ok"' in panel.verdict.value, "the other verdict")
        press(panel, "Move")
        agree(panel)
        eventually(lambda: value_of(panel, "Object [in User] Z") == "10.0000", "the arrival")
        assert value_of(panel, "Platform [in Machine] Rz") == "0.5000"
        press(panel, "Clear")
        press(panel, "Copy")
        assert panel.manual.numbers == pytest.approx([1, 2, 10, 0, 0, 0.5])
        eventually(lambda: "z 10.0000" in panel.picture.value, "the sketch")
        eventually(lambda: "In position, actuator 6: yes" in panel.matrix.value, "the actuators")
        press(panel, "STOP")
        eventually(lambda: "stop()" in panel.message.value, "the stop")
        assert "Object [in User] Z" in repr(panel)
        if kind == "proxy":
            assert ("stop", {}) in commands()
            moves = [arguments for name, arguments in commands() if name == "move_absolute"]
            assert moves == [{"tx": 1.0, "ty": 2.0, "tz": 10.0, "rx": 0.0, "ry": 0.0, "rz": 0.5}]


def test_configuration(puna_cs: None) -> None:
    with panel_for(PunaProxy()) as panel:
        assert isinstance(panel, HexapodPanel)
        panel.user.numbers = [0, 0, 1, 0, 0, 0]
        press(panel, ">>")
        assert panel.object.numbers[2] == 1
        panel.object.numbers = [0, 0, 0, 0, 0, 5]
        press(panel, "Apply")
        agree(panel)
        eventually(lambda: value_of(panel, "Object [in User] Z") == "-1.0000", "the new frame")
        panel.user.numbers = panel.object.numbers = [0] * 6
        press(panel, "Fetch")
        eventually(lambda: panel.user.numbers[2] == 1 and panel.object.numbers[5] == 5, "what was set")
        panel.vt.value, panel.vr.value = 1.5, 0.5
        press(panel, "Apply", 1)
        eventually(lambda: ("set_speed", {"vt": 1.5, "vr": 0.5}) in commands(), "the speeds")
        panel.vt.value = 0.0
        press(panel, "Fetch", 1)
        eventually(lambda: panel.vt.value == 1.5, "what was set")


def test_lamps_for_either_controller() -> None:
    assert len(lamps_of((0b1000011, []))) == 24
    states = {lamp.name: lamp.state for lamp in lamps_of((0b1100011, []))}
    assert states["Error"] == states["Emergency stop"] == "bad"
    assert states["Brake on"] == "warn"
    assert states["System Initialized"] == "ok"
    plus = ({"Error": 0, "Emergency stop": 1, "Control on": 1}, [0, 1, 1])
    assert [lamp.state for lamp in lamps_of(plus)] == ["off", "bad", "ok"]
    assert bits_of((1, []), ALPHA_GENERAL)["Error"] is True
    assert colour_of("Positive limit", True) == "bad"


def test_the_general_states_are_called_as_the_manual_says() -> None:
    assert [lamp.name for lamp in lamps_of((0, []))] == [
        "Error", "System Initialized", "In position", "Amplifier enabled", "Homing done", "Brake on", "Emergency stop",
        "Warning FE", "Fatal FE", "Actuator Limit Error", "Amplifier Error", "Encoder error", "Phasing error",
        "Homing error", "Kinematic error", "Abort input error", "R/W memory error", "Temperature error",
        "Homing done (virtual)", "Encoders power off", "Limit switches power off", "Reserved (21)", "Reserved (22)",
        "Reserved (23)",
    ]  # fmt: skip
    states = {lamp.name: lamp.state for lamp in lamps_of((0b1110101000, []))}
    assert (states["Warning FE"], states["Fatal FE"], states["Actuator Limit Error"]) == (
        "warn",
        "bad",
        "bad",
    )
    assert (states["Amplifier enabled"], states["Brake on"]) == ("ok", "warn")


@pytest.mark.parametrize("kind", ["proxy", "simulator"])
def test_the_plug_is_pulled_and_put_in_again(
    request: pytest.FixtureRequest, puna_site: SiteLayout, kind: str
) -> None:
    if kind == "proxy":
        request.getfixturevalue("puna_cs")
    with panel_of_server("puna_cs", kind) as panel:
        assert isinstance(panel, HexapodFace)
        eventually(lambda: lamp_of(panel, "Brake on") == "warn", "the states")
        mode = next(lamp for lamp in panel.board.state["lamps"] if lamp[0] == "MODE")
        assert mode[2] == kind.capitalize()
        press(panel, "Disconnect")
        eventually(lambda: "disconnect: done" in panel.message.value, "the end of the connection")
        eventually(lambda: panel.board.state["alive"] is False, "a board that says so")
        assert "disconnected by hand" in panel.board.state["note"]
        press(panel, "Control on")
        eventually(lambda: "press Reconnect" in panel.message.value, "the refusal")
        press(panel, "Validate Movement...")
        eventually(lambda: "check_absolute_movement: this panel" in panel.message.value, "another one")
        press(panel, "STOP")
        eventually(lambda: "stop()" in panel.message.value, "the stop all the same")
        press(panel, "Reconnect")
        eventually(lambda: "reconnect: done" in panel.message.value, "the connection")
        eventually(lambda: panel.board.state["alive"] is True, "a board that lives again")
        press(panel, "Control on")
        eventually(lambda: lamp_of(panel, "Amplifier enabled") == "ok", "the command")
        assert panel.plug.description == "Disconnect"
        assert panel.errors == []


def test_matrix_says_in_words_what_its_colours_say() -> None:
    html = matrix_html([(1, [])] * 5 + [(1 << 11, [])])
    assert html.count("<td") == 13 * 6
    assert 'aria-label="Encoder error, actuator 6: yes"' in html
    assert 'aria-label="In position, actuator 1: yes"' in html
    assert "nothing is known" in matrix_html([])


def test_the_sketch_follows_the_platform() -> None:
    def heights(svg: str) -> list[float]:
        (points,) = re.findall(r'<polygon points="([^"]+)" fill="#2e86c1"', svg)
        return [float(point.split(",")[1]) for point in points.split()]

    low, high = sketch([0, 0, -20, 0, 0, 0], PUNA.legs), sketch([0, 0, 20, 0, 0, 0], PUNA.legs)
    assert all(a > b for a, b in zip(heights(low), heights(high), strict=True))
    assert low.count("<line") == 6
    assert 'aria-label="hexapod, platform at x 0.0000, y 0.0000, z 20.0000 mm"' in high
