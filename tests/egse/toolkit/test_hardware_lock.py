"""While hardware is locked, no network connection and no device file is opened, whatever library tries."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.hardwarelock import HardwareLockedError, lock_hardware, refuse_hardware
from egse.spw.zeromq import SpaceWireOverZeroMQ


@pytest.fixture
def _locked() -> Iterator[None]:
    lock_hardware("this is a dry run")
    yield
    lock_hardware(None)


@pytest.mark.usefixtures("_locked")
def test_a_library_that_knows_nothing_of_this_package() -> None:
    with pytest.raises(HardwareLockedError, match=r"192\.0\.2\.1:5025 refused: this is a dry run"):
        socket.create_connection(("192.0.2.1", 5025), timeout=0.1)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(HardwareLockedError, match="dry run"),
    ):
        sock.sendto(b"*RST", ("192.0.2.1", 5025))
    with pytest.raises(OSError, match="dry run"):
        urllib.request.urlopen("http://127.0.0.1:9/")


@pytest.mark.usefixtures("_locked")
@pytest.mark.parametrize("name", ["/dev/ttyUSB0", "/dev/ttyS0", "/dev/usbtmc0", "/dev/hidraw1"])
def test_device_files(name: str) -> None:
    with pytest.raises(HardwareLockedError, match=name):
        Path(name).read_bytes()


@pytest.mark.usefixtures("_locked")
def test_links_that_the_interpreter_does_not_see() -> None:
    with pytest.raises(HardwareLockedError, match="SpaceWire link at tcp://127"):
        SpaceWireOverZeroMQ("tcp://127.0.0.1:5555").connect()
    with pytest.raises(HardwareLockedError, match="the motor refused"):
        refuse_hardware("the motor")


@pytest.mark.usefixtures("_locked")
def test_simulators_of_this_process_and_files_stay_in_reach() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as own,
        socket.create_connection(own.getsockname(), timeout=1.0),
    ):
        own.accept()[0].close()
    left, right = socket.socketpair()
    left.close(), right.close()
    assert Path("/dev/null").read_bytes() == b""


def test_nothing_is_refused_afterwards() -> None:
    lock_hardware("for a moment")
    lock_hardware(None)
    refuse_hardware("the motor")
    with pytest.raises(OSError, match=r"refused|reached|No such|timed out") as caught:
        socket.create_connection(("127.0.0.1", 9), timeout=0.1)
    assert not isinstance(caught.value, HardwareLockedError)
