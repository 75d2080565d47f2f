"""The spool: what is on disk after a crash, and the HDF5 file made of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from egse.h5 import Kind, SpoolError, SpoolReader, SpoolWriter, project_spool, recover_spools

NAME = "20231114_CSL1_N-FEE_SPW_00007"
T0 = 1_700_000_000.0


def fill(writer: SpoolWriter, attributes: dict[str, int], data: list[bytes], frames: int = 2) -> None:
    writer.append_map(
        Kind.CYCLE, {"file": NAME + ".hdf5", "num_cycles": 2, "register": b"\x11\xbb" * 1024}, T0
    )
    for number in range(frames):
        writer.append_map(Kind.FRAME, {"frame": number, "attributes": attributes}, T0)
        writer.append(Kind.TIMECODE, bytes([40 + number]), T0 + number)
        writer.append(Kind.HK, bytes(154), T0 + number)
        for packet in data:
            writer.append(Kind.DATA, packet, T0 + number)
        writer.append(Kind.HK_DATA, bytes(144), T0 + number)
        writer.append_map(Kind.COMMAND, {"name": "clear_error_flags", "packet": b"\x51\x01"}, T0 + number)
        writer.append(Kind.FRAME_END, b"", T0 + number)
    writer.append_map(Kind.CYCLE, {"obsid": "CSL1_00084_01151"}, T0 + 1)


def test_records_come_back(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path / "a.spool") as writer:
        written = [writer.append(Kind.DATA, bytes([n]) * n, T0 + n) for n in range(5)]
    with SpoolReader(tmp_path / "a.spool") as reader:
        assert list(reader.scan()) == written
        assert [bytes(reader.payload(record)) for record in written] == [bytes([n]) * n for n in range(5)]


def test_reader_follows_a_growing_file(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path / "a.spool") as writer, SpoolReader(writer.path) as reader:
        record = writer.append(Kind.DATA, b"later", T0)
        assert bytes(reader.payload(record)) == b"later"


def test_a_spool_is_never_overwritten(tmp_path: Path) -> None:
    SpoolWriter(tmp_path / "a.spool").close()
    with pytest.raises(FileExistsError):
        SpoolWriter(tmp_path / "a.spool")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.spool").write_bytes(b"something else")
    with pytest.raises(SpoolError, match="not a spool"):
        SpoolReader(tmp_path / "b.spool")


@pytest.mark.parametrize("cut", [1, 10, 19, 21, 150])
def test_torn_tail_ends_the_good_part(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.spool"
    with SpoolWriter(path) as writer:
        for n in range(3):
            writer.append(Kind.DATA, bytes([n]) * 100, T0)
    os.truncate(path, path.stat().st_size - cut)
    with SpoolReader(path) as reader:
        assert len(list(reader.scan())) == (2 if cut < 120 else 1)


def test_damaged_record_ends_the_good_part(tmp_path: Path) -> None:
    path = tmp_path / "a.spool"
    with SpoolWriter(path) as writer:
        records = [writer.append(Kind.DATA, bytes([n]) * 100, T0) for n in range(3)]
    raw = bytearray(path.read_bytes())
    raw[records[1].offset + 50] ^= 1
    path.write_bytes(raw)
    with SpoolReader(path) as reader:
        assert list(reader.scan()) == records[:1]


def test_projection(tmp_path: Path, attributes: dict[str, int]) -> None:
    data = [bytes([n]) * 50 for n in range(20)]
    with SpoolWriter(tmp_path / f"{NAME}.spool") as writer:
        fill(writer, attributes, data)
    facts = project_spool(writer.path, tmp_path / "x.hdf5")
    assert facts is not None
    assert facts.obsid == "CSL1_00084_01151"
    with h5py.File(tmp_path / "x.hdf5", "r") as file:
        assert file["obsid"][()] == b"CSL1_00084_01151"
        assert bytes(file["register"][:2]) == b"\x11\xbb"
        assert file["1/timecode"][()] == 41
        assert [bytes(file[f"1/data/{n}"][()]) for n in range(20)] == data
        assert file["1/commands/0"].attrs["name"] == "clear_error_flags"
        assert file["1/data"].attrs["v_start"] == 4500


WRITE_FOR_EVER = f"""
import sys
from pathlib import Path
from egse.h5 import Kind, SpoolWriter
writer = SpoolWriter(Path(sys.argv[1]) / "{NAME}.spool")
writer.append_map(Kind.CYCLE, {{"file": "{NAME}.hdf5", "obsid": "CSL1_00084_01151"}}, {T0})
writer.append_map(Kind.FRAME, {{"frame": 0, "attributes": {{}}}}, {T0})
number = 0
while True:
    writer.append(Kind.DATA, number.to_bytes(4, "big") * 8000, {T0})
    number += 1
    if number == 50:
        print("ready", flush=True)
"""


def test_what_was_spooled_survives_kill_9(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    ((path, facts),) = recover_spools(tmp_path.glob("*.spool"), tmp_path)
    assert path == tmp_path / "daily" / "20231114" / f"{NAME}.hdf5"
    assert facts.obsid == "CSL1_00084_01151"
    assert not list(tmp_path.glob("*.spool"))
    with h5py.File(path, "r") as file:
        count = len(file["0/data"])
        assert count >= 50
        assert all(int.from_bytes(bytes(file[f"0/data/{n}"][:4]), "big") == n for n in range(count))
    assert recover_spools(tmp_path.glob("*.spool"), tmp_path) == []


def test_recovery_skips_what_is_in_use_and_what_is_damaged(
    tmp_path: Path, attributes: dict[str, int]
) -> None:
    with SpoolWriter(tmp_path / f"{NAME}.spool") as writer:
        fill(writer, attributes, [])
    damaged = tmp_path / "20231114_CSL1_N-FEE_SPW_00008.spool"
    damaged.write_bytes(b"rubbish!")
    assert recover_spools([damaged], tmp_path) == []
    assert damaged.exists()
    assert writer.path.exists()


def test_spool_without_frames_gives_no_file(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path / f"{NAME}.spool") as writer:
        writer.append_map(Kind.CYCLE, {"file": NAME + ".hdf5"}, T0)
    assert recover_spools(tmp_path.glob("*.spool"), tmp_path) == []
    assert list(tmp_path.iterdir()) == []
