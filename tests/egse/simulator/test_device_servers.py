"""OGSE and LakeShore 336 control servers as processes, talking to the simulator processes over TCP."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.instrument import prefix_of_site
from egse.ogse import OGSEError, OGSEProxy
from egse.ogse.ogse_cs import APP as OGSE_APP
from egse.ogse.protocol import OGSEProtocol
from egse.settings import Settings
from egse.tempcontrol.lsci336 import HeaterRange, LakeShore336Error, LakeShore336Proxy
from egse.tempcontrol.lsci336.lsci336_cs import APP as LSCI336_APP
from egse.tempcontrol.lsci336.protocol import LakeShore336Protocol

BLOCKS = {"ogse_cs": "OGSE Control Server", "lsci336_cs": "LSCI336 Control Server"}
MODULES = {"ogse_cs": "egse.ogse.ogse_cs", "lsci336_cs": "egse.tempcontrol.lsci336.lsci336_cs"}
Serve = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[Serve]:
    """Starts a control server in a site of its own, behind a simulator process or with its model inside."""
    running: list[subprocess.Popen[str]] = []
    local = tmp_path / "local.yaml"
    for name, value in {
        "SITE_ID": "SRON",
        "PLATO_LOCAL_SETTINGS": str(local),
        "PLATO_DATA_STORAGE_LOCATION": str(tmp_path / "data"),
        "PLATO_LOG_FILE_LOCATION": str(tmp_path / "log"),
    }.items():
        monkeypatch.setenv(name, value)

    def start(name: str, device_port: int = 0, *options: str) -> subprocess.Popen[str]:
        command, monitoring, service, metrics, log = free_ports(5)
        local.write_text(
            f"{BLOCKS[name]}:\n  COMMANDING_PORT: {command}\n  MONITORING_PORT: {monitoring}\n"
            f"  SERVICE_PORT: {service}\n  METRICS_PORT: {metrics}\n  STORAGE_MNEMONIC:\n  HK_DELAY: 0.2\n"
            f"  DEVICE_HOSTNAME: 127.0.0.1\n  DEVICE_PORT: {device_port}\n"
            f"Logging Control Server:\n  RECEIVER_PORT: {log}\n"
        )
        Settings.load(force=True)
        process = subprocess.Popen(
            [sys.executable, "-m", MODULES[name], "start", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"READY {name} tcp://")
        return process

    yield start
    for process in running:
        process.terminate()
        assert process.wait(30) == 0
        assert process.stdout is not None
        process.stdout.close()
    monkeypatch.undo()
    Settings.load(force=True)


def test_lakeshore_from_proxy_to_simulator_process(start_simulator: Any, serve: Serve) -> None:
    simulator = start_simulator("lsci336_sim", "--speed", "100")
    serve("lsci336_cs", simulator.address[1])
    with LakeShore336Proxy() as lakeshore:
        assert lakeshore.is_simulator()
        lakeshore.set_setpoint(output=1, value=303.15)
        lakeshore.set_range(output=1, range=HeaterRange.HIGH)
        assert lakeshore.get_range(output=1) is HeaterRange.HIGH
        deadline = time.monotonic() + 10
        while abs(lakeshore.get_temperature(channel="A") - 303.15) > 0.1:
            assert time.monotonic() < deadline
        assert simulator.admin("state")["inputs"]["A"]["temperature"] == pytest.approx(303.15, abs=0.2)
        with pytest.raises(LakeShore336Error, match="cannot be executed"):
            lakeshore.set_range(output=3, range=HeaterRange.HIGH)
        with lakeshore.get_service_proxy() as services:
            assert services.get_server_status()["device_connected"] is True


def test_ogse_from_proxy_to_simulator_process_and_back_after_a_drop(
    start_simulator: Any, serve: Serve
) -> None:
    simulator = start_simulator("ogse_sim", "--speed", "50")
    serve("ogse_cs", simulator.address[1])
    with OGSEProxy() as ogse:
        assert ogse.get_interlock() == "interlock: CLOSE"
        simulator.admin("signal")
        assert ogse.get_interlock() == "interlock: OPEN"
        ogse.power_on()
        with pytest.raises(OGSEError, match="interlock is open"):
            ogse.operate_on()
        simulator.admin("drop")
        deadline = time.monotonic() + 5
        while True:
            try:
                assert ogse.get_power() == "power: ON"
                break
            except ConnectionError:  # the command that found the line dead
                assert time.monotonic() < deadline


def test_server_with_its_model_inside(serve: Serve) -> None:
    serve("ogse_cs", 1, "--simulator")
    with OGSEProxy() as ogse:
        assert ogse.is_simulator()
        ogse.att_set_level_index(index=46)
        assert ogse.att_get_level()["att_index"] == 46


def test_server_starts_while_the_device_is_away(
    start_simulator: Any, serve: Serve, free_ports: Callable[[int], list[int]]
) -> None:
    port = free_ports(1)[0]
    serve("ogse_cs", port)
    with OGSEProxy() as ogse:
        with pytest.raises(ConnectionError, match=str(port)):
            ogse.get_power()
        start_simulator("ogse_sim", "--port", str(port))
        ogse.connect()  # tries at once; a command waits for the next attempt
        assert ogse.get_power() == "power: OFF"


def test_housekeeping_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "SRON")
    server: Any = None
    ogse = OGSE_APP.make_dry_controller(VirtualClock(), {})
    row = OGSEProtocol(server, ogse).get_housekeeping()
    assert row["GOGSE_LDLS_POWER"] is False
    assert row["GOGSE_PM_CH2_STATUS"] is True
    assert row["GOGSE_ATT_LVL"] == row["GOGSE_ATT_FWELL"] == 0.0
    assert len(row) == 16
    shared: dict[str, Any] = {}
    lakeshore = LSCI336_APP.make_dry_controller(VirtualClock(), shared)
    shared["lsci336"].inject("sensor_open", {"input": "D"}, 0.0)
    row = LakeShore336Protocol(server, lakeshore).get_housekeeping()
    assert row["GSRON_LSCI336_TEMPA"] == pytest.approx(293.15, abs=0.02)
    assert row["GSRON_LSCI336_TEMPD"] != row["GSRON_LSCI336_TEMPD"]
    assert (row["GSRON_LSCI336_STATUSD"], row["GSRON_LSCI336_RANGE_1"]) == (128, 0)
    assert len(row) == 14
    monkeypatch.setenv("SITE_ID", "my-lab")
    assert prefix_of_site() == "GMY_LAB_"
