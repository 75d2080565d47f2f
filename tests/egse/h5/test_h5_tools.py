"""Raw files open in the tools of HDF5 (h5ls, h5dump), which are of another version than the library that writes them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from egse.h5 import CycleWriter

BOTH = ((2, 6), (3, 0))

pytestmark = pytest.mark.skipif(
    not (shutil.which("h5ls") and shutil.which("h5dump")), reason="the tools of HDF5 are not installed"
)


def run(*command: str | Path) -> str:
    """Returns what a tool prints; it must not complain."""
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture
def data(make_side: Callable[..., list[bytes]]) -> list[bytes]:
    pixels = np.arange(20 * 2295, dtype=np.uint16).reshape(20, 2295)
    return make_side(pixels, 10, 2, 0, 0)


@pytest.fixture(params=BOTH, ids=["2.6", "3.0"])
def path(
    request: pytest.FixtureRequest, tmp_path: Path, attributes: dict[str, int], data: list[bytes]
) -> Path:
    path = tmp_path / "20260102_LAB_N-FEE_SPW_00001.hdf5"
    with CycleWriter(path, version=request.param) as writer:
        writer.obsid, writer.num_cycles, writer.register = "CSL1_00084_01151", 3, bytes(2048)
        frame = writer.frame(0)
        frame.attributes({**attributes, "suspect_packets": [1]})
        frame.timecode(10, 1_700_000_000.0)
        frame.hk(bytes(154))
        frame.packets(data)
        frame.hk_data(bytes(144))
        frame.command("n_fee_set_dump_mode", b"\x51\x01\x7c\xd1", 1_700_000_001.0)
    return path


def test_they_list_it(path: Path, data: list[bytes]) -> None:
    listed = dict(line.split(maxsplit=1) for line in run("h5ls", "-r", path).splitlines())
    assert listed["/0/timecode"] == "Dataset {SCALAR}"
    assert listed["/0/hk"] == "Dataset {154}"
    assert listed["/register"] == "Dataset {2048}"
    assert listed["/0/commands/0"] == "Dataset {4}"
    packed = listed.get("/0/data/packets")
    assert (
        packed == f"Dataset {{{sum(map(len, data))}}}" or listed["/0/data/1"] == f"Dataset {{{len(data[1])}}}"
    )


def test_they_dump_it(path: Path, data: list[bytes], tmp_path: Path) -> None:
    header = run("h5dump", "-A", path)
    for text in (
        'ATTRIBUTE "timestamp"',
        'ATTRIBUTE "v_end"',
        'ATTRIBUTE "suspect_packets"',
        "CSL1_00084_01151",
    ):
        assert text in header or text in run("h5dump", path)
    packed = "/0/data/packets" in run("h5ls", "-r", path)
    out = tmp_path / "bytes"
    run("h5dump", "-d", "/0/data/packets" if packed else "/0/data/1", "-b", "LE", "-o", out, path)
    assert out.read_bytes() == (b"".join(data) if packed else data[1])
    if packed:
        assert '"sequence_counter"' in run("h5dump", "-d", "/0/data/headers", path)
