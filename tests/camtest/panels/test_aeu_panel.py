"""The panel of the AEU: lamps in the groups and with the words of the manual, from housekeeping and clocks as they are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from camtest.core.servers import find_app
from camtest.panels.aeu import CLOCKS, GROUPS, AEUPanel, lamps_html
from camtest.panels.local import LocalDevice
from egse.aeu.lines import LEDS, OperatingMode
from egse.aeu.proxies import CRIOProxy
from egse.site.layout import SiteLayout

from .conftest import eventually

OF_THE_MANUAL = {
    "EGSE mode": ["Stand-by", "Self-test", "Functional check & TVAC", "Alignment"],
    "Camera selection": ["N-CAM", "F-CAM"],
    "Power lines": ["V_CCD", "V_CLK", "V_AN1", "V_AN2", "V_AN3", "V_DIG"],
    "Error detection": [
        "Secondary voltage out-of-range",
        "Secondary current out-of-range",
        "Synchronisation generator failure",
    ],
    "Clk signals": [
        *(
            "Clk_N_50MHz",
            "Clk_N_ccdread",
            "TCS 50MHz nom",
            "TCS 50MHz red",
            "TCS heater nom",
            "TCS heater red",
        ),
        *("Clk_F_FEE_N", "Clk_F_FEE_R", "Test port"),
    ],
}


class Clocks(CRIOProxy):
    """A cRIO whose clocks are known."""

    answer = True
    """False: it does not answer."""

    def get_n_cam_clock_status(self) -> tuple[int, ...]:
        if not self.answer:
            raise ConnectionError("no answer")
        return 1, 0

    def get_svm_clock_status(self) -> tuple[int, ...]:
        return 1, 0, 0, 1


def row(*lit: str, mode: OperatingMode = OperatingMode.STANDBY) -> dict[str, Any]:
    """Returns housekeeping as the server's protocol names it (`egse.aeu.protocol`)."""
    leds = {f"GAEU_{n.upper().replace('-', '').removeprefix('S_')}": n in lit for n in LEDS}
    return {"timestamp": "now", "GAEU_MODE": int(mode), **leds}


def give(panel: AEUPanel, housekeeping: dict[str, Any]) -> None:
    panel.telemetry.receive([b"housekeeping", msgspec.msgpack.encode(housekeeping)])


@pytest.fixture
def panel(site: SiteLayout) -> Any:
    with AEUPanel(Clocks()) as made:
        made.telemetry.silence = 600.0
        yield made


def states(panel: AEUPanel) -> dict[str, str]:
    return {lamp.name: lamp.state for lamps in panel.groups().values() for lamp in lamps}


def test_lamps_are_grouped_and_called_as_in_the_manual(panel: AEUPanel) -> None:
    assert panel.groups() == {}
    give(panel, row("Standby"))
    assert {group: [lamp.name for lamp in lamps] for group, lamps in panel.groups().items()} == OF_THE_MANUAL
    assert [name for name, state in states(panel).items() if state == "ok"][:1] == ["Stand-by"]


def test_the_server_tells_all_that_the_lamps_need(site: SiteLayout) -> None:
    device = LocalDevice(find_app("aeu_crio_cs"), simulator=True)
    housekeeping = device.housekeeping()
    assert {f"GAEU_{name}" for lamps in GROUPS.values() for name in lamps} <= set(housekeeping)
    for command, lamps in CLOCKS.items():
        assert len(getattr(device.controller, command)()) == len(lamps)
    device.disconnect_cs()


def test_each_lamp_tells_what_it_is_for(panel: AEUPanel) -> None:
    give(panel, row("FC_TVAC", "N-CAM", "V_AN3", "S_voltage_oor", "S_current_oor", "Sync_gf", "TestPort", mode=OperatingMode.FC_TVAC))  # fmt: skip
    eventually(lambda: panel.clocks, "the clocks")
    found = states(panel)
    assert {name for name, state in found.items() if state == "bad"} == set(OF_THE_MANUAL["Error detection"])
    assert {name for name, state in found.items() if state == "ok"} == {
        *("Functional check & TVAC", "N-CAM", "V_AN3", "Test port"),
        *("Clk_N_50MHz", "TCS 50MHz nom", "TCS heater red"),
    }
    lamps = {lamp[0]: lamp[2] for lamp in panel._state().as_trait()["lamps"]}
    assert lamps["EGSE MODE"] == "Functional check & TVAC"
    eventually(lambda: 'data-led="V_AN3" data-state="ok"' in panel.front.value, "the lamps on the page")
    assert 'aria-label="Error detection"' in panel.front.value
    assert "Secondary voltage out-of-range" in repr(panel)


def test_clocks_that_nobody_tells_are_not_known(panel: AEUPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clocks, "answer", False)
    give(panel, row("Standby"))
    eventually(lambda: 'aria-label="Clk_N_50MHz: not known"' in panel.front.value, "that they are not known")
    assert {states(panel)[name] for names in CLOCKS.values() for name in names} == {"off"}
    assert panel.errors == []


def test_old_lamps_are_dim() -> None:
    assert 'data-alive="false"' in lamps_html({}, alive=False)
