"""Three LakeShore 336 at once: each has a settings block, a server and names of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from selectors import DefaultSelector
from typing import Any

import pytest

from egse.clock import RealClock, VirtualClock
from egse.settings import Settings
from egse.simulator import SimulatorServer, serve_together
from egse.tempcontrol.lsci336 import LakeShore336UnitController, LakeShore336UnitProxy
from egse.tempcontrol.lsci336.driver import UNITS, cold_model
from egse.tempcontrol.lsci336.lsci336_cs import UNIT1, UNIT2, UNIT3
from egse.tempcontrol.lsci336.protocol import LakeShore336UnitProtocol


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SimulatorServer]]:
    """Three instruments on ports of their own, which the settings name."""
    with DefaultSelector() as selector:
        servers = [
            SimulatorServer(cold_model(unit), clock=RealClock(), max_clients=2, selector=selector)
            for unit in UNITS
        ]
        for server in servers:
            server.open()
        local = tmp_path / "local.yaml"
        local.write_text(
            "".join(
                f"LSCI336 {unit} Control Server:\n  DEVICE_PORT: {server.address[1]}\n"
                for unit, server in zip(UNITS, servers, strict=True)
            )
        )
        monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(local))
        Settings.load(force=True)
        thread = threading.Thread(target=serve_together, args=(servers,))
        thread.start()
        yield servers
        servers[0].stop()
        thread.join()
        for server in servers:
            server.close()
    monkeypatch.undo()
    Settings.load(force=True)


def test_each_unit_is_reached_at_its_place(three: list[SimulatorServer]) -> None:
    for unit in UNITS:
        with LakeShore336UnitController(unit=unit) as controller:
            controller.set_setpoint(1, 150.0 + unit)
    targets = [server.model.settings.get("SETP", 1)[0] for server in three]  # type: ignore[attr-defined]
    assert targets == [151.0, 152.0, 153.0]


def test_each_unit_has_a_server_and_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "SRON")
    shared: dict[str, Any] = {}
    for unit, app in zip(UNITS, (UNIT1, UNIT2, UNIT3), strict=True):
        assert (app.name, app.settings) == (f"lsci336_{unit}_cs", f"LSCI336 {unit} Control Server")
        assert Settings.load(app.settings)["STORAGE_MNEMONIC"] == f"LSCI336-{unit}"
        proxy = LakeShore336UnitProxy(unit)
        assert (proxy.server_name, proxy.settings_name) == (app.name, app.settings)
        server: Any = None
        controller = app.make_dry_controller(VirtualClock(), shared)
        row = LakeShore336UnitProtocol(server, controller).get_housekeeping()
        assert row[f"GSRON_LSCI336_{unit}_TEMPA"] == pytest.approx(153.15, abs=0.02)
    assert set(shared) == {"lsci336_1", "lsci336_2", "lsci336_3"}
    with pytest.raises(ValueError, match="there is no unit 4 of LakeShore336UnitProxy, only 1, 2, 3"):
        LakeShore336UnitProxy(4)
