"""The OGSE driver gives the same answers over TCP and over the memory transport."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from egse.clock import RealClock, VirtualClock
from egse.command import CommandError
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.ogse import OGSEController, OGSEError, OGSEEthernetInterface, OGSEModel, OGSESimulator
from egse.ogse.messages import flags
from egse.ogse.ogse_cs import APP
from egse.ogse.protocol import OGSEProtocol
from egse.settings import Settings
from egse.simulator import SimulatorServer

SPEED = 50.0


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(OGSEModel(), clock=RealClock(SPEED)) as running:
        thread = threading.Thread(target=running.serve)
        thread.start()
        yield running
        running.stop()
        thread.join()


Bench = tuple[OGSEController, OGSEModel, Callable[[float], None]]


@pytest.fixture(params=["tcp", "memory"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Controller, its model, and how to let seconds of the device's time pass."""
    if request.param == "memory":
        clock = VirtualClock()
        simulator = OGSESimulator(clock)
        with simulator:
            yield simulator, simulator.model, clock.sleep
    else:
        server = request.getfixturevalue("server")
        with OGSEController(*server.address) as controller:
            yield controller, server.model, RealClock(SPEED).sleep


def test_every_command_of_the_driver(bench: Bench) -> None:
    ogse, model, wait = bench
    assert ogse.is_connected()
    assert ogse.is_simulator()
    assert ogse.version() == "PLATO-RT-OGSE (v2.1.sim)"
    assert ogse.get_interlock() == "interlock: CLOSE"
    assert (ogse.ldls_status(), ogse.att_status()) == ("ldls: OK", "att: OK")
    assert ogse.pm_status() == {"pm1": "OK", "pm2": "OK"}
    assert (ogse.get_lamp_fault(), ogse.get_controller_fault()) == (
        "lamp-fault: NO-ERROR",
        "controller-fault: NO-ERROR",
    )
    ogse.power_on()
    ogse.operate_on()
    assert (ogse.get_power(), ogse.get_psu(), ogse.get_operate()) == ("power: ON", "psu: ON", "operate: ON")
    wait(5.5)
    assert (ogse.get_lamp(), ogse.get_laser()) == ("lamp: ON", "laser: ON")
    assert ogse.get_flags() == "flags: 0x73  0111 0011"
    ogse.att_set_level_index(46)
    assert ogse.att_get_level()["att_moving"] is True
    wait(9.5)
    assert ogse.att_get_level() == {"att_moving": False, "att_factor": 1.0, "att_index": 46}
    readings = ogse.get_power_and_temperature()
    assert set(readings) == {"power1", "temp1", "power2", "temp2"}
    assert readings["power2"] == pytest.approx(2.5e-3, rel=0.01)
    status = ogse.status()
    assert status.pop("power1") == pytest.approx(2.5e-3, rel=0.01)
    assert status.pop("temp2") == pytest.approx(22.7, abs=0.5)
    del status["temp1"], status["power2"]
    assert status == {
        "power": "ON", "lamp": "ON", "interlock": "OFF", "psu": "ON",
        "att_moving": False, "att_factor": 1.0, "att_index": 46,
    }  # fmt: skip
    ogse.att_level_down()
    assert ogse.status()["att_moving"] is True
    assert model.attenuator.index == 45
    ogse.att_level_up()
    ogse.att_set_level_factor(0.28)
    assert ogse.att_get_level()["att_index"] == 39
    ogse.att_set_level_position(8, 8)
    assert ogse.att_get_level()["att_factor"] == pytest.approx(8.1e-7)
    ogse.operate_off()
    ogse.reset()
    ogse.power_off()
    assert ogse.get_flags() == "flags: 0x00  0000 0000"


def test_refusals_raise_with_the_reason(bench: Bench) -> None:
    ogse, model, _ = bench
    with pytest.raises(OGSEError, match="power is off"):
        ogse.operate_on()
    for call in (
        lambda: ogse.att_set_level_factor(1.5),
        lambda: ogse.att_set_level_index(47),
        lambda: ogse.att_set_level_position(0, 1),
    ):
        with pytest.raises(CommandError):
            call()
    assert model.attenuator.index == 0


