"""The PUNA driver gives the same answers over TCP and over the memory transport."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from egse.clock import RealClock, VirtualClock
from egse.command import CommandError
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.hexapod import HexapodConnectionError, HexapodError
from egse.hexapod.symetrie.alpha_model import PunaModel
from egse.hexapod.symetrie.puna import PmacEthernetInterface, PunaController, PunaSimulator
from egse.hexapod.symetrie.puna_cs import APP
from egse.response import describe_error, restore_error
from egse.simulator import SimulatorServer

Bench = tuple[PunaController, PunaModel, Callable[[float], None]]
ZERO = (0, 0, 0, 0, 0, 0)


@pytest.fixture(params=["tcp", "memory"])
def bench(request: pytest.FixtureRequest, serve: Callable[[PunaModel], SimulatorServer]) -> Iterator[Bench]:
    """Controller, its model, and how to let seconds of the device's time pass."""
    if request.param == "memory":
        clock = VirtualClock()
        with PunaSimulator(clock) as simulator:
            yield simulator, simulator.model, clock.sleep
    else:
        server = serve(PunaModel())
        with PunaController(*server.address) as controller:
            yield controller, server.model, RealClock(200.0).sleep


@pytest.fixture
def homed(bench: Bench) -> Bench:
    puna, _, wait = bench
    assert puna.homing() == 0
    wait(121)
    assert puna.is_homing_done()
    return bench


def test_golden_values(homed: Bench, golden: Callable[[Any, Any], None]) -> None:
    puna, _, wait = homed
    golden(puna, wait)


def arrive(puna: Any, wait: Callable[[float], None]) -> None:
    while not puna.is_in_position():
        wait(0.5)


def test_every_command(homed: Bench) -> None:
    puna, _, wait = homed
    assert "603382" in puna.info()
    assert "version = 1.947\n" in puna.info()
    assert puna.get_general_state() == (
        0b11110,
        ["System initialized", "In position", "Control loop on servo motors active", "Homing done"],
    )
    assert puna.get_actuator_state() == [(0b111, ["In position", "Control loop active", "Homing done"])] * 6
    assert puna.get_debug_info() == [2, 3, 0, 0]
    assert puna.get_speed() == [2, 1, 0.01, 0.001, 4, 2]
    assert puna.set_speed(4, 2) == 0
    assert puna.get_speed()[:2] == [4, 2]
    assert puna.check_absolute_movement(*ZERO) == (0, {})
    number, texts = puna.check_relative_user_movement(40, 0, 0, 0, 0, 0)
    assert (number, set(texts)) == (1 << 3 | 1 << 5, {3, 5})
    assert puna.goto_retracted_position() == 0
    assert puna.stop() == 0
    assert puna.goto_zero_position() == 0
    arrive(puna, wait)  # from wherever it was stopped
    assert puna.jog(2, 0.5) == 0
    arrive(puna, wait)
    assert puna.perform_maintenance(10) == 0
    arrive(puna, wait)
    assert len(puna.get_actuator_length()) == 6
    assert puna.deactivate_control_loop() == 0
    assert puna.activate_control_loop() == 0
    assert puna.clear_error() == 0
    assert puna.set_virtual_homing(0, 0, 5, 0, 0, 0) == 0
    assert puna.get_user_positions() == [0, 0, 5, 0, 0, 0]
    assert puna.get_buffer() == ""
    puna.log_positions()
    assert puna.reset() == 0
    assert not puna.is_homing_done()
    assert puna.is_simulator() is isinstance(puna, PunaSimulator)


