"""Checks and reports of raw files; plain HDF5 tools open them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from egse.h5 import CycleWriter
from egse.h5.check import check_hdf5_file, check_hdf5_files
from egse.h5.report import create_hdf5_report
from egse.h5.scripts import check_hdf5_files as check_command
from egse.h5.scripts import create_hdf5_report as report_command
from egse.rmap import write_command

T0 = 1_700_000_000.25
BOTH = pytest.mark.parametrize("version", [(2, 6), (3, 0)])


@pytest.fixture
def cycle(
    tmp_path: Path, attributes: dict[str, int], make_side: Callable[..., list[bytes]]
) -> Callable[..., Path]:
    pixels = np.random.default_rng(1).integers(0, 65536, (20, 2295), dtype=np.uint16)

    def write(
        number: int = 1,
        version: tuple[int, int] = (2, 6),
        first: int = 62,
        obsid: str = "LAB_00001_00042",
        spoil: Callable[[list[bytes]], list[bytes]] = lambda packets: packets,
    ) -> Path:
        path = tmp_path / f"20231114_LAB_N-FEE_SPW_{number:05d}.hdf5"
        with CycleWriter(path, version=version) as writer:
            writer.obsid, writer.register = obsid, bytes(2048)
            for index in range(4):
                sides = [make_side(pixels, 10, index, side, index) for side in (0, 1)]
                frame = writer.frame(index)
                frame.attributes(attributes)
                frame.timecode((first + index) % 64, T0 + 6.25 * index)
                frame.hk(b"\x50\xf0" + bytes(152))
                packets = [packet for pair in zip(*sides, strict=True) for packet in pair]
                frame.packets(spoil(packets) if index == 1 else packets)
                frame.hk_data(bytes(144))
            frame.command("n_fee_set_dump_mode", write_command(0x14, b"\0\0\0\1", 7).encode(), T0)
        return path

    return write


def findings(path: Path) -> list[str]:
    return [str(finding) for finding in check_hdf5_file(path).findings]


@BOTH
def test_good_files(cycle: Callable[..., Path], version: tuple[int, int]) -> None:
    cycle(1, version), cycle(2, version, first=2)
    reports = check_hdf5_files([cycle(3, version, first=6).parent])
    assert [report.findings for report in reports] == [[], [], []]
    frame = reports[0].frames[1]
    assert (frame.packets, frame.lost, frame.bad, frame.timecode) == (8, 0, 0, 63)
    assert reports[0].obsid == "LAB_00001_00042"


@BOTH
def test_lost_spoiled_and_repeated_packets(cycle: Callable[..., Path], version: tuple[int, int]) -> None:
    path = cycle(1, version, spoil=lambda p: [p[0], p[1], p[4], p[4], p[5], p[6][:100], p[7]])
    assert findings(path) == [
        "error: /1/data: 1 packets are spoiled (header, length or CRC): 5",
        "error: /1/data: 2 packets are missing: sequence counter 2 to 3",
        "error: /1/data: 1 packets are missing: sequence counter 6 to 6",
        "error: /1/data: 1 packets are repeated or out of order",
    ]


def test_one_bit_on_the_disk(cycle: Callable[..., Path]) -> None:
    path = cycle(1, (3, 0))
    with h5py.File(path, "r+") as file:
        file["2/data/packets"][40_000] ^= 8
    assert findings(path) == ["error: /2/data: 1 packets are spoiled (header, length or CRC): 1"]


def test_structure(cycle: Callable[..., Path], tmp_path: Path) -> None:
    path = cycle()
    with h5py.File(path, "r+") as file:
        del (
            file["register"],
            file["1/timecode"],
            file["2/hk"],
            file["0/data"].attrs["v_end"],
            file["dpu"].attrs["num_cycles"],
        )
        del file["obsid"]
        file["obsid"] = "42"
        command = file["3/commands/0"]
        command[len(command) - 1] ^= 1
    assert findings(path) == [
        "error: /obsid: '42' is not SITE_SETUP_TEST",
        "error: /dpu: has no attribute num_cycles",
        "error: /register: is not there",
        "error: /0/data: has no attributes v_end",
        "error: /1/timecode: is not there",
        "warning: /2/hk: is not there",
        "error: /3/commands/0: has a wrong data CRC",
    ]
    torn = tmp_path / "20231114_LAB_N-FEE_SPW_00009.hdf5"
    torn.write_bytes(path.read_bytes()[:1000])
    assert "cannot be read" in findings(torn)[0]
    with h5py.File(path, "r+") as file:
        del file["3"], file["2"]
    assert "error: /: holds 2 frames, not 4 as in external synchronisation" in findings(path)


def test_sequence_of_files(cycle: Callable[..., Path]) -> None:
    paths = [cycle(1), cycle(2, first=5), cycle(4, obsid="")]
    found = [[str(finding) for finding in report.findings] for report in check_hdf5_files(paths)]
    assert found == [
        [],
        ["error: /0/timecode: is 5, 2 should follow 1"],
        [
            "warning: /obsid: is empty: no observation was running",
            "warning: /: files 3 to 3 of this day are not here",
        ],
    ]


def test_commands_and_report(cycle: Callable[..., Path], tmp_path: Path) -> None:
    good = cycle(1)
    result = CliRunner().invoke(check_command, [str(good)])
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        0,
        "1 files, 4 frames, 32 packets, 0 lost, 0 spoiled: all are good",
    )
    bad = cycle(2, obsid="<b>", spoil=lambda packets: packets[1:])
    assert CliRunner().invoke(check_command, [str(tmp_path), "-q"]).exit_code == 1
    page = tmp_path / "report.html"
    assert CliRunner().invoke(report_command, [str(bad), "-o", str(page)]).exit_code == 0
    assert "&lt;b&gt;" in page.read_text()
    assert "<b>" not in page.read_text()
    assert "1 packets are missing" in page.read_text()
    text = create_hdf5_report(check_hdf5_files([bad]))
    assert "4500-4519" in text
    assert "2023-11-14T22:13:26.500+0000" in text
    assert CliRunner().invoke(report_command, [str(tmp_path / "nothing")]).exit_code == 2


@BOTH
@pytest.mark.skipif(shutil.which("h5dump") is None, reason="needs h5dump (Debian package hdf5-tools)")
def test_plain_tools(cycle: Callable[..., Path], version: tuple[int, int]) -> None:
    path = cycle(1, version)
    run = lambda *command: subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: E731
    assert "/3/timecode" in run("h5ls", "-r", str(path)).stdout
    dump = run("h5dump", "-a", "/1/data/v_end", "-d", "/obsid", str(path))
    assert "LAB_00001_00042" in dump.stdout
    assert "4519" in dump.stdout
    assert dump.stderr == ""
    if version == (3, 0):
        assert "sequence_counter" in run("h5dump", "-d", "/1/data/headers", str(path)).stdout
