"""Controllers used without their control server: they are recorded, and refused where control of the site is required."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse import direct
from egse.clock import VirtualClock
from egse.direct import DirectUseError, direct_use
from egse.dummy import DummyController, DummyModel
from egse.dummy.driver import DummyEthernetInterface
from egse.journal import last_records
from egse.security.token import clear_token, set_token
from egse.settings import Settings
from egse.simulator import MemoryTransport, SimulatorServer


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A site whose settings may be changed; this process is no control server."""
    monkeypatch.setattr(direct, "_serving", False)
    monkeypatch.setenv("SITE_ID", "LAB")
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path / "data"))
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(tmp_path / "local.yaml"))
    require(tmp_path, "auto")
    yield tmp_path
    clear_token()
    monkeypatch.undo()
    Settings.load(force=True)


def require(site: Path, control: str) -> None:
    (site / "local.yaml").write_text(f"SITE:\n  ID: LAB\n  CONTROL: {control}\n")
    Settings.load(force=True)


@pytest.fixture
def controller(site: Path) -> Iterator[DummyController]:
    with SimulatorServer(DummyModel()) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        yield DummyController(DummyEthernetInterface(*server.address))
        server.stop()
        thread.join()


def events(site: Path) -> list[tuple[str, str]]:
    records = last_records(site / "data/LAB/journal/direct_DummyController", 100)
    return [
        (record.event, record.command if record.event == "begin" else record.status) for record in records
    ]


def test_direct_commands_stand_in_a_journal_of_their_own(site: Path, controller: DummyController) -> None:
    with controller:
        controller.set_voltage(2.5)
        assert controller.get_voltage() == 2.5
        assert controller.is_simulator()  # asks the device on its way: one command all the same
        with pytest.raises(ValueError, match="must be in"):
            controller.set_voltage(11.0)
    assert events(site) == [
        item
        for name in ("connect", "set_voltage", "get_voltage", "is_simulator", "disconnect")
        for item in (("begin", name), ("end", "done"))
    ]
    begin = last_records(site / "data/LAB/journal/direct_DummyController", 8)[0]
    assert begin.event == "begin"
    assert begin.args == {"voltage": 2.5}
    assert begin.origin.endswith("(directly: no reason given)")


def test_a_failed_command_is_recorded_as_failed(site: Path) -> None:
    with pytest.raises(ConnectionError):
        DummyController(DummyEthernetInterface("127.0.0.1", 1)).connect()
    assert events(site) == [("begin", "connect"), ("end", "failed")]


def test_where_control_is_required_it_is_refused_before_anything_is_sent(
    site: Path, controller: DummyController
) -> None:
    require(site, "required")
    with pytest.raises(
        DirectUseError, match=r"DummyController\.connect: this site requires control.*direct_use"
    ):
        controller.connect()
    assert events(site) == []
    with pytest.raises(DirectUseError, match="needs control of the site"), direct_use("a look"):
        pass
    with pytest.raises(DirectUseError, match="needs a reason"), direct_use(" "):
        pass
    set_token("session-of-this-test", 3)
    with direct_use("a look at the output"), controller:
        controller.measure_voltage()
    assert events(site)[2:4] == [("begin", "measure_voltage"), ("end", "done")]
    (begin, *_) = last_records(site / "data/LAB/journal/direct_DummyController", 6)
    assert begin.event == "begin"
    assert begin.origin.endswith("(directly: a look at the output)")
    with pytest.raises(DirectUseError):
        controller.measure_voltage()


def test_models_in_this_process_are_no_hardware(site: Path) -> None:
    require(site, "required")
    with DummyController(MemoryTransport(DummyModel(), VirtualClock())) as controller:
        controller.set_voltage(1.0)
    assert events(site) == []