def test_refusals_tell_why(bench: Bench) -> None:
    puna, model, _ = bench
    with pytest.raises(
        HexapodError, match=r"failed \(Q20 = -2\): homing is not done; the control loop is off"
    ):
        puna.move_absolute(*ZERO)
    puna.set_virtual_homing(*ZERO)
    puna.activate_control_loop()
    with pytest.raises(HexapodError, match="out of the factory workspace; out of the user workspace"):
        puna.move_absolute(0, 0, 30, 0, 0, 0)
    puna.set_speed(0.01, 0.001)
    puna.move_absolute(0, 0, 20, 0, 0, 0)
    with pytest.raises(HexapodError, match=r"ignored \(Q20 = -1\): a motion is running"):
        puna.move_absolute(*ZERO)
    model.user_signal(0)
    with pytest.raises(HexapodError, match="the emergency stop is pressed"):
        puna.activate_control_loop()
    with pytest.raises((CommandError, HexapodError)):
        puna.jog(7, 1.0)


def test_a_move_waits_for_the_homing(bench: Bench) -> None:
    """As in section 13.1.1 of the manual: a homing, and a move right after it."""
    puna, _, wait = bench
    puna.homing()
    assert puna.move_absolute(0, 0, 18, 0, 0, 0) == 0
    assert puna.is_homing_done()
    wait(10)
    assert puna.get_user_positions() == [0, 0, 18, 0, 0, 0]


def test_a_move_that_waits_in_a_server_leaves_room_for_stop(serve: Callable[..., SimulatorServer]) -> None:
    server = serve(PunaModel(), speed=2.0)
    with PunaController(*server.address) as puna:
        puna.is_served = True
        puna.homing()
        future: Any = puna.move_absolute(0, 0, 1, 0, 0, 0)
        puna.stop()
        with pytest.raises(HexapodError, match="stopped while it waited"):
            future.result(timeout=30)
    assert not [t for t in threading.enumerate() if t.name == "hexapod waits"]


@pytest.mark.parametrize("fault", ["drop", "garbage", "silence"])
def test_faults_of_the_line_raise_and_the_next_command_works(
    serve: Callable[[Any], SimulatorServer], fault: str
) -> None:
    server = serve(PunaModel())
    with PunaController(transport=PmacEthernetInterface(*server.address, timeout=0.8)) as puna:
        server.faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, HexapodError)):
            puna.get_user_positions()
        assert puna.get_user_positions() == [0] * 6


def test_something_else_at_the_other_end(serve: Callable[[Any], SimulatorServer]) -> None:
    server = serve(PunaModel())
    puna = PunaController(*server.address)
    puna.identify = lambda: "ThorLabs"  # type: ignore[method-assign]
    with pytest.raises(HexapodError, match="603382") as caught:
        puna.connect()
    assert isinstance(caught.value, DeviceConnectionError)


def test_a_hexapod_that_is_silent_or_goes_away_is_an_error_of_the_hexapod() -> None:
    with SimulatorServer(PunaModel()) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        host, port = server.address
        puna = PunaController(transport=PmacEthernetInterface(host, port, timeout=0.8))
        server.faults.arm("silence")
        with pytest.raises(HexapodConnectionError, match="no reply"):
            puna.connect()
        puna.connect()
        server.stop()
        thread.join()
    for _ in range(2):
        with pytest.raises(HexapodConnectionError):
            puna.get_user_positions()
    with pytest.raises(HexapodError, match="cannot connect to the device at 127"):
        PunaController(host, port).connect()


def test_a_connection_error_of_a_hexapod_travels_as_one() -> None:
    restored = restore_error(describe_error(HexapodConnectionError("switched off")))
    assert type(restored) is HexapodConnectionError
    assert isinstance(restored, (HexapodError, DeviceConnectionError))


def test_dry_run_on_virtual_time() -> None:
    clock, shared = VirtualClock(), {}  # type: ignore[var-annotated]
    puna = APP.make_dry_controller(clock, shared)
    puna.homing()
    puna.move_absolute(tx=1, ty=2, tz=3, rx=0, ry=0, rz=0)
    assert clock.monotonic() >= 120
    while not puna.is_in_position():
        clock.sleep(0.5)
    assert shared["puna"].platform.user_vector == pytest.approx([1, 2, 3, 0, 0, 0])
