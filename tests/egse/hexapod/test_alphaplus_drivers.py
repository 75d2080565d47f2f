"""The drivers of PUNA with Alpha+, ZONDA and JORAN give the same answers over TCP and over the memory transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.clock import RealClock, VirtualClock
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.hexapod import HexapodError
from egse.hexapod.symetrie import (
    JoranController,
    JoranSimulator,
    PunaPlusController,
    PunaPlusSimulator,
    ZondaController,
    ZondaSimulator,
)
from egse.hexapod.symetrie.punaplus import PunaPlusTelnetInterface
from egse.simulator import DeviceModel, SimulatorServer

OK = (0, "Success.")
ZERO = (0, 0, 0, 0, 0, 0)
KINDS: dict[str, tuple[Any, Any]] = {
    "puna_plus": (PunaPlusController, PunaPlusSimulator),
    "zonda": (ZondaController, ZondaSimulator),
    "joran": (JoranController, JoranSimulator),
}
Bench = tuple[Any, DeviceModel, Callable[[float], None]]
Serve = Callable[[DeviceModel], SimulatorServer]


@pytest.fixture(params=["puna_plus-tcp", "puna_plus-memory", "zonda-tcp", "zonda-memory", "joran-memory"])
def homed(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Bench]:
    """Controller, its model, and how to let seconds of the device's time pass; the homing is done."""
    kind, _, way = request.param.partition("-")
    controller, simulator = KINDS[kind]
    if way == "memory":
        clock = VirtualClock()
        hexapod, wait = simulator(clock), clock.sleep
        model = hexapod.model
    else:
        server = serve(simulator.model_type(0))
        hexapod, wait, model = controller(*server.address), RealClock(200.0).sleep, server.model
    with hexapod:
        assert hexapod.homing() == OK
        wait(121)
        assert hexapod.is_homing_done()
        yield hexapod, model, wait


def test_golden_values(homed: Bench, golden: Callable[[Any, Any], None]) -> None:
    hexapod, _, wait = homed
    golden(hexapod, wait)


def test_every_command(homed: Bench) -> None:
    hexapod, _, wait = homed
    assert "API version = 1.2.0.0" in hexapod.info()
    assert hexapod.version() == "1.2.0.0"
    assert hexapod.is_simulator()
    state, flags = hexapod.get_general_state()
    assert (state["Home complete"], state["Control on"], state["Error"]) == (1, 1, 0)
    assert flags == list(state.values())
    assert len(hexapod.get_actuator_state()) == 6
    assert hexapod.get_actuator_state()[5][0]["In position"] == 1
    assert hexapod.get_debug_info() == [2, 3, 0, 0]
    speed = hexapod.get_speed()
    if isinstance(speed, dict):
        assert list(speed) == ["vt", "vr", "vtmin", "vrmin", "vtmax", "vrmax"]
    else:
        assert speed == [2, 1, 0.01, 0.001, 4, 2]
    assert hexapod.set_speed(4, 2) == OK
    assert hexapod.check_absolute_movement(*ZERO) == (0, {})
    assert hexapod.check_relative_object_movement(*ZERO) == (0, {})
    assert hexapod.check_relative_user_movement(400, 0, 0, 0, 0, 0)[1][0] == "Factory workspace limits"
    assert hexapod.validate_position(1, 0, 0, 0, 1, 0, 0, 0) == (0, {})
    for move in (
        lambda: hexapod.move_ptp(2, 0, 0, 4, 0, 0, 0),
        hexapod.goto_user_zero_position,
        hexapod.goto_retracted_position,
        hexapod.goto_zero_position,
        lambda: hexapod.jog(1, 0.5),
        lambda: hexapod.perform_maintenance(10),
        lambda: hexapod.perform_maintenance(2),
        hexapod.goto_machine_zero_position,
    ):
        assert move() == OK
        while not hexapod.is_in_position():
            wait(0.5)
    assert hexapod.get_machine_positions() == pytest.approx(ZERO, abs=1e-6)
    assert len(hexapod.get_limits_value(0)) == 12
    assert hexapod.machine_limit_set(*[-5] * 6, *[5] * 6) == OK
    assert hexapod.get_limits_value(1) == [-5] * 6 + [5] * 6
    assert hexapod.machine_limit_enable(1) == OK
    assert hexapod.user_limit_set(*[-6] * 6, *[6] * 6) == OK
    assert hexapod.user_limit_enable(1) == OK
    assert hexapod.get_limits_state() == [1, 1, 1]
    with pytest.raises(HexapodError, match=r"not feasible.*c_cmd = -40"):
        hexapod.move_absolute(5.5, 0, 0, 0, 0, 0)
    assert hexapod.set_default() == OK
    assert hexapod.get_temperature() == pytest.approx([21.0] * 6, abs=0.5)
    assert hexapod.query_variable("c_cmd") == "0"
    assert len(hexapod.query_variables("s_uto_tx", 6)) == 6
    assert hexapod.query_array("c_par", 0)
    assert len(hexapod.query_array_values("c_par", 0, 4, 2)) == 4
    assert len(hexapod.get_buffer().splitlines()) == 20
    assert len(hexapod.get_actuator_length()) == 6
    assert hexapod.clear_error() == hexapod.stop() == hexapod.deactivate_control_loop() == OK
    assert hexapod.activate_control_loop() == OK
    assert hexapod.set_virtual_homing(0, 0, 5, 0, 0, 0) == OK
    assert hexapod.get_user_positions() == pytest.approx([0, 0, 5, 0, 0, 0])
    hexapod.log_positions()
    with pytest.raises(HexapodError, match="error #20"):
        hexapod.query_variable("nonsense")


