"""`python -m egse.spw`: testing a connection against a simulated FEE, showing packets, a DSI without its library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.spw import ESLError, RMAPLink, SpaceWireOverDSI, make_link, register_transport


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Endpoint of a running N-FEE simulator."""
    command = [sys.executable, "-m", "egse.fee.n_fee_sim", "start", "--port", "0", "--speed", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[2]
        process.terminate()
        assert process.wait(30) == 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egse.spw", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_good_connection(endpoint: str) -> None:
    result = run("check", "--endpoint", endpoint, "--timeout", "10")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 4
    assert endpoint in lines[0]
    assert "timecode " in lines[1]
    assert "housekeeping, mode 0" in lines[2]
    assert "0x119D0000" in lines[3]
    assert "144 bytes" in lines[3]


def test_nobody_at_the_other_end() -> None:
    result = run("check", "--endpoint", "tcp://127.0.0.1:9", "--timeout", "0.2")
    assert result.returncode == 1
    assert result.stdout.count("FAIL") == 3
    assert "are there sync pulses?" in result.stdout
    assert "Traceback" not in result.stderr


def test_a_packet_is_shown() -> None:
    result = run("show", "50F0 0090 0582 0105 0000" + "00" * 144)
    assert "HousekeepingPacket (154 bytes)" in result.stdout
    assert "0x0582" in result.stdout
    assert run("show", "xyz").returncode == 2


def test_a_dsi_without_its_library(tmp_path: Path) -> None:
    with pytest.raises(ESLError, match="ESL_LIBRARY") as caught:
        SpaceWireOverDSI("10.0.0.7", library=tmp_path / "libesl.so")
    assert "n_fee_sim" in str(caught.value)
    (tmp_path / "broken.so").write_text("no library")
    with pytest.raises(ESLError, match="cannot be loaded"):
        SpaceWireOverDSI("10.0.0.7", library=tmp_path / "broken.so")
    result = run("check", "--dsi")
    assert result.returncode == 1
    assert "ESL_LIBRARY" in result.stderr
    assert "Traceback" not in result.stderr


def test_transports_by_address() -> None:
    def make(address: str, identity: str) -> RMAPLink:
        return make_link("tcp://127.0.0.1:1", identity)

    register_transport("spwtest", make)
    register_transport("spwtest", make)
    assert isinstance(make_link("spwtest://somewhere"), RMAPLink)
    with pytest.raises(ValueError, match="already"):
        register_transport("tcp", make)
    with pytest.raises(ValueError, match="no SpaceWire transport"):
        make_link("spwtec://somewhere")
