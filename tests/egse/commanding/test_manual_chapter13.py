"""The examples of section 13.1 of the developer manual, on a stand-in PUNA hexapod behind a real control server."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import pytest

SPEC = importlib.util.spec_from_file_location("manual_lab", Path(__file__).with_name("manual_lab.py"))
assert SPEC is not None
assert SPEC.loader is not None
manual_lab: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(manual_lab)
lab = manual_lab.lab

logger = logging.getLogger(__name__)

MOVE = "MOVE 0.000 0.000 18.000 0.000 0.000 0.000"


@pytest.fixture
def puna_device(lab: Any) -> Any:
    """The hexapod, switched on; it remembers its commands in `received`."""
    lab.set("PUNA Hexapod Controllers")
    return lab.device("PUNA Control Server", manual_lab.Puna())


def test_controller_with_connect_and_disconnect(puna_device: Any) -> None:
    from egse.hexapod import HexapodError
    from egse.hexapod.symetrie.puna import PunaController

    puna = PunaController()
    assert not puna.is_connected()
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
    assert puna_device.received == ["HOMING", MOVE]


def test_controller_as_context_manager(puna_device: Any) -> None:
    from egse.hexapod.symetrie.puna import PunaController

    with PunaController() as puna:
        assert puna.is_connected()
        puna.homing()
        puna.move_absolute(0, 0, 18, 0, 0, 0)
    assert not puna.is_connected()
    assert puna_device.received == ["HOMING", MOVE]


def test_connect_raises_when_there_is_no_device(lab: Any) -> None:
    from egse.device import DeviceConnectionError

    lab.set("PUNA Hexapod Controllers")
    device = lab.device("PUNA Control Server", manual_lab.Puna())
    device.shutdown()
    device.server_close()
    from egse.hexapod.symetrie.puna import PunaController

    with pytest.raises(DeviceConnectionError, match="cannot connect to the device at 127"):
        PunaController().connect()


def test_proxy_as_context_manager_leaves_the_device_connected(lab: Any, puna_device: Any) -> None:
    from egse.hexapod.symetrie.puna import PunaProxy

    lab.start_server("egse.hexapod.symetrie.puna")
    with PunaProxy() as puna:
        puna.homing()
        puna.move_absolute(0, 0, 18, 0, 0, 0)
    assert puna_device.received == ["HOMING", MOVE]
    with PunaProxy() as puna:
        assert puna.is_connected()
        puna.disconnect()
        assert not puna.is_connected()
        puna.connect()
        assert puna.get_user_positions() == [0, 0, 18, 0, 0, 0]


def test_errors_of_the_device_reach_the_client_with_their_type(lab: Any, puna_device: Any) -> None:
    from egse.command import CommandError
    from egse.hexapod import HexapodError
    from egse.hexapod.symetrie.puna import PunaProxy

    lab.start_server("egse.hexapod.symetrie.puna")
    with PunaProxy() as puna:
        with pytest.raises(HexapodError, match="the hexapod refused: not homed"):
            puna.move_absolute(0, 0, 18, 0, 0, 0)
        with pytest.raises(CommandError, match=r"`tz` \[mm\] must be in \[-50, 50\] mm, got 180"):
            puna.move_absolute(0, 0, 180, 0, 0, 0)
    assert puna_device.received == [MOVE]


def test_connection_to_the_control_server(lab: Any, puna_device: Any) -> None:
    from egse.hexapod.symetrie.puna import PunaProxy

    puna = PunaProxy(timeout=2.0)
    assert not puna.with_timeout(0.2).ping(0.2)
    lab.start_server("egse.hexapod.symetrie.puna")
    puna.connect_cs()
    assert puna.is_cs_connected()
    puna.disconnect_cs()
    puna.reconnect_cs()
    assert puna.is_cs_connected()
    puna.reset_cs_connection()
    assert puna.get_speed() == [2.0, 0.5]
    puna.disconnect_cs()
