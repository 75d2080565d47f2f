"""The commands that set a LakeShore 336 up: what is set is what is read."""

from __future__ import annotations

from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.command import CommandError
from egse.tempcontrol.lsci336 import LakeShore336Error, LakeShore336Simulator, OutputMode
from egse.tempcontrol.lsci336.configuration import InterfaceMode, SensorType, SensorUnits


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def device(clock: VirtualClock) -> LakeShore336Simulator:
    simulator = LakeShore336Simulator(clock)
    simulator.connect()
    return simulator


@pytest.mark.parametrize(
    ("what", "where", "values"),
    [
        (
            "input_type",
            {"channel": "C"},
            {"sensor": SensorType.PLATINUM_RTD, "autorange": True, "range": 2, "compensation": True, "units": SensorUnits.CELSIUS},
        ),
        ("filter", {"channel": "A"}, {"on": True, "points": 10, "window": 5}),
        (
            "alarm",
            {"channel": "B"},
            {"on": True, "high": 310.5, "low": 280.0, "deadband": 0.5, "latch": True, "audible": False, "visible": True},
        ),
        ("relay", {"relay": 2}, {"mode": 2, "channel": "D", "alarm": 1}),
        (
            "curve_header",
            {"curve": 21},
            {"name": "PT; of mine", "serial": "X7", "format": 3, "limit": 400.0, "coefficient": 2},
        ),
        (
            "zone",
            {"output": 1, "zone": 3},
            {"upper": 250.0, "p": 30.0, "i": 15.0, "d": 2.0, "manual": 1.5, "range": 2, "input": 1, "rate": 10.0},
        ),
        ("warmup", {"output": 4}, {"continuous": True, "percent": 40.0}),
        (
            "monitor_output",
            {"output": 3},
            {"input": 2, "units": SensorUnits.KELVIN, "high": 400.0, "low": 200.0, "bipolar": False},
        ),
    ],
)  # fmt: skip
def test_what_is_set_is_what_is_read(
    device: LakeShore336Simulator, what: str, where: dict[str, Any], values: dict[str, Any]
) -> None:
    getattr(device, f"set_{what}")(**where, **values)
    assert getattr(device, f"get_{what}")(**where) == values


def test_single_values(device: LakeShore336Simulator) -> None:
    device.set_input_curve("A", 6)
    assert device.get_input_curve("A") == 6
    assert device.is_diode_current_high("A") is False
    device.set_diode_current("A", high=True)
    assert device.is_diode_current_high("A") is True
    device.set_interface_mode(InterfaceMode.LOCKED)
    assert device.get_interface_mode() is InterfaceMode.LOCKED
    assert device.get_terminal_temperature() == 295.0
    device.set_curve_point(21, 1, 100.0, 273.15)
    assert device.get_curve_point(21, 1) == (100.0, 273.15)
    device.delete_curve(21)
    assert device.get_curve_point(21, 1) == (0.0, 0.0)
    for call in (
        lambda: device.delete_curve(6),
        lambda: device.set_curve_header(30, 'a";MODE 0', "", 1, 1.0, 1),
    ):
        with pytest.raises(CommandError):
            call()
    with pytest.raises(LakeShore336Error, match="cannot be executed"):
        device.set_input_type("A", SensorType.DIODE, False, 5, False, SensorUnits.KELVIN)


def test_an_alarm_rings_switches_a_relay_and_is_reset(
    device: LakeShore336Simulator, clock: VirtualClock
) -> None:
    device.set_alarm("A", True, 300.0, 200.0, 0.0, True, True, True)
    device.set_relay(1, 2, "A", 1)
    assert device.get_alarm_status("A") == {"high": False, "low": False}
    device.model.inject("temperature", {"input": "A", "temperature": 320.0}, clock.monotonic())
    clock.sleep(1.0)
    assert device.get_alarm_status("A") == {"high": True, "low": False}
    assert device.is_relay_on(1) is True
    assert device.get_operation_status() & 1
    extremes = device.get_extremes("A")
    assert extremes["maximum"] > 315.0
    clock.sleep(600.0)
    device.reset_alarms()
    device.reset_extremes()
    clock.sleep(1.0)
    assert device.is_relay_on(1) is False
    assert device.get_extremes("A")["maximum"] < 294.0


def test_a_voltage_output_monitors(device: LakeShore336Simulator, clock: VirtualClock) -> None:
    device.set_monitor_output(3, 1, SensorUnits.KELVIN, 393.15, 193.15, bipolar=False)
    device.set_output_mode(3, OutputMode.MONITOR, 1)
    clock.sleep(1.0)
    assert device.get_analog_output(3) == pytest.approx(50.0, abs=0.2)
