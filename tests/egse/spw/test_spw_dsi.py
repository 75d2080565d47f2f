"""The link through a DSI, against a stand-in for the library of 4Links that is compiled here."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.resource import add_resource_root
from egse.rmap import RMAPTarget, read_command
from egse.spw import (
    EEP,
    EOP,
    ESLError,
    SpaceWireDisconnectError,
    SpaceWireEEPError,
    SpaceWireError,
    SpaceWireEscapeError,
    SpaceWireInterface,
    SpaceWireLinkError,
    SpaceWireOverDSI,
    SpaceWirePacket,
    SpaceWireParityError,
    TimecodePacket,
    make_link,
)
from egse.spw.check import check_connection
from egse.spw.esl import ALL_REPORTS, ESLLibrary, Terminator, find_library

SOURCE = Path(__file__).parent / "esl_standin.c"
COMPILER = shutil.which("gcc") or shutil.which("cc")

pytestmark = pytest.mark.skipif(
    COMPILER is None, reason="no C compiler (gcc or cc) to build the stand-in with"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled stand-in."""
    path = tmp_path_factory.mktemp("esl") / "libEtherSpaceLink.so"
    command = [str(COMPILER), "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", str(path), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    return path


class StandIn:
    """The hands of a test on the stand-in."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.standin_address.restype = ctypes.c_char_p
        self._library.standin_receive.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
        self._library.standin_reset()

    def receive(self, data: bytes, terminator: int = Terminator.EOP) -> None:
        self._library.standin_receive(int(terminator), data, len(data))

    def receive_error(self, code: int) -> None:
        self._library.standin_receive_error(code)

    def fail(self, function: str, code: int) -> None:
        self._library.standin_fail(function.encode(), code)

    def sent(self) -> tuple[int, bytes]:
        terminator, buffer = ctypes.c_int(), ctypes.create_string_buffer(1 << 16)
        size = self._library.standin_sent(ctypes.byref(terminator), buffer, len(buffer))
        assert size >= 0, "nothing was sent"
        return terminator.value, buffer.raw[:size]

    def get(self, name: str) -> int:
        return int(self._library.standin_get(name.encode()))

    @property
    def address(self) -> str:
        return str(self._library.standin_address().decode())


@pytest.fixture
def dsi(library: Path) -> StandIn:
    return StandIn(library)


@pytest.fixture
def link(library: Path, dsi: StandIn) -> Iterator[SpaceWireOverDSI]:
    with SpaceWireOverDSI("10.0.0.7", 1, 200, library=library, rmap_timeout=0.05) as link:
        link.configure()
        yield link


def test_it_has_the_methods_of_the_manual_and_no_other_public_name_is_needed() -> None:
    names = {
        "connect", "disconnect", "configure", "flush", "send_timecode", "read_packet", "write_packet",
        "read_register", "write_register", "read_memory_map",
    }  # fmt: skip
    assert SpaceWireInterface.__abstractmethods__ == names
    assert not SpaceWireOverDSI.__abstractmethods__


def test_opening_configures_the_port_and_closing_closes(library: Path, dsi: StandIn) -> None:
    link = SpaceWireOverDSI("10.0.0.7", 2, 200, library=library)
    assert "not connected" in str(link)
    with link:
        assert (dsi.address, dsi.get("opened"), link.is_connected) == ("10.0.0.7", 1, False)
        link.configure()
        assert (dsi.get("link"), dsi.get("speed"), dsi.get("mode")) == (2, 200, 2)
        assert dsi.get("reports") == ALL_REPORTS
        assert link.is_connected
        assert "Stand in (2 ports)" in str(link)
        link.connect()
    assert dsi.get("opened") == 0
    with pytest.raises(SpaceWireLinkError, match="not open"):
        link.read_packet(0)


def test_speed_and_active_port(link: SpaceWireOverDSI, dsi: StandIn) -> None:
    link.set_speed(400)
    assert (dsi.get("speed"), link.get_speed(), link.receive_speed) == (400, 400, 400)
    link.set_active_link(2)
    assert (dsi.get("link"), link.get_active_link()) == (2, 2)
    for wrong in (0, 9):
        with pytest.raises(ValueError, match="1 to 8"):
            link.active_link = wrong
    with pytest.raises(ValueError, match="has 2 ports"):
        link.active_link = 3
    with pytest.raises(ValueError, match="Mbit/s"):
        link.speed = 401
    assert link.active_link == 2
    dsi.fail("set_speed", 980)
    with pytest.raises(ESLError, match="speed cannot be set"):
        link.speed = 100


def test_packets_come_with_their_flags(link: SpaceWireOverDSI, dsi: StandIn) -> None:
    dsi.receive(b"whole")
    dsi.receive(b"in ", Terminator.PART_EOP_EEP)
    dsi.receive(b"parts")
    dsi.receive(b"\x91\x2a", Terminator.EXTN)
    dsi.receive(b"\x88\x01\x02", Terminator.EXTN)
    dsi.receive(b"special", Terminator.SPECIAL)
    dsi.receive(b"cut", Terminator.EEP)
    assert link.read_packet(100) == (EOP, b"whole")
    assert link.read_packet(100) == (EOP, b"in parts")
    timecode = SpaceWirePacket.create_packet(link.read_packet(100)[1])
    assert isinstance(timecode, TimecodePacket)
    assert timecode.timecode == 42
    assert link.read_packet(100) == (EEP, b"cut")
    assert link.read_packet(0) == (EOP, b"")
    assert link.read_packet(20) == (EOP, b"")


def test_the_loop_of_the_manual(link: SpaceWireOverDSI, dsi: StandIn) -> None:
    for number in range(3):
        dsi.receive(bytes(10 + number))
    sizes = []
    while True:
        _flags, data = link.read_packet(timeout=20)
        if 0 <= len(data) <= 1:
            break
        sizes.append(len(data))
    assert sizes == [10, 11, 12]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0x05, SpaceWireEscapeError),
        (0x06, SpaceWireEscapeError),
        (0x07, SpaceWireEscapeError),
        (0x08, SpaceWireDisconnectError),
        (0x09, SpaceWireParityError),
    ],
)
def test_errors_of_the_link_have_a_name(
    link: SpaceWireOverDSI, dsi: StandIn, code: int, error: type[SpaceWireError]
) -> None:
    dsi.receive(bytes((code,)), Terminator.EXTN)
    dsi.receive(b"next")
    with pytest.raises(error, match="port 1"):
        link.read_packet(100)
    assert link.link_errors == {error.__name__: 1}
    assert link.read_packet(100) == (EOP, b"next")


def test_what_came_before_an_error_is_not_lost(link: SpaceWireOverDSI, dsi: StandIn) -> None:
    dsi.receive(b"before")
    dsi.receive(b"\x09", Terminator.EXTN)
    dsi.receive(b"after")
    assert link.read_packets() == [(EOP, b"before")]
    assert link.poll(0.01) == []
    with pytest.raises(SpaceWireParityError):
        link.read_packets()
    assert link.is_running
    assert link.read_packets() == [(EOP, b"after")]


def test_errors_of_the_library_have_a_name(link: SpaceWireOverDSI, dsi: StandIn) -> None:
    dsi.receive_error(989)
    with pytest.raises(SpaceWireDisconnectError, match="closed the connection"):
        link.read_packet(100)
    dsi.receive(bytes(1 << 18))
    with pytest.raises(ESLError, match="does not fit"):
        link.read_packet(100)
    dsi.fail("write_packet", 998)
    with pytest.raises(ESLError, match="cannot be flushed") as caught:
        link.write_packet(b"data")
    assert caught.value.code == 998


def test_sending(link: SpaceWireOverDSI, dsi: StandIn) -> None:
    link.write_packet(b"\x00data\x00")
    link.write_packet(memoryview(b"cut"), EEP)
    link.send_timecode(63)
    link.write_packet(b"\x91\x05")
    assert dsi.sent() == (Terminator.EOP, b"\x00data\x00")
    assert dsi.sent() == (Terminator.EEP, b"cut")
    assert dsi.sent() == (Terminator.EXTN, b"\x3f")
    assert dsi.sent() == (Terminator.EXTN, b"\x05")
    with pytest.raises(ValueError, match="0 to 63"):
        link.send_timecode(64)


def test_rmap_over_the_dsi(link: SpaceWireOverDSI, dsi: StandIn) -> None:
    target = RMAPTarget(bytearray(range(256)) * 8)
    dsi.receive(b"\x91\x07", Terminator.EXTN)
    dsi.receive(target.handle(read_command(0x54, 4, 1).encode()) or b"")
    assert link.read_register(0x54) == bytes((0x54, 0x55, 0x56, 0x57))
    assert dsi.sent() == (Terminator.EOP, read_command(0x54, 4, 1).encode())
    assert link.read_packet(0) == (EOP, b"\x91\x07"), "it is kept while a reply is awaited"
    whole = target.handle(read_command(0x54, 4, 2).encode()) or b""
    dsi.receive(whole[:-2], Terminator.EEP)
    with pytest.raises(SpaceWireEEPError, match="EEP") as caught:
        link.read_register(0x54)
    assert caught.value.status == 7
    with pytest.raises(TimeoutError):
        link.read_register(0x54)


def test_flush_throws_away(link: SpaceWireOverDSI, dsi: StandIn) -> None:
    for _ in range(5):
        dsi.receive(b"old")
    link.flush()
    dsi.receive(b"new")
    assert link.read_packet(50) == (EOP, b"new")


def test_a_dsi_that_does_not_answer(library: Path, dsi: StandIn) -> None:
    dsi.fail("open", 0)
    (result,) = check_connection(SpaceWireOverDSI("10.0.0.7", library=library))
    assert not result.passed
    assert "no DSI answers at 10.0.0.7" in result.text
    assert dsi.get("opened") == 0


def test_another_port_than_4949(library: Path, dsi: StandIn) -> None:
    with SpaceWireOverDSI("10.0.0.7", library=library, port=5000):
        assert dsi.address == "10.0.0.7:5000"


def test_the_library_comes_from_settings_or_resources(
    library: Path, dsi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "local.yaml"
    settings.write_text(
        f"DSI:\n  HOSTNAME: dsi.lab\n  ESL_LIBRARY: {library}\n  SPW_LINK: 2\n  LINK_SPEED: 50\n"
    )
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(settings))
    with make_link("dsi:") as link:
        assert isinstance(link, SpaceWireOverDSI)
        assert (link.active_link, link.speed, dsi.address) == (2, 50, "dsi.lab")
    with make_link("dsi://10.1.1.1/1") as link:
        assert isinstance(link, SpaceWireOverDSI)
        assert (link.active_link, dsi.address) == (1, "10.1.1.1")
    with pytest.raises(ValueError, match="dsi://HOST"):
        make_link("dsi://10.1.1.1/9")
    add_resource_root("test-esl", library.parent)
    assert find_library(":/test-esl/*EtherSpaceLink*") == str(library)
    assert ESLLibrary(library).esl_get_version() == "stand-in"
