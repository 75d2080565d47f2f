"""`--type simulator` and `--type direct`: devices without their control server; what they do is seen at the device."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from camtest.panels.device import DevicePanel
from camtest.panels.devices import panel_of_server
from egse.dummy import DummyProxy
from egse.journal import read_journal
from egse.security.token import clear_token, set_token
from egse.settings import Settings
from egse.site.layout import SiteLayout
from egse.site.localsettings import read_local_settings, write_local_settings

from .conftest import DummyServer, eventually


@pytest.fixture
def device(dummy_site: SiteLayout) -> Iterator[str]:
    """The simulator of the dummy device as a process of its own, which the settings name as the device; its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "egse.dummy.dummy_sim", "start", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    ready = process.stdout.readline().split()
    assert ready[0] == "READY"
    settings = read_local_settings(dummy_site.settings)
    block = {**settings["Dummy Control Server"], "DEVICE_PORT": int(ready[2])}
    write_local_settings(dummy_site.settings, {**settings, "Dummy Control Server": block})
    Settings.load(force=True)
    yield ready[2]
    process.terminate()
    process.wait(30)
    process.stdout.close()


def voltage_at_the_device(folder: Path) -> float:
    """Returns what a control server of its own, which is started for this, reads from the device."""
    server = DummyServer(folder, simulator=False)
    server.start()
    try:
        with DummyProxy() as proxy:
            return float(proxy.get_voltage())
    finally:
        server.kill()


def send(panel: DevicePanel, voltage: str) -> None:
    panel.chooser.value = "set_voltage"
    assert panel.form is not None
    panel.form.fields["voltage"].widget.value = voltage
    panel.run_button.click()


def test_direct_commands_the_device_past_its_server(
    device: str, dummy_site: SiteLayout, tmp_path: Path
) -> None:
    with panel_of_server("dummy", "direct") as panel:
        assert isinstance(panel, DevicePanel)
        assert "past the control server" in panel.title
        send(panel, "6.5")
        eventually(lambda: "set_voltage(voltage=6.5): done" in panel.message.value, "the message")
        eventually(lambda: panel.telemetry.row.get("GLAB_DUMMY_VOLTAGE") == 6.5, "the housekeeping")
        assert ["DEVICE", "ok", "connected"] in [list(lamp)[:3] for lamp in panel.board.state["lamps"]]
    (journal,) = dummy_site.data.rglob("direct_DummyController/*.journal")
    commands = [(r.command, dict(r.args)) for r in read_journal(journal) if r.event == "begin"]
    assert ("set_voltage", {"voltage": 6.5}) in commands
    assert voltage_at_the_device(tmp_path) == 6.5


def test_direct_without_a_device_says_so_and_takes_it_up_when_it_is_there(
    dummy_site: SiteLayout, free_ports: object
) -> None:
    with panel_of_server("dummy", "direct") as panel:
        eventually(lambda: 'data-message="bad"' in panel.message.value, "the message")
        assert panel.errors == []


def test_direct_needs_control_where_that_is_required(
    device: str, dummy_site: SiteLayout, tmp_path: Path
) -> None:
    settings = read_local_settings(dummy_site.settings)
    write_local_settings(
        dummy_site.settings, {**settings, "SITE": {**settings.get("SITE", {}), "CONTROL": "required"}}
    )
    Settings.load(force=True)
    with panel_of_server("dummy_cs", "direct") as panel:
        send(panel, "7.5")
        eventually(lambda: "needs control of the site" in panel.message.value, "the refusal")
        set_token("a session with control", 1)
        send(panel, "4.5")
        eventually(lambda: "set_voltage(voltage=4.5): done" in panel.message.value, "the command")
        eventually(lambda: panel.telemetry.row.get("GLAB_DUMMY_VOLTAGE") == 4.5, "the housekeeping")
    clear_token()
    write_local_settings(dummy_site.settings, settings)
    Settings.load(force=True)
    assert voltage_at_the_device(tmp_path) == 4.5


def test_a_simulator_touches_no_device(device: str, dummy_site: SiteLayout, tmp_path: Path) -> None:
    with panel_of_server("dummy_cs", "simulator") as panel:
        send(panel, "3.5")
        eventually(lambda: panel.telemetry.row.get("GLAB_DUMMY_VOLTAGE") == 3.5, "the effect at the model")
    assert voltage_at_the_device(tmp_path) != 3.5


@pytest.mark.parametrize("server", ["lsci336_cs", "ogse_cs", "aeu_crio_cs"])
def test_each_panel_with_a_type_has_a_simulator(dummy_site: SiteLayout, server: str) -> None:
    with panel_of_server(server, "simulator") as panel:
        assert isinstance(panel, DevicePanel)
        eventually(lambda: panel.telemetry.rows, "housekeeping of the model")
        assert panel.errors == []
    with pytest.raises(ValueError, match="is none of proxy, simulator, direct"):
        panel_of_server(server, "hologram")