def test_absent_meter_is_nan(bench: Bench) -> None:
    ogse, model, _ = bench
    model.links["pm1"] = False
    readings = ogse.get_power_and_temperature()
    assert math.isnan(readings["power1"])
    assert math.isnan(ogse.status()["temp1"])
    assert ogse.pm_status() == {"pm1": "ERROR", "pm2": "OK"}


def test_quit_frees_the_device_for_the_next_client(bench: Bench) -> None:
    ogse, _, _ = bench
    ogse.quit()
    assert not ogse.is_connected()
    assert ogse.get_power() == "power: OFF"  # connects again by itself
    ogse.exit()
    assert not ogse.is_connected()


def test_flags_are_taken_apart() -> None:
    assert flags("flags: 0x80  1000 0000")["interlock"] is True
    assert [name for name, state in flags("flags: 0x73  0111 0011").items() if state] == [
        "power", "lamp", "laser", "psu", "operate",
    ]  # fmt: skip
    with pytest.raises(OGSEError):
        flags("flags: none")


def test_as_in_the_manual_without_arguments(
    server: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = server.address
    local = tmp_path / "local.yaml"
    local.write_text(f"OGSE Control Server:\n  DEVICE_HOSTNAME: {host}\n  DEVICE_PORT: {port}\n")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(local))
    Settings.load(force=True)
    server.user_signal()
    ogse = OGSEController()
    ogse.connect()
    deadline = time.monotonic() + 5
    while ogse.get_interlock() != "interlock: OPEN":
        assert time.monotonic() < deadline
    ogse.disconnect()
    monkeypatch.undo()
    Settings.load(force=True)


@pytest.mark.parametrize("fault", ["drop", "garbage", "partial", "silence"])
def test_faults_of_the_line_raise_and_the_next_command_works(server: SimulatorServer, fault: str) -> None:
    ogse = OGSEController(transport=OGSEEthernetInterface(*server.address, timeout=0.8))
    with ogse:
        server.faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, OGSEError)):
            ogse.att_get_level()
        assert ogse.att_get_level()["att_index"] == 0


def test_second_client_waits_and_gives_up_with_a_clear_error(server: SimulatorServer) -> None:
    with OGSEController(*server.address):
        second = OGSEController(transport=OGSEEthernetInterface(*server.address, timeout=0.8))
        with pytest.raises(DeviceTimeoutError, match="no reply"):
            second.connect()
    second.connect()
    assert second.get_power() == "power: OFF"
    second.disconnect()


def test_dry_run_on_virtual_time_shares_its_model() -> None:
    clock, shared = VirtualClock(), {}  # type: ignore[var-annotated]
    ogse = APP.make_dry_controller(clock, shared)
    ogse.power_on()
    ogse.operate_on()
    ogse.att_set_level_index(index=46)
    while ogse.att_get_level()["att_moving"] or ogse.get_lamp() != "lamp: ON":
        clock.sleep(0.5)
    assert 5.0 <= clock.monotonic() <= 10.0
    assert shared["ogse"].flux(clock.monotonic()) == pytest.approx(1.0, rel=0.01)


def test_the_fraction_of_the_full_well_follows_the_loaded_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = {"gse": {"ogse": {"fwc_factor": 0.9}}}
    monkeypatch.setattr("egse.instrument.get_setup", lambda: deepcopy(loaded))
    watch = SimpleNamespace(loaded=None)
    server: Any = SimpleNamespace(setup_watch=watch)
    ogse, clock = APP.make_dry_controller(VirtualClock(), {}), VirtualClock()
    protocol = OGSEProtocol(server, ogse)
    ogse.att_set_level_index(index=46)

    def fraction() -> float:
        clock.sleep(10.0)
        return float(protocol.get_housekeeping()["GOGSE_ATT_FWELL"])

    assert fraction() == 1.0, "no Setup is loaded"
    watch.loaded = "00001"
    assert fraction() == 0.9
    loaded["gse"]["ogse"]["fwc_factor"] = 0.5
    assert fraction() == 0.9, "the Setup is not asked for again"
    watch.loaded = "00002"
    assert fraction() == 0.5
    del loaded["gse"]["ogse"]["fwc_factor"]
    watch.loaded = "00003"
    assert fraction() == 1.0

    def nobody() -> None:
        raise ConnectionError("no configuration manager")

    monkeypatch.setattr("egse.instrument.get_setup", nobody)
    watch.loaded = "00004"
    assert fraction() == 1.0
