"""Aim-TTi bench supplies: replies to the letter, loads and protection, two units at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.clock import VirtualClock
from egse.command import CommandError, commands_of
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.powersupply.aimtti import (
    AimTTiController,
    AimTTiError,
    AimTTiModel,
    AimTTiProxy,
    AimTTiSimulator,
)
from egse.powersupply.aimtti.aimtti import AimTTiEthernetInterface
from egse.powersupply.aimtti.aimtti_cs import UNIT2
from egse.powersupply.aimtti.interface import AimTTiInterface
from egse.powersupply.aimtti.protocol import AimTTiProtocol
from egse.security.roles import Role, role_of
from egse.settings import Settings
from egse.simulator import FaultError, SimulatorServer

from ..conftest import LineBench


@pytest.fixture
def bench() -> LineBench:
    return LineBench(AimTTiModel(), b"\r\n")


def test_replies(bench: LineBench) -> None:
    assert bench.ask("*IDN?").split(", ")[:2] == ["THURLBY THANDAR", "PL303QMD-P"]
    assert bench.ask("*ESR?") == "128"
    for line, query, answer in (
        ("V1 3.3", "V1?", "V1 3.300"),
        ("I1 0.5", "I1?", "I1 0.5000"),
        ("v2 12", "v2?", "V2 12.000"),
        ("DELTAV1 0.1", "DELTAV1?", "DELTAV1 0.100"),
        ("INCV1", "V1?", "V1 3.400"),
        ("DECV1", "V1?", "V1 3.300"),
        ("DELTAI1 0.2", "DELTAI1?", "DELTAI1 0.200"),
        ("INCI1", "I1?", "I1 0.7000"),
        ("OP1 1", "OP1?", "1"),
        ("OPALL 0", "OP1?", "0"),
        ("IRANGE1 1", "IRANGE1?", "1"),
        ("IRANGE1 2", "I1?", "I1 0.5000"),
        ("SAV1 3", "*OPC?", "1"),
        ("V1 1", "*TST?", "0"),
        ("RCL1 3", "V1?", "V1 3.300"),
        ("LOCAL", "IFLOCK", "1"),
        ("DAMPING1 1", "IFLOCK?", "1"),
        ("OVP1 5", "IFUNLOCK", "0"),
    ):
        assert bench.ask(line) == ""
        assert bench.ask(query) == answer
    assert bench.ask("*ESR?") == "0"


def test_measured_values_have_their_unit(bench: LineBench) -> None:
    bench.ask("V1 3.3")
    assert (bench.ask("V1O?"), bench.ask("I1O?")) == ("0.000V", "0.0000A")
    bench.ask("OP1 1")
    bench.now += 0.1
    assert float(bench.ask("V1O?").removesuffix("V")) == pytest.approx(3.3, abs=0.002)
    assert float(bench.ask("I1O?").removesuffix("A")) == pytest.approx(0.165, abs=0.002)


def test_what_is_refused(bench: LineBench) -> None:
    bench.ask("*CLS")
    for line, events, error in (
        ("V1 31", "16", "100"), ("NONSENSE", "32", "0"), ("V3 1", "32", "0"), ("V1", "32", "0"), ("RCL2 7", "16", "103"),
    ):  # fmt: skip
        assert bench.ask(line) == ""
        assert (bench.ask("*ESR?"), bench.ask("EER?")) == (events, error), line
    assert bench.ask("V1?") == "V1 1.000"
    bench.ask("OP1 1")
    bench.ask("IRANGE1 1")
    assert bench.ask("EER?") == "103"


def test_constant_current_and_protection(bench: LineBench) -> None:
    for line in ("V1 10", "I1 1", "OP1 1"):
        bench.ask(line)
    bench.now += 0.1
    assert bench.ask("LSR1?") == "1"
    bench.model.inject("load", {"output": 1, "ohm": 5}, bench.now)
    bench.ask("*OPC?")
    assert bench.ask("LSR1?") == "3"
    assert float(bench.ask("V1O?")[:-1]) == pytest.approx(5.0, abs=0.002)
    bench.ask("OCP1 0.5")
    assert bench.ask("OP1?") == "0"
    assert int(bench.ask("LSR1?")) & 8
    bench.ask("OP1 1")
    assert bench.ask("EER?") == "103"
    for line in ("TRIPRST", "OCP1 3", "OP1 1"):
        bench.ask(line)
    assert bench.ask("OP1?") == "1"
    bench.ask("*RST")
    assert bench.ask("OP1?") == "0"
    with pytest.raises(FaultError):
        bench.model.inject("load", {"output": 4}, bench.now)


def test_set_and_verify_waits(bench: LineBench) -> None:
    bench.ask("*CLS")
    bench.ask("OP1 1")
    bench.now += 0.1
    bench.ask("V1V 5")
    assert bench.ask("*OPC?") == "1"
    assert 0 < bench.late < 0.1
    bench.now += 1
    bench.ask("I1 0.1")
    bench.ask("V1V 6")
    assert bench.ask("*ESR?") == "8"
    assert bench.late == pytest.approx(5.0)
    bench.now += 10
    bench.ask("OP1 0")
    bench.ask("V1V 5")
    assert bench.ask("*ESR?") == "0"
    assert bench.late == 0.0


@pytest.fixture
def servers() -> Iterator[list[SimulatorServer]]:
    """Two units."""
    with (
        SimulatorServer(AimTTiModel(1), max_clients=4) as one,
        SimulatorServer(AimTTiModel(2), max_clients=4) as two,
    ):
        threads = [threading.Thread(target=server.serve) for server in (one, two)]
        for thread in threads:
            thread.start()
        yield [one, two]
        for server in (one, two):
            server.stop()
        for thread in threads:
            thread.join()


def test_two_units_at_a_time(
    servers: list[SimulatorServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "local.yaml"
    local.write_text(
        "".join(
            f"AIMTTI {n} Control Server:\n  DEVICE_HOSTNAME: 127.0.0.1\n  DEVICE_PORT: {server.address[1]}\n"
            for n, server in enumerate(servers, start=1)
        )
    )
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(local))
    Settings.load(force=True)
    with AimTTiController(unit=1) as one, AimTTiController(unit=2) as two:
        one.set_voltage(1, 5.0)
        two.set_voltage(1, 12.0)
        assert (one.get_voltage_setpoint(1), two.get_voltage_setpoint(1)) == (5.0, 12.0)
        assert one.is_simulator()
        assert list(one.outputs()) == [1, 2]
        two.set_output(2, True)
        assert [server.model.outputs[2].on for server in servers] == [False, True]  # type: ignore[attr-defined]
    assert (AimTTiProxy(2).server_name, AimTTiProxy(2).settings_name) == (
        "aimtti2_cs",
        "AIMTTI 2 Control Server",
    )
    with pytest.raises(ValueError, match="there is no unit 3"):
        AimTTiProxy(3)
    monkeypatch.undo()
    Settings.load(force=True)


def test_driver(servers: list[SimulatorServer]) -> None:
    with AimTTiController(*servers[0].address) as supply:
        supply.set_voltage(1, 5.0)
        supply.set_current(1, 0.4)
        supply.set_ovp(1, 6.0)
        supply.set_ocp(1, 1.0)
        assert (supply.get_current_setpoint(1), supply.get_ovp(1), supply.get_ocp(1)) == (0.4, 6.0, 1.0)
        supply.set_voltage_step(1, 0.5)
        supply.increase_voltage(1)
        supply.decrease_voltage(1)
        supply.set_current_step(1, 0.1)
        supply.increase_current(1)
        supply.decrease_current(1)
        supply.set_all_outputs(True)
        supply.set_voltage_verified(1, 4.0)
        assert supply.get_voltage(1) == pytest.approx(4.0, abs=0.002)
        assert supply.get_current(1) == pytest.approx(0.2, abs=0.002)
        assert supply.get_output(2) is True
        assert supply.get_limit_events(1) & 1
        with pytest.raises(AimTTiError, match="out of range, or the command is not possible now"):
            supply.set_current_range(1, 1)
        assert supply.get_execution_error() == 103
        supply.set_all_outputs(False)
        supply.set_current_range(1, 1)
        assert supply.get_current_range(1) == 1
        supply.save(1, 0)
        supply.recall(1, 0)
        supply.set_damping(1, True)
        assert (supply.lock(), supply.get_lock(), supply.unlock()) == (1, 1, 0)
        supply.local()
        supply.reset_trips()
        supply.reset()
        assert supply.selftest() == 0
        for refused in (lambda: supply.set_voltage(3, 1.0), lambda: supply.get_voltage(3)):
            with pytest.raises(AimTTiError, match="has 2 outputs, there is no output 3"):
                refused()
        with pytest.raises(CommandError):
            supply.set_voltage(4, 1.0)


@pytest.mark.parametrize("fault", ["drop", "garbage", "partial", "silence"])
def test_faults_of_the_line(servers: list[SimulatorServer], fault: str) -> None:
    with AimTTiController(
        transport=AimTTiEthernetInterface(*servers[0].address, unit=1, timeout=0.8)
    ) as supply:
        servers[0].faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, AimTTiError)):
            supply.get_voltage(1)
        assert supply.get_voltage(1) == 0.0


def test_housekeeping_names_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "CSL1")
    supply = UNIT2.make_dry_controller(VirtualClock(), {})
    assert isinstance(supply, AimTTiSimulator)
    row = AimTTiProtocol(None, supply).get_housekeeping()  # type: ignore[arg-type]
    assert row["GCSL1_AIMTTI2_V1"] == 0.0
    assert set(row) == {f"GCSL1_AIMTTI2_{name}{n}" for n in (1, 2) for name in ("V", "I", "OUT", "LIMIT")}


def test_a_self_test_is_no_question() -> None:
    assert role_of(commands_of(AimTTiInterface)["selftest"]) is Role.COMMAND
    assert role_of(commands_of(AimTTiInterface)["get_id"]) is Role.OBSERVE
