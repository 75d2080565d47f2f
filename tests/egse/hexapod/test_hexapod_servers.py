"""The PUNA's control server as a process with its model inside: the manual's examples through the proxy."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from egse.clock import VirtualClock, system_clock
from egse.command import CommandError, commands_of
from egse.hexapod import HexapodError
from egse.hexapod.symetrie import JoranController, PunaController, PunaPlusController, ZondaController
from egse.hexapod.symetrie.alpha_model import PunaModel
from egse.hexapod.symetrie.joran_cs import APP as JORAN
from egse.hexapod.symetrie.protocol import HexapodProtocol
from egse.hexapod.symetrie.puna_cs import APP as PUNA
from egse.hexapod.symetrie.puna_plus_cs import APP as PUNA_PLUS
from egse.hexapod.symetrie.zonda_cs import APP as ZONDA
from egse.settings import Settings
from egse.setup import Setup
from egse.tmdict import template_dictionary

logger = logging.getLogger(__name__)
SPEED = 200.0


@pytest.fixture
def site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[None]:
    """A site with settings for a PUNA control server."""
    local = tmp_path / "local.yaml"
    command, monitoring, service, metrics, log = free_ports(5)
    local.write_text(
        f"SITE: {{ID: LAB, SPEED: {SPEED}}}\nPUNA Control Server:\n  COMMANDING_PORT: {command}\n"
        f"  MONITORING_PORT: {monitoring}\n  SERVICE_PORT: {service}\n  METRICS_PORT: {metrics}\n"
        f"  STORAGE_MNEMONIC:\n  HK_DELAY: 0.2\nLogging Control Server:\n  RECEIVER_PORT: {log}\n"
    )
    for name, value in {
        "SITE_ID": "LAB",
        "PLATO_LOCAL_SETTINGS": str(local),
        "PLATO_DATA_STORAGE_LOCATION": str(tmp_path / "data"),
        "PLATO_LOG_FILE_LOCATION": str(tmp_path / "log"),
    }.items():
        monkeypatch.setenv(name, value)
    Settings.load(force=True)
    yield
    monkeypatch.undo()
    Settings.load(force=True)


@pytest.fixture
def puna_cs(site: None) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "egse.hexapod.symetrie.puna_cs", "start", "--simulator"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("READY puna_cs tcp://")
    yield process
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()


QUICK_EXAMPLE = """
Setup:
  gse:
    hexapod:
      device_name: Symetrie Puna Hexapod
      device: class//egse.hexapod.symetrie.puna.PunaProxy
      ID: 172543
      firmware: 3.14
