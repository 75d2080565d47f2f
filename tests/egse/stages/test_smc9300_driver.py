"""The driver of the SMC9300 against its simulator over TCP and over the memory transport, and through its proxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from egse.clock import RealClock, VirtualClock
from egse.command import CommandError, commands_of
from egse.device import DeviceConnectionError
from egse.setup import Setup
from egse.simulator import SimulatorServer
from egse.stages.huber.smc9300 import (
    AvoidanceError,
    AxisState,
    HuberError,
    HuberSMC9300Controller,
    HuberSMC9300Interface,
    HuberSMC9300Proxy,
    HuberSMC9300Simulator,
    SMC9300Model,
    decode_axis_float,
)
from egse.stages.huber.smc9300.protocol import HuberSMC9300Protocol

SPEED = 200.0


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(SMC9300Model(), clock=RealClock(SPEED)) as running:
        thread = threading.Thread(target=running.serve)
        thread.start()
        yield running
        running.stop()
        thread.join()


@pytest.fixture(params=["tcp", "memory"])
def bench(request: pytest.FixtureRequest) -> Iterator[HuberSMC9300Controller]:
    if request.param == "memory":
        with HuberSMC9300Simulator(VirtualClock()) as simulator:
            yield simulator
    else:
        server = request.getfixturevalue("server")
        with HuberSMC9300Controller(*server.address) as controller:
            controller.clock = RealClock(SPEED)
            yield controller


def test_every_command_of_the_driver(bench: HuberSMC9300Controller) -> None:
    huber = bench
    assert huber.is_connected()
    assert huber.is_simulator()
    assert huber.get_version() == "smc 1.2.1093"
    assert huber.slew_speeds == (20000, 20000, 20000)
    assert huber.get_state(1) == 179
    huber.set_slew_speed(1, 100000)
    assert huber.get_slew_speed(1) == 100000
    huber.goto(1, 5.0)
    assert huber.get_current_position(axis=1) == 5.0
    huber.move(1, -1.5)
    assert huber.get_current_position(1) == 3.5
    huber.goto_direct(2, 4.0)
    assert huber.wait_until_axis_ready(2)
    huber.move_direct(2, 1.0)
    assert huber.wait_until_axis_ready(2)
    assert huber.get_current_encoder_position(2) == pytest.approx(5.0, abs=0.001)
    assert huber.get_current_encoder_counter_value(2) == pytest.approx(50000, abs=10)
    assert huber.is_in_position(3)
    assert huber.get_status(2)["position"] == 5.0
    assert huber.get_error(1) == {"number": 0, "text": ""}
    huber.set_edev(1, 0.5)
    huber.set_edir(1, 1)
    assert (huber.get_edev(1), huber.get_edir(1)) == (0.5, 1)
    assert huber.get_parameter(1, "unit") == "deg"
    assert huber.get_configuration(3)["alias"] == "translation stage"
    assert huber.get_conf_value(3, "gnum") == 10000
    huber.home_forward_direction(2, 1.0)
    assert huber.wait_until_axis_ready(2)
    assert huber.get_current_position(2) == 1.0
    huber.home_reverse_direction(2)
    huber.zero(3)
    huber.save_configuration()
    huber.reset()
    assert huber.get_slew_speed(1) == 100000
    row = huber.get_overview()
    assert [axis["error"] for axis in row] == [0, 0, 0]
    assert row[0]["position"] == 3.5


def test_the_hard_stop_is_kept_clear_of(bench: HuberSMC9300Controller) -> None:
    huber = bench
    for command in (huber.goto, huber.move):
        with pytest.raises(AvoidanceError, match=r"axis 1 .* 177 deg.*hard stop at 179.316 deg.*176.316"):
            command(1, 177.0)
    huber.goto(1, 170.0)
    with pytest.raises(AvoidanceError):
        huber.move(1, 10.0)
    assert huber.get_current_position(1) == 170.0
    huber.find_setup = lambda: {
        "gse": {
            "stages": {"BIG_ROTATION_STAGE_ID": 2, "big_rotation_stage": {"hardstop": 10.0, "avoidance": 1.0}}
        }
    }
    huber.goto(1, 178.0)
    with pytest.raises(AvoidanceError, match=r"within \+-9 deg"):
        huber.goto(2, 9.5)
    huber.goto_direct(2, 9.5)


def test_errors_are_seen_and_hold_the_axis(bench: HuberSMC9300Controller) -> None:
    huber = bench
    with pytest.raises(HuberError, match=r"axis 2 .* error 11 \(software limit \+\).*clear_error\(2\)"):
        huber.goto(2, 100.0)
    with pytest.raises(HuberError, match="clear_error"):
        huber.goto_direct(2, 1.0)
    assert huber.get_current_position(2) == 0.0
    assert AxisState(huber.get_state(2)) & AxisState.ERROR_PENDING
    huber.clear_error(2)
    huber.goto(2, 1.0)
    assert huber.get_current_position(2) == 1.0
    with pytest.raises(HuberError, match="no parameter 'colour'"):
        huber.get_conf_value(1, "colour")
    with pytest.raises(HuberError, match="no parameter 'colour'"):
        huber.get_parameter(1, "colour")
    for call in (
        lambda: huber.goto(4, 1.0),
        lambda: huber.set_slew_speed(1, 0),
        lambda: huber.get_parameter(1, "p1\r\nquit"),
    ):
        with pytest.raises(CommandError):
            call()


def test_a_stall_in_motion_ends_the_wait_with_the_reason() -> None:
    with HuberSMC9300Simulator(VirtualClock()) as huber:
        huber.goto(1, 100.0, wait=False)
        huber.model.inject("stall", {"axis": 1}, huber.clock.monotonic())
        assert huber.wait_until_axis_ready(2, timeout=1.0)
        with pytest.raises(HuberError, match="motor stalled"):
            huber.goto(1, 0.0)


def test_quit_stops_and_waiting_is_bounded() -> None:
    with HuberSMC9300Simulator(VirtualClock()) as huber:
        huber.goto(1, 100.0, wait=False)
        assert not huber.wait_until_axis_ready(1, timeout=5.0)
        huber.quit()
        assert huber.is_in_position(1)
        assert 0.0 < huber.get_current_position(1) < 20.0


def test_what_is_no_smc9300_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as file:
                connection.sendall(b"hello\r\n")
                for _ in file:
                    connection.sendall(b"PUNA\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(DeviceConnectionError, match="PUNA"):
            HuberSMC9300Controller("127.0.0.1", listener.getsockname()[1]).connect()
        thread.join()


def test_examples_of_the_manual() -> None:
    """Section 6.6.3: the command becomes `?p1`, the answer `<axis>:<float>;` a float."""
    definition = commands_of(HuberSMC9300Interface)["get_current_position"]
    assert definition.cmd_type == "query"
    assert definition.command_string({"axis": 1}) == "?p1\r\n"
    assert decode_axis_float(b"1:12.5000;\r\n") == 12.5
    with pytest.raises(HuberError):
        decode_axis_float(b"error\r\n")


def test_the_device_of_the_sandbox_is_the_proxy(camtest_setup: Setup) -> None:
    assert isinstance(camtest_setup.gse.stages.device, HuberSMC9300Proxy)


def test_housekeeping_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "CSL1")
    with HuberSMC9300Simulator(VirtualClock()) as huber:
        huber.goto(3, 10.0)
        row = HuberSMC9300Protocol(None, huber).get_housekeeping()  # type: ignore[arg-type]
    assert row["GCSL1_SMC9300_POS_3"] == 10.0
    assert row["GCSL1_SMC9300_STATE_1"] == 179
    assert len(row) == 12


def test_a_proxy_waits_in_slices(dry_run: object, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    from camtest.core.dryrun import DryRun

    call: Callable[..., object] = DryRun.call

    def watched(self: DryRun, proxy: object, definition: object, arguments: object) -> object:
        calls.append(definition.name)  # type: ignore[attr-defined]
        return call(self, proxy, definition, arguments)

    monkeypatch.setattr(DryRun, "call", watched)
    huber = HuberSMC9300Proxy()
    huber.goto(1, 30.0)
    assert huber.get_current_position(1) == 30.0
    assert calls[0] == "goto"
    assert calls.count("wait_until_axis_ready") > 10
