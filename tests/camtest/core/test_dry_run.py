"""A dry run executes the real Controller with its model on virtual time and reaches nothing else."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from camtest import building_block, end_observation, generate_command_sequence, start_observation
from camtest.core import dryrun
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort, DryRunError, ObservationError, current_obsid
from camtest.state import GlobalState, install_dry_run
from egse.clock import Clock
from egse.command import Range, Unit, dynamic_command, dynamic_interface
from egse.device import DeviceConnectionError, DeviceInterface, DeviceTransport, TCPTransport
from egse.mixin import DynamicCommandMixin
from egse.proxy import DynamicProxy
from egse.setup import Setup

if TYPE_CHECKING:
    from conftest import FakeCore


class HeaterInterface(DeviceInterface):
    @dynamic_command(cmd_type="write", cmd_string="SETP ${value}")
    def set_setpoint(self, value: Annotated[float, Range(-80, 40), Unit("degC")]) -> None:
        """Sets the setpoint."""

    @dynamic_command(
        cmd_type="query", cmd_string="TEMP?", process_response=lambda response: float(response.decode())
    )
    def get_temperature(self) -> Annotated[float, Unit("degC")]:
        """Returns the temperature."""

    @dynamic_interface
    def fails(self) -> None:
        """Always fails."""


class Model(DeviceTransport):
    """Drifts 1 degree per second towards the setpoint."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.setpoint, self.begin, self.connected = clock, 20.0, 20.0, False
        self.since = clock.monotonic()

    def connect(self) -> None:
        self.connected = True

    def disconnect(self) -> None:
        self.connected = False

    def is_connected(self) -> bool:
        return self.connected

    def temperature(self) -> float:
        passed = self.clock.monotonic() - self.since
        step = min(passed, abs(self.setpoint - self.begin))
        return self.begin + (step if self.setpoint > self.begin else -step)

    def write(self, command: bytes | str) -> None:
        text = command if isinstance(command, str) else command.decode()
        if text.startswith("SETP"):
            self.begin, self.since = self.temperature(), self.clock.monotonic()
            self.setpoint = float(text.split()[1])

    def read(self) -> bytes:
        return f"{self.temperature():.3f}\n".encode()


class HeaterController(HeaterInterface, DynamicCommandMixin):
    def __init__(self, transport: DeviceTransport) -> None:
        self.transport = transport

    def is_simulator(self) -> bool:
        return True

    def fails(self) -> None:
        raise ValueError("broken heater")


class HeaterProxy(HeaterInterface, DynamicProxy):
    settings_name = "no such block"
    server_name = "heater_cs"


@dataclass
class HeaterApp:
    name: str = "heater_cs"
    device: bool = True

    def make_dry_controller(self, clock: Clock, shared: dict[str, Any]) -> HeaterController:
        return HeaterController(shared.setdefault("heater", Model(clock)))


@pytest.fixture(autouse=True)
def _declare_heater(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dryrun.find_app
    monkeypatch.setattr(
        dryrun, "find_app", lambda server: HeaterApp() if server == "heater_cs" else known(server)
    )


@pytest.fixture(autouse=True)
def _setup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "CSL1")
    GlobalState.setup = Setup({"site_id": "CSL1"})


@building_block
def heat(temperature: float) -> float:
    heater = HeaterProxy()
    heater.set_setpoint(temperature)
    started = GlobalState.clock.monotonic()
    while abs(heater.get_temperature() - temperature) > 0.1:
        GlobalState.clock.sleep(60.0)
    return GlobalState.clock.monotonic() - started


@building_block
def cycle(high: float) -> None:
    heat(temperature=high)
    heat(temperature=20.0)


def test_sequence_has_every_command_with_arguments_block_and_virtual_time() -> None:
    began = time.monotonic()
    sequence = generate_command_sequence(cycle, high=40.0)
    assert time.monotonic() - began < 20.0
    assert [(entry.block, entry.call) for entry in sequence.commands][:2] == [
        ("heat", "heater_cs.set_setpoint(value=40.0)"),
        ("heat", "heater_cs.get_temperature()"),
    ]
    assert [entry.name for entry in sequence.blocks] == ["cycle", "heat", "heat"]
    assert sequence.duration > 120.0
    assert sequence.commands[1].source == "model of heater_cs"
    assert isinstance(sequence.commands[1].result, float)
    assert sequence.title == 'cycle(high="40.0")'
    assert sequence.blocks[1].arguments == {"temperature": 40.0}


