"""The LakeShore 336 driver gives the same answers over TCP and over the memory transport."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from egse.clock import VirtualClock
from egse.command import CommandError
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.simulator import MemoryTransport, SimulatorServer
from egse.tempcontrol.lsci336 import (
    AutotuneMode,
    HeaterRange,
    HeaterStatus,
    LakeShore336Controller,
    LakeShore336Error,
    LakeShore336EthernetInterface,
    LakeShore336Model,
    OutputMode,
)
from egse.tempcontrol.lsci336.lsci336_cs import APP


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(LakeShore336Model(), max_clients=2) as running:
        thread = threading.Thread(target=running.serve)
        thread.start()
        yield running
        running.stop()
        thread.join()


@pytest.fixture(params=["tcp", "memory"])
def device(request: pytest.FixtureRequest) -> Iterator[LakeShore336Controller]:
    if request.param == "memory":
        transport = MemoryTransport(LakeShore336Model(), VirtualClock(), reply_terminator=b"\r\n")
        controller = LakeShore336Controller(transport=transport)
    else:
        host, port = request.getfixturevalue("server").address
        controller = LakeShore336Controller(host, port)
        controller.transport.min_interval = 0.0  # type: ignore[attr-defined]
    with controller:
        yield controller


def test_every_command_of_the_driver(device: LakeShore336Controller) -> None:
    assert device.is_connected()
    assert device.is_simulator()
    assert device.info() == ("LSCI", "MODEL336", "LSASIM1/LSOSIM1", "2.9")
    assert device.get_id() == "LSCI,MODEL336,LSASIM1/LSOSIM1,2.9"
    assert device.get_selftest_result() == 0
    assert device.get_temperature("A") == pytest.approx(293.15, abs=0.02)
    assert device.get_temperature_celsius("B") == pytest.approx(20.0, abs=0.02)
    assert device.get_all_temperatures() == pytest.approx((293.15,) * 4, abs=0.02)
    assert device.get_sensor_reading("C") == pytest.approx(0.574, abs=0.001)
    assert device.get_reading_status("D") == 0
    device.set_input_name("A", "TRP1; cold")
    assert device.get_input_name("A") == "TRP1; cold"
    device.set_temperature_limit("B", 350.0)
    assert device.get_temperature_limit("B") == 350.0
    device.set_temperature_setpoint(1, 300.5)
    device.set_setpoint(output=2, value=301)
    assert (device.get_setpoint(1), device.get_temperature_setpoint(2)) == (300.5, 301.0)
    device.set_pid_parameters(1, 40, 20, 1)
    device.set_params_pid(2, 30.5, 10, 0)
    assert (device.get_params_pid(1), device.get_pid_parameters(2)) == ((40, 20, 1), (30.5, 10, 0))
    device.set_ramp(2, on=True, rate=12.0)
    assert device.get_ramp(2) == {"on": True, "rate": 12.0}
    assert device.is_ramping(1) is False
    device.set_output_mode(2, OutputMode.OPEN_LOOP, 2)
    assert device.get_output_mode(2) == {"mode": 3, "input": 2, "powerup": False}
    device.set_heater_output(2, 12.5)
    assert device.get_manual_output(2) == 12.5
    device.set_heater_setup(1, resistance=2, max_current=0, max_user_current=0.5, display=2)
    expected = {"resistance": 2, "max_current": 0, "max_user_current": 0.5, "display": 2}
    assert device.get_heater_setup(1) == expected
    device.set_range(1, HeaterRange.MEDIUM)
    assert device.get_range(1) is HeaterRange.MEDIUM
    device.set_autotune(1, AutotuneMode.PI)
    device.autotune(output=1, mode=AutotuneMode.PI)
    assert device.get_tuning_status() == {"tuning": True, "output": 1, "error": False, "stage": 1}
    assert device.get_heater_status(1) is HeaterStatus.OK
    assert 0.0 <= device.get_heater_output(1) <= 100.0
    assert device.get_heater(2) == pytest.approx(0.0)
    overview = device.get_overview()
    assert {"temp_A", "status_D", "setpoint_1", "heater_2", "range_1"} <= set(overview)
    assert (overview["setpoint_2"], overview["range_1"]) == (301.0, 2)
    device.switch_off()
    assert [device.get_range(n) for n in (1, 2, 3, 4)] == [HeaterRange.OFF] * 4
    device.clear_interface()
    device.reset_instrument()


def test_refused_commands_raise(device: LakeShore336Controller) -> None:
    with pytest.raises(LakeShore336Error, match="cannot be executed with these arguments"):
        device.set_range(3, HeaterRange.HIGH)
    with pytest.raises(CommandError, match=r"`output` must be in \[1, 4\]"):
        device.get_setpoint(5)
    with pytest.raises(CommandError, match="`channel`"):
        device.get_temperature("E")  # type: ignore[arg-type]
    with pytest.raises(CommandError, match="quotes and control characters"):
        device.set_input_name("A", 'x";RANGE 1,3;INNAME B,"y')
    with pytest.raises(CommandError, match="quotes and control characters"):
        device.set_input_name("A", "x\nRANGE 1,3")
    assert device.get_range(1) is HeaterRange.OFF


@pytest.mark.parametrize("fault", ["drop", "garbage", "partial", "silence"])
def test_faults_of_the_line_raise_and_the_next_command_works(server: SimulatorServer, fault: str) -> None:
    controller = LakeShore336Controller(transport=LakeShore336EthernetInterface(*server.address, timeout=0.8))
    with controller:
        server.faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, LakeShore336Error)):
            controller.get_temperature("A")
        assert controller.get_temperature("A") == pytest.approx(293.15, abs=0.02)


def test_messages_keep_50_ms_apart(server: SimulatorServer) -> None:
    with LakeShore336Controller(*server.address) as controller:
        started = time.monotonic()
        for _ in range(5):
            controller.get_reading_status("A")
        assert time.monotonic() - started >= 0.2


def test_something_else_on_the_port_is_noticed() -> None:
    def answer(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.recv(100)
            client.sendall(b"ACME,COFFEE,1,1\r\n")
            client.recv(100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        controller = LakeShore336Controller(*listener.getsockname()[:2])
        with pytest.raises(DeviceConnectionError, match="ACME"):
            controller.connect()
        assert not controller.is_connected()
        thread.join()


def test_nobody_there_is_a_connection_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DeviceConnectionError, match=str(port)):
        LakeShore336Controller("127.0.0.1", port).connect()


def test_dry_run_waits_for_a_temperature_in_virtual_time() -> None:
    clock, shared = VirtualClock(), {}  # type: ignore[var-annotated]
    device = APP.make_dry_controller(clock, shared)
    started = time.monotonic()
    device.set_setpoint(output=1, value=303.15)
    device.set_range(output=1, range=HeaterRange.HIGH)
    while abs(device.get_temperature(channel="A") - 303.15) > 0.1:
        clock.sleep(10.0)
        assert clock.monotonic() < 3600.0
    assert clock.monotonic() > 10.0
    assert time.monotonic() - started < 10.0
    assert shared["lsci336"].temperature("A") == pytest.approx(303.15, abs=0.15)
