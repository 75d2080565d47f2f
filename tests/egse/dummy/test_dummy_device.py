"""The dummy device: the same driver over TCP, over the memory transport and in a dry run."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from egse.clock import VirtualClock
from egse.command import CommandError, commands_of
from egse.dummy import DummyController, DummyError, DummyEthernetInterface, DummyInterface, DummyModel
from egse.dummy.dummy_cs import APP
from egse.event import EVENT_ID, Event
from egse.simulator import FaultError, MemoryTransport, SimulatorServer


@pytest.fixture
def model() -> DummyModel:
    return DummyModel()


@pytest.fixture(params=["tcp", "memory"])
def device(request: pytest.FixtureRequest, model: DummyModel) -> Iterator[DummyController]:
    if request.param == "memory":
        with DummyController(MemoryTransport(model, VirtualClock())) as controller:
            yield controller
        return
    with SimulatorServer(model) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        with DummyController(DummyEthernetInterface(*server.address)) as controller:
            yield controller
        server.stop()
        thread.join()


def test_every_command(device: DummyController) -> None:
    assert device.is_connected()
    assert device.is_simulator()
    assert device.info() == "DUMMY,SOURCE,SIM-0001,1.0"
    assert device.get_voltage() == 0.0
    device.set_voltage(7.25)
    assert device.get_voltage() == 7.25
    assert not device.is_output_on()
    device.output_on()
    assert device.is_output_on()
    assert 0.0 <= device.measure_voltage() <= 7.25
    device.output_off()
    assert not device.is_output_on()


def test_refusals(device: DummyController, model: DummyModel) -> None:
    with pytest.raises(CommandError, match=r"must be in \[0, 10\] V"):
        device.set_voltage(10.5)
    model.inject("overload", {"on": True}, 0.0)
    with pytest.raises(DummyError, match="overload"):
        device.output_on()
    model.inject("overload", {"on": False}, 0.0)
    device.output_on()
    with pytest.raises(FaultError, match="expected the fault overload"):
        model.inject("fire", {}, 0.0)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"VOLT 11", b"ERROR: out of range 0..10\n"),
        (b"VOLT much", b"ERROR: MUCH is no number\n"),
        (b"VOLT nan", b"ERROR: out of range 0..10\n"),
        (b"COFFEE", b"ERROR: unknown command COFFEE\n"),
        (b"volt? ", b"0.0000\n"),
        (b"OUTP maybe", b"ERROR: unknown command OUTP\n"),
    ],
)
def test_the_model_by_itself(model: DummyModel, command: bytes, reply: bytes) -> None:
    assert model.handle(command, 0.0) == reply


def test_the_output_follows_slowly() -> None:
    clock = VirtualClock()
    model = DummyModel()
    with DummyController(MemoryTransport(model, clock)) as device:
        device.set_voltage(10.0)
        device.output_on()
        clock.advance(1.0)
        assert device.measure_voltage() == pytest.approx(6.3212, abs=1e-3)
        clock.advance(10.0)
        assert device.measure_voltage() == pytest.approx(10.0, abs=1e-3)
        device.output_off()
        clock.advance(1.0)
        assert device.measure_voltage() == pytest.approx(3.6786, abs=1e-3)
    assert model.describe()["on"] is False


def test_in_a_dry_run_driver_and_model_are_joined() -> None:
    shared: dict[str, object] = {}
    controller = APP.make_dry_controller(VirtualClock(), shared)
    controller.set_voltage(2.0)
    assert controller.get_voltage() == 2.0
    assert isinstance(shared["dummy"], DummyModel)
    controller.handle_event(Event(event_id=EVENT_ID.SETUP))  # no server, nothing to schedule
    assert list(controller.events) == []


def test_every_command_is_documented() -> None:
    commands = commands_of(DummyInterface)
    assert "handle_event" in commands
    assert all(command.doc for command in commands.values())
