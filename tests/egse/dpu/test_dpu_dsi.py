"""The DPU Processor on a DSI: the process, and the stand-in for the library of 4Links in it."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egse.dpu.backend import ProcessorBackend, spw_address
from egse.dpu.handle import ProcessorHandle
from egse.dpu.processor import ProcessorConfig
from egse.spw import ESLError
from egse.spw.esl import Terminator
from egse.spw.server import default_endpoint

SOURCE = Path(__file__).parents[1] / "spw" / "esl_standin.c"
COMPILER = shutil.which("gcc") or shutil.which("cc")
COUNTED = ("timecodes", "hk_packets", "link_parity_errors", "link_escape_errors", "link_failures")
HK_PACKET = struct.pack(">BBHHHH", 0x50, 0xF0, 144, 0x0582, 77, 0) + bytes(144)


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Compiles the stand-in, names it in the Settings, and has it receive a timecode, housekeeping, two errors and a timecode."""
    if COMPILER is None:
        pytest.skip("no C compiler (gcc or cc) to build the stand-in with")
    library = tmp_path / "libEtherSpaceLink.so"
    command = [COMPILER, "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    settings = tmp_path / "local.yaml"
    settings.write_text(f"DSI:\n  ESL_LIBRARY: {library}\n")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(settings))
    records = [
        (Terminator.EXTN, b"\x91\x2a"),
        (Terminator.EOP, HK_PACKET),
        (Terminator.EXTN, b"\x09"),
        (Terminator.EXTN, b"\x07"),
        (Terminator.EXTN, b"\x91\x2b"),
    ]
    playback = b"".join(struct.pack("=ii", kind, len(data)) + data for kind, data in records)
    (tmp_path / "playback").write_bytes(playback)
    monkeypatch.setenv("ESL_STANDIN_PLAYBACK", str(tmp_path / "playback"))
    return library


def make_config(root: Path, ports: list[int], address: str) -> Callable[[dict[str, str]], ProcessorConfig]:
    data, monitoring = (f"tcp://127.0.0.1:{port}" for port in ports)
    return lambda queues: ProcessorConfig(
        queues=queues, spw_endpoint=address, data_endpoint=data, monitoring_endpoint=monitoring,
        data_root=str(root), site="LAB", log_endpoint="tcp://127.0.0.1:1",
    )  # fmt: skip


def test_the_processor_reads_the_link_of_a_dsi(
    standin: Path, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    handle = ProcessorHandle(
        make_config(tmp_path, free_ports(2), "dsi://10.0.0.7/1"), lambda name, values: None
    )
    handle.start()
    try:
        assert handle.wait_ready(30)
        deadline = time.monotonic() + 30
        while (status := handle.query("status"))["counters"]["timecodes"] < 2:
            assert time.monotonic() < deadline, status
        assert (status["timecode"], status["frame_counter"]) == (43, 77)
        found = {name: status["counters"][name] for name in COUNTED}
        assert found == {**dict.fromkeys(COUNTED, 1), "timecodes": 2, "link_failures": 0}  # the link was kept
    finally:
        handle.stop()


class Context:
    """Of a control server whose settings name a link."""

    def __init__(self, address: str, simulator: bool) -> None:
        self.settings = {"SPW_ADDRESS": address}
        self.simulator = simulator
        self.clock: Any = None
        self.control_server = None


def test_the_address_is_that_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path))
    monkeypatch.setenv("SITE_ID", "LAB")
    assert spw_address({}) == spw_address({"SPW_ADDRESS": None}) == default_endpoint()
    assert spw_address({"SPW_ADDRESS": "dsi://10.0.0.7/2"}) == "dsi://10.0.0.7/2"
    for address, simulator, expected in (("", False, True), ("dsi:", False, False), ("dsi:", True, True)):
        backend = ProcessorBackend(Context(address, simulator))  # type: ignore[arg-type]
        assert backend.is_simulator() is expected
        backend.stop()


def test_without_the_library_the_server_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path))
    monkeypatch.setenv("SITE_ID", "LAB")
    settings = tmp_path / "local.yaml"
    settings.write_text(f"DSI:\n  ESL_LIBRARY: {tmp_path / 'nowhere.so'}\n")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(settings))
    backend = ProcessorBackend(Context("dsi:", False))  # type: ignore[arg-type]
    with pytest.raises(ESLError, match=r"nowhere\.so"):
        backend.start()
    assert backend.handle.pid is None
    backend.stop()