def test_nothing_is_left_behind_in_the_session(core: FakeCore) -> None:
    generate_command_sequence(heat, temperature=21.0)
    assert GlobalState.dry_run is False
    assert core.records == []
    assert core.events == []
    assert current_obsid() is None
    with pytest.raises(ObservationError):
        heat(temperature=21.0)


def test_hardware_is_out_of_reach_in_a_dry_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as instrument:
        instrument.settimeout(0.2)
        transport = TCPTransport("127.0.0.1", instrument.getsockname()[1])

        @building_block
        def sneaks_past_the_proxies() -> None:
            transport.connect()

        with pytest.raises(DeviceConnectionError, match="dry run"):
            generate_command_sequence(sneaks_past_the_proxies)
        with pytest.raises(TimeoutError):
            instrument.accept()
        transport.connect()
        transport.disconnect()


def test_a_server_without_model_is_an_error_not_silence() -> None:
    class StrangerProxy(HeaterProxy):
        server_name = "stranger_cs"

    @building_block
    def asks() -> None:
        StrangerProxy().get_temperature()

    with pytest.raises(DryRunError, match="`stranger_cs`"):
        generate_command_sequence(asks)


def test_errors_of_blocks_and_commands_stand_in_the_sequence() -> None:
    @building_block
    def tries() -> None:
        HeaterProxy().fails()

    GlobalState.dry_run = True
    start_observation("x")
    with pytest.raises(ValueError, match="broken heater"):
        tries()
    end_observation()
    assert [entry.error for entry in GlobalState.command_sequence] == ["ValueError: broken heater"] * 2


def test_session_in_dry_run_obeys_the_same_rules(core: FakeCore) -> None:
    GlobalState.dry_run = True
    with pytest.raises(ObservationError, match="inside an observation only"):
        heat(temperature=21.0)
    obsid = start_observation("dry")
    assert obsid == current_obsid()
    assert obsid == "CSL1_00000_00000"
    with pytest.raises(ObservationError, match="is running"):
        start_observation("again")
    heat(temperature=21.0)
    end_observation()
    assert current_obsid() is None
    assert [entry.name for entry in GlobalState.command_sequence.blocks] == ["heat"]
    assert core.records == []


def test_services_are_answered_without_a_socket() -> None:
    GlobalState.dry_run = True
    with HeaterProxy() as heater:
        services = heater.get_service_proxy()
        assert services.set_hk_frequency(4.0) == 4.0
        assert services.get_process_status() == {}
        assert heater.is_cs_connected()
    entry = GlobalState.command_sequence[0]
    assert (entry.kind, entry.name, entry.source) == ("service", "set_hk_frequency", "local")
    assert GlobalState.command_sequence.commands == []


def test_polling_without_waiting_ends() -> None:
    @building_block
    def impatient() -> None:
        heater = HeaterProxy()
        heater.set_setpoint(21.0)
        while heater.get_temperature() < 20.5:
            pass

    assert 10 < len(generate_command_sequence(impatient).commands) < 100


def test_a_dry_run_inside_a_dry_run_leaves_the_outer_one_alone() -> None:
    GlobalState.dry_run = True
    start_observation("outer")
    inner = generate_command_sequence(heat, temperature=21.0)
    assert GlobalState.dry_run
    assert not GlobalState.command_sequence
    assert inner.commands
    heat(temperature=21.0)
    assert len(GlobalState.command_sequence.blocks) == 1
    end_observation()


def test_abort_reaches_the_caller() -> None:
    @building_block
    def aborts() -> None:
        raise Abort("no")

    with pytest.raises(Abort):
        generate_command_sequence(aborts)
    assert not GlobalState.dry_run


def test_dry_run_without_setup() -> None:
    previous = install_dry_run(DryRun(None))
    assert previous is None
    assert GlobalState.setup is None
