"""The wire between a control server and its device: tap, replay, console and reservation."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egse.clock import VirtualClock
from egse.device import TCPTransport
from egse.journal import last_records
from egse.maintenance import DeviceReservedError, Maintenance
from egse.ogse import OGSEController, OGSEModel, OGSEProxy, OGSESimulator
from egse.ogse.ogse_cs import APP
from egse.simulator import MemoryTransport, SimulatorServer
from egse.simulator.replay import RecordedFramer, ReplayModel
from egse.wiretap import Chunk, WireTap, load_tap, save_tap

from .conftest import Served

MAIN = "from egse.cli import main; main()"


@pytest.fixture
def proxy(served: Served, over_tcp: Callable[..., SimulatorServer]) -> Iterator[OGSEProxy]:
    """A client of an OGSE control server that talks to a simulator over TCP."""
    host, port = over_tcp(OGSEModel(), max_clients=1).address
    settings = f"  HK_DELAY: 0.05\n  HK_MARGIN: 0\n  DEVICE_HOSTNAME: {host}\n  DEVICE_PORT: {port}\n"
    with served(APP, settings=settings), OGSEProxy() as client:
        yield client


def cgse(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], input=text, capture_output=True, text=True, timeout=60
    )


def test_a_tap_forgets_the_oldest_bytes_first() -> None:
    tap = WireTap(capacity=10)
    for number in range(5):
        tap.sent(b"%04d" % number)
    assert [chunk.data for chunk in tap.chunks()] == [b"0003", b"0004"]


def test_a_damaged_tap_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x.tap"
    save_tap(file, [Chunk(1.0, ">", b"\x00\xff"), Chunk(2.0, "<", b"ok\n")])
    assert load_tap(file) == [Chunk(1.0, ">", b"\x00\xff"), Chunk(2.0, "<", b"ok\n")]
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(file.read_text() + '{"time": 3, "dir": ">", "data": "?"}\n')
    with pytest.raises(ValueError, match="line 3"):
        load_tap(file)


def test_what_a_driver_exchanged_is_replayed_to_it_again() -> None:
    clock = VirtualClock()
    original = OGSESimulator(clock, seed=4)

    def session(ogse: OGSEController) -> list[object]:
        told = [ogse.version(), ogse.status(), ogse.power_on(), ogse.get_flags(), ogse.operate_on()]
        clock.sleep(10)
        return [*told, ogse.get_flags(), ogse.get_power_and_temperature()]

    with original:
        expected = session(original)
    model = ReplayModel(original.transport.tap.chunks())
    with OGSEController(transport=MemoryTransport(model, clock, banner=True)) as replayed:
        assert session(replayed) == expected
        assert session(replayed) == expected, "from the beginning again"
    assert model.describe()["unknown"] == 0


def test_requests_in_pieces_and_unknown_ones() -> None:
    framer = RecordedFramer([b"\x01\x02", b"\x01\x02\x03\n", b"level\n"])
    assert framer.feed(b"\x01\x02\x03") == []
    assert framer.feed(b"\nlev") == [b"\x01\x02\x03\n"]
    assert framer.feed(b"el\nwhat\nlevel\n") == [b"level\n", b"what", b"level\n"]
    with pytest.raises(ValueError, match="no request"):
        ReplayModel([Chunk(0.0, "<", b"x")])


def test_the_tap_of_a_server_is_saved_and_stands_in_for_the_device(proxy: OGSEProxy, tmp_path: Path) -> None:
    version = proxy.version()
    file = tmp_path / "ogse.tap"
    saved = cgse("tap", "ogse", "--save", str(file))
    assert saved.returncode == 0, saved.stderr
    shown = cgse("tap", "ogse", "-n", "100000")
    assert "> version" in shown.stdout, shown.stderr
    assert "< This is PLATO" in shown.stdout
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "replay", str(file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        _, host, port = process.stdout.readline().split()
        with OGSEController(host, int(port)) as replayed:
            assert replayed.version() == version
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()


def test_a_reserved_device_is_left_alone(proxy: OGSEProxy, tmp_path: Path) -> None:
    ticket = proxy.send("reserve_device", {"by": "anna@lab", "reason": "new lamp"})
    with pytest.raises(DeviceReservedError, match="anna@lab: new lamp"):
        proxy.power_on()
    with pytest.raises(DeviceReservedError, match="nothing was sent"):
        proxy.version()
    with pytest.raises(DeviceReservedError):
        proxy.send("reserve_device", {"by": "bert", "reason": "mine"})
    with pytest.raises(DeviceReservedError):
        proxy.send("exchange_raw", {"ticket": "guessed", "data": ""})
    assert proxy.is_connected(), "what asks nothing of the device is answered"
    with proxy.get_service_proxy() as services:
        assert services.get_server_status()["reserved"] == "reserved by anna@lab: new lamp"
    rows_before = proxy.send("get_wire_tap", {"last": 100000})
    answer = proxy.send(
        "exchange_raw", {"ticket": ticket, "data": base64.b64encode(b"get power").decode(), "wait": 5.0}
    )
    assert base64.b64decode(answer) == b"power: OFF\n"
    silent = proxy.send(
        "exchange_raw", {"ticket": ticket, "data": base64.b64encode(b" ").decode(), "wait": 0.1}
    )
    assert silent == ""
    rows = proxy.send("get_wire_tap", {"last": 100000})
    assert [row[1] for row in rows[len(rows_before) :]] == [">", "<", ">"], (
        "housekeeping asks nothing meanwhile"
    )
    proxy.send("release_device", {"ticket": ticket})
    assert proxy.get_power() == "power: OFF"
    records = last_records(tmp_path / "data" / "LAB" / "journal" / "ogse_cs", 50)
    assert "exchange_raw" in json.dumps([getattr(record, "command", "") for record in records])


def test_the_console_talks_to_the_device_and_gives_it_back(proxy: OGSEProxy) -> None:
    done = cgse("console", "ogse", "--reason", "look", text="get lamp\nnonsense\n\\xzz\n")
    assert done.returncode == 0, done.stderr
    assert "lamp: OFF" in done.stdout
    assert "ERROR: unknown command string: nonsense" in done.stdout
    assert "xzz" in done.stderr or "escape" in done.stderr
    assert proxy.get_lamp() == "lamp: OFF", "the device is free again"
    assert "no device server" in cgse("console", "nothing", "--reason", "x").stderr


def test_a_reservation_ends_by_itself() -> None:
    now = 0.0
    maintenance = Maintenance(TCPTransport("localhost", 1), clock=lambda: now)
    maintenance.reserve_device("a", "b", 10.0)
    now = 9.0
    assert maintenance.is_reserved
    now = 10.5
    assert not maintenance.is_reserved
    assert maintenance.reserve_device("c", "d", 10.0)
