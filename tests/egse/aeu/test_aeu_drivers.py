"""The drivers of the AEU's units give the same answers over TCP and over the memory transport."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from egse.aeu.aeu import (
    AEUError,
    AWGController,
    AWGProxy,
    AWGSimulator,
    CRIOController,
    CRIOProxy,
    CRIOSimulator,
    LoopBack,
    OperatingMode,
    PSUController,
    PSUProxy,
    PSUSimulator,
)
from egse.aeu.aeu_cs import APPS
from egse.aeu.awg_interface import AWGInterface
from egse.aeu.psu_interface import PSUInterface
from egse.aeu.rack import AEUModel
from egse.aeu.waveforms import sync_waveforms
from egse.clock import RealClock, VirtualClock
from egse.command import CommandError, commands_of
from egse.device import DeviceConnectionError
from egse.security.roles import Role, role_of
from egse.settings import Settings
from egse.simulator import SimulatorServer, serve_together

SPEED = 50.0


@dataclass
class Bench:
    """A rack, how to make its drivers, and how to let seconds of its time pass."""

    rack: AEUModel
    crio: CRIOController
    psu: PSUController
    awg: AWGController
    wait: Callable[[float], None]


@pytest.fixture(params=["tcp", "memory"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    rack = AEUModel()
    with ExitStack() as stack:
        if request.param == "memory":
            clock = VirtualClock()
            crio, psu = CRIOSimulator(clock, rack), PSUSimulator(2, clock, rack)
            awg, wait = AWGSimulator(2, clock, rack), clock.sleep
        else:
            selector = stack.enter_context(selectors.DefaultSelector())
            real = RealClock(SPEED)
            servers = {
                name: stack.enter_context(SimulatorServer(unit, clock=real, selector=selector))
                for name, unit in rack.units().items()
            }
            thread = threading.Thread(target=serve_together, args=[list(servers.values())])
            thread.start()
            stack.callback(thread.join)
            stack.callback(servers["CRIO"].stop)
            crio = CRIOController(*servers["CRIO"].address)
            psu = PSUController(2, *servers["PSU2"].address)
            awg = AWGController(2, *servers["AWG2"].address)
            wait = real.sleep
        for controller in (crio, psu, awg):
            stack.enter_context(controller)
        yield Bench(rack, crio, psu, awg, wait)


def test_power_supply(bench: Bench) -> None:
    psu = bench.psu
    assert psu.is_simulator()
    assert psu.get_id()[:2] == ("KIKUSUI", "PMX18-2")
    psu.set_voltage(16.35)
    psu.set_current(0.59)
    psu.set_ovp(17.575)
    psu.set_ocp(0.6)
    psu.save_memory(2)
    assert psu.get_memory_setting(2) == (0.59, 16.35, 0.6, 17.575)
    assert (psu.get_voltage_config(), psu.get_current_config()) == (16.35, 0.59)
    assert (psu.get_ovp(), psu.get_ocp()) == (pytest.approx(17.575), 0.6)
    psu.set_output_status(1)
    bench.wait(1.0)
    assert psu.get_output_status() is True
    assert psu.get_voltage() == 16.35
    assert psu.get_current() == 0.0
    with pytest.raises(AEUError, match=r"out of range \(error -222\)"):
        psu.set_voltage(25.0)
    with pytest.raises(CommandError):
        psu.set_voltage(-1.0)
    psu.set_voltage(17.8)
    bench.wait(1.0)
    assert psu.questionable_status_register() == 1
    with pytest.raises(AEUError, match="alarm"):
        psu.set_output_status(1)
    psu.clear_alarms()
    psu.reset()
    assert psu.get_voltage_config() == 0.0
    psu.set_priority_mode("CV")
    assert psu.get_priority_mode() == "CV"
    psu.conf_settings(1)
    assert psu.get_memory_config() is True
    psu.set_channel(0)
    assert (psu.get_channel(), psu.get_channel_list(), psu.get_channel_info()) == (0, ("0",), (18.0, 2.0))
    assert psu.selftest() == 0
    assert psu.get_error_info() == (0, "No error")


def test_crio(bench: Bench) -> None:
    crio = bench.crio
    assert crio.is_simulator()
    assert crio.get_operating_mode() == OperatingMode.STANDBY
    with pytest.raises(AEUError, match="not allowed in this operating mode"):
        crio.set_n_cam_secondary_power_status(1)
    crio.set_loopback_option(LoopBack.N_CAM)
    assert crio.get_loopback_option() == LoopBack.N_CAM
    crio.set_loopback_option(LoopBack.NO_LOOPBACK)
    crio.set_operating_mode(OperatingMode.FC_TVAC)
    crio.set_n_cam_ovp(39, 18, 7.5, 7.5, -7.5, 5.2)
    crio.set_f_cam_ocp(0.213, 0.92, 0.665, 1.82, -0.222, 3.093)
    assert crio.get_f_cam_ocp()[4] == -0.222
    crio.set_svm_clock_status(1, 0, 1, 0)
    assert crio.get_svm_clock_status() == (1, 0, 1, 0)
    assert crio.get_svm_clock_quality() == (1, 0, 1, 0)  # no generator is on
    times = [float(n) for n in range(72)]
    crio.set_time(times)
    assert crio.get_time() == tuple(times)
    assert crio.get_led_status()["FC_TVAC"] is True
    data = crio.get_data()
    assert (data["V_N_V_CCD"], data["Sync_gf"], len(data)) == (0.0, True, 45)
    assert crio.get_protection_status() == (0, 0, 0, 0)
    assert (crio.get_num_errors(), crio.get_error_info()) == (0, 0)
    crio.reset()
    assert crio.get_operating_mode() == OperatingMode.STANDBY


def test_waveform_generator(bench: Bench) -> None:
    awg = bench.awg
    waves = sync_waveforms(25.0)
    awg.set_channel(2)
    awg.set_waveform_type("ARB")
    awg.load_arb3_data(waves.readout)
    awg.define_arb_waveform("ARB3", "readout", "OFF")
    awg.set_arb_waveform("ARB3")
    awg.set_frequency(waves.frequency)
    awg.set_amplitude(2.7)
    awg.set_dc_offset(1.35)
    awg.set_output_load("OPEN")
    awg.set_output_status("ON")
    awg.align()
    assert awg.get_arb3() == waves.readout
    assert awg.get_arb3_def() == ("readout", "OFF", "6000")
    assert (awg.get_channel(), awg.get_frequency(), awg.get_amplitude()) == (2, 0.006667, 2.7)
    assert (awg.get_waveform_type(), awg.get_output_status()) == ("ARB", True)
    bench.rack.awgs[1].handle(b"FREQ 1e12", 0.0)  # refused, and nobody has asked why
    with pytest.raises(AEUError, match="error -1"):
        awg.set_dc_offset(0.0)
    with pytest.raises(CommandError, match="8192"):
        awg.load_arb1_data([0] * 8193)
    with pytest.raises(CommandError):
        awg.define_arb_waveform("ARB1", "a\nOUTPUT OFF", "OFF")
    assert awg.get_output_status() is True


def test_samples_with_line_ends_come_back(bench: Bench) -> None:
    samples = [0x0D0A, 0x0A0D, 0x0D0A, 0x0A0A] * 500
    bench.awg.load_arb1_data(samples)
    assert bench.awg.get_arb1() == samples
    assert bench.awg.get_channel() == 1


def test_something_else_behind_the_port_is_noticed() -> None:
    rack, clock = AEUModel(), VirtualClock()
    psu = PSUSimulator(1, clock, rack)
    wrong = CRIOController(transport=psu.transport)
    with pytest.raises(DeviceConnectionError, match=r"calls itself cRIO, but .*KIKUSUI"):
        wrong.connect()


# Identical units -----------------------------------------------------------------------------------------------------


def test_a_proxy_knows_its_unit_as_in_the_manual() -> None:
    psu = PSUProxy(2)
    assert psu.name == "PSU2"
    assert psu.get_endpoint().endswith(f":{Settings.load('AEU PSU2 Control Server')['COMMANDING_PORT']}")
    assert psu.get_endpoint().endswith(":30010")
    assert (CRIOProxy().name, AWGProxy(1).server_name) == ("CRIO", "aeu_awg1_cs")
    with pytest.raises(ValueError, match="PSU6"):
        PSUProxy(7)


def test_each_unit_has_a_server_of_its_own() -> None:
    ports: set[Any] = set()
    for unit, app in APPS.items():
        block = Settings.load(app.settings)
        assert block["STORAGE_MNEMONIC"] == f"AEU-{unit.upper()}"
        ports |= {block[key] for key in ("COMMANDING_PORT", "SERVICE_PORT", "MONITORING_PORT", "DEVICE_PORT")}
    assert len(ports) == 4 * len(APPS) == 36
    assert APPS["psu3"].device_args == (3,)


def test_one_declaration_many_servers() -> None:
    shared: dict[str, Any] = {}
    clock = VirtualClock()
    controllers = {unit: app.make_dry_controller(clock, shared) for unit, app in APPS.items()}
    for controller in controllers.values():
        controller.connect()
    controllers["psu4"].set_voltage(6.75)
    assert [psu.set_voltage for psu in shared["aeu"].psus] == [0, 0, 0, 6.75, 0, 0]


@pytest.mark.parametrize("unit", ["crio", "psu1", "awg1"])
def test_every_command_has_an_implementation(unit: str) -> None:
    app = APPS[unit]
    controller = app.make_dry_controller(VirtualClock(), {})
    asked = 0
    for name, command in commands_of(app.interface).items():
        if name.startswith("get_") and not command.parameters:
            getattr(controller, name)()
            asked += 1
    assert asked > 8


def test_who_may_only_look_may_read_waveforms_and_run_no_self_test() -> None:
    generator, supply = commands_of(AWGInterface), commands_of(PSUInterface)
    assert {role_of(generator[f"get_arb{n}"]) for n in range(1, 5)} == {Role.OBSERVE}
    assert role_of(generator["load_arb1_data"]) is Role.COMMAND
    assert role_of(supply["selftest"]) is Role.COMMAND
    assert role_of(supply["get_id"]) is Role.OBSERVE