"""


def wait_for(puna: Any) -> None:
    clock = system_clock()
    deadline = clock.monotonic() + 30
    while not puna.is_in_position():
        assert clock.monotonic() < deadline
        clock.sleep(0.05)


def test_examples_of_the_manual_with_the_proxy(puna_cs: subprocess.Popen[str]) -> None:
    """Sections 3.3, 6.4, 8.1 and 13.1.1."""
    from egse.hexapod.symetrie.puna import PunaProxy

    with PunaProxy() as puna:
        puna.homing()
        puna.move_absolute(0, 0, 18, 0, 0, 0)
        wait_for(puna)
        assert puna.get_user_positions() == pytest.approx([0, 0, 18, 0, 0, 0])

    with PunaProxy() as proxy:
        proxy.move_absolute(0, 0, 2, 0, 0, 0)
        wait_for(proxy)

    with PunaProxy() as puna, puna.get_service_proxy() as srv:
        status = srv.get_process_status()
    assert isinstance(status["UUID"], UUID)
    assert status["UUID"].version == 1

    setup = Setup.from_yaml_string(QUICK_EXAMPLE)
    device = setup.gse.hexapod.device
    device.homing()
    with device as puna:
        puna.stop()
        puna.deactivate_control_loop()
        with pytest.raises(HexapodError, match="the control loop is off"):
            puna.move_absolute(0, 0, 1, 0, 0, 0)
        with pytest.raises(CommandError, match=r"`tz` \[mm\] must be in"):
            puna.move_absolute(0, 0, 1800, 0, 0, 0)


def test_examples_of_the_manual_with_the_controller(site: None, serve: Any, tmp_path: Path) -> None:
    """Section 13.1.1, on a simulator behind a socket."""
    from egse.hexapod.symetrie.puna import PunaController

    server = serve(PunaModel())
    local = tmp_path / "local.yaml"
    local.write_text(
        f"SITE: {{ID: LAB}}\nPUNA Control Server: {{DEVICE_HOSTNAME: 127.0.0.1, DEVICE_PORT: {server.address[1]}}}\n"
    )
    Settings.load(force=True)
    puna = PunaController()
    try:
        puna.connect()
        puna.homing()
        puna.move_absolute(0, 0, 18, 0, 0, 0)
    except HexapodError as exc:
        logger.error("There was an error during the interaction with the PUNA Hexapod: %s", exc)
        raise
    finally:
        if puna.is_connected():
            puna.disconnect()
    assert not puna.is_connected()
    with PunaController() as puna:
        wait_for(puna)
        assert puna.get_user_positions() == [0, 0, 18, 0, 0, 0]
        puna.homing()
        puna.move_absolute(0, 0, 18, 0, 0, 0)


def test_without_a_control_server(site: None) -> None:
    """Section 3.3: the context manager raises, and the example logs and raises again."""
    from egse.hexapod.symetrie.puna import PunaProxy

    def example() -> None:
        try:
            with PunaProxy() as proxy:
                proxy.move_absolute(0, 0, 2, 0, 0, 0)
        except ConnectionError:
            logger.exception(
                "Could not send commands to the Hexapod PUNA: the control server is not reachable."
            )
            raise

    with pytest.raises(ConnectionError):
        example()


def test_results_keep_their_types_on_the_way(puna_cs: subprocess.Popen[str]) -> None:
    from egse.hexapod.symetrie.puna import PunaProxy

    with PunaProxy() as puna:
        number, texts = puna.check_absolute_movement(100, 0, 0, 0, 0, 0)
        assert number & 1
        assert texts[0] == "homing is not done"
        assert puna.get_general_state() == (34, ["System initialized", "Brake control output"])
        assert puna.get_actuator_state() == [(64, ["Brake control"])] * 6
        assert puna.activate_control_loop() == 0


EXCERPT = """
gse:
    hexapod:
        device: factory//egse.hexapod.symetrie.ControllerFactory
        device_args:
            device_name: PUNA Hexapod
            device_id: 1A
"""


def test_factory_of_section_6_1_1(site: None) -> None:
    setup = Setup(yaml.safe_load(EXCERPT))
    assert type(setup.gse.hexapod.device).__name__ == "PunaProxy"  # shared, unless it says `direct`
    setup.gse.hexapod.device_args.direct = True
    assert type(setup.gse.hexapod.device) is PunaController
    setup.gse.hexapod.device_args.device_id = "1B"
    assert type(setup.gse.hexapod.device) is PunaPlusController
    setup.gse.hexapod.device_args.device_name = "Zonda"
    assert type(setup.gse.hexapod.device) is ZondaController
    setup.gse.hexapod.device_args.device_name = "JORAN hexapod"
    assert type(setup.gse.hexapod.device) is JoranController
    setup.gse.hexapod.device_args.device_name = "HUBER"
    with pytest.raises(ValueError, match="Unknown device name: HUBER"):
        _ = setup.gse.hexapod.device


@pytest.mark.parametrize(
    ("app", "mnemonic", "count"),
    [(PUNA, "PUNA", 20), (PUNA_PLUS, "PUNA-PLUS", 26), (ZONDA, "ZONDA", 26), (JORAN, "JORAN", 26)],
)
def test_housekeeping_is_in_the_dictionary(site: None, app: Any, mnemonic: str, count: int) -> None:
    controller = app.make_dry_controller(VirtualClock(), {})
    server: Any = None
    row = app.protocol(server, controller).get_housekeeping()
    assert len(row) == count
    known = template_dictionary()
    for name in row:
        assert known[name].mnemonic == mnemonic
    assert issubclass(app.protocol, HexapodProtocol)
    assert set(commands_of(app.interface)) >= {"homing", "stop", "move_absolute", "get_user_positions"}