def test_a_restart_is_waited_for() -> None:
    with PunaPlusSimulator(VirtualClock()) as hexapod:
        hexapod.homing()
        assert hexapod.reset() == OK
        assert hexapod.transport.clock.monotonic() >= 120
        assert not hexapod.is_homing_done()


def test_a_sequence_of_positions(tmp_path: Path) -> None:
    clock = VirtualClock()
    with ZondaSimulator(clock) as zonda:
        zonda.homing()
        clock.sleep(121)
        rows = tmp_path / "rows.txt"
        rows.write_text("# up and down\n0 0 5 0 0 0\n\n0, 0, -5, 0, 0, 1\n")
        began = clock.monotonic()
        assert zonda.sequence(str(rows), 3.0) == OK
        assert 13.0 <= clock.monotonic() - began <= 16.0
        assert zonda.get_user_positions() == pytest.approx([0, 0, -5, 0, 0, 1])
        rows.write_text("0 0 0 0 0 0\n0 0 50 0 0 0\n")
        with pytest.raises(HexapodError, match=r"position 2 .* cannot be reached"):
            zonda.sequence(str(rows), 0.0)
        assert zonda.get_user_positions() == pytest.approx([0, 0, -5, 0, 0, 1])
        rows.write_text("0 0 0 0 0\n")
        with pytest.raises(HexapodError, match=r"rows.txt:1: expected six numbers"):
            zonda.sequence(str(rows), 0.0)
        with pytest.raises(HexapodError, match="cannot be read"):
            zonda.sequence(str(tmp_path / "none.txt"), 0.0)


@pytest.mark.parametrize("fault", ["drop", "garbage", "partial", "silence"])
def test_faults_of_the_line_raise_and_the_next_command_works(serve: Serve, fault: str) -> None:
    server = serve(PunaPlusSimulator.model_type(0))
    transport = PunaPlusTelnetInterface(*server.address, timeout=0.8)
    with PunaPlusController(transport=transport) as hexapod:
        server.faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, HexapodError)):
            hexapod.get_user_positions()
        assert hexapod.get_user_positions() == list(ZERO)


def test_a_wrong_password_is_told(serve: Serve) -> None:
    server = serve(PunaPlusSimulator.model_type(0))
    transport = PunaPlusTelnetInterface(*server.address)
    transport.credentials = ("root", "guess")
    with pytest.raises(DeviceConnectionError, match="does not let 'root' in"):
        PunaPlusController(transport=transport).connect()
    assert not transport.is_connected()
