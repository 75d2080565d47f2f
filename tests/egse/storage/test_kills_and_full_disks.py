"""After a kill, or on a full disk, every file can be read by its ordinary reader and holds whole rows only."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits

from egse.clock import VirtualClock
from egse.storage import ObservationInfo, StorageFullError, read_manifest
from egse.storage.manager import StorageManager
from egse.storage.naming import utc_text

WRITER = Path(__file__).with_name("killed_writer.py")
KINDS = ("CSV", "TXT", "SQLite", "HDF5", "FITS")


def numbers(path: Path) -> list[int]:
    """Returns the numbers of the rows of a file, as its ordinary reader sees them."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            table = list(csv.reader(file))
        assert len({len(row) for row in table}) <= 1
        return [int(row[table[0].index("n")]) for row in table[1:]]
    if path.suffix == ".txt":
        text = path.read_text()
        assert text == "" or text.endswith("\n")
        return [int(line.split()[0]) for line in text.splitlines()]
    if path.suffix == ".sqlite":
        base = sqlite3.connect(path)
        try:
            assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return [row[0] for row in base.execute("SELECT n FROM data ORDER BY rowid")]
        finally:
            base.close()
    if path.suffix == ".hdf5":
        with h5py.File(path, "r") as file:
            if "n" not in file:
                return []
            assert [int(frame[0, 0]) for frame in file["frame"]] == file["n"][:].tolist()
            return [int(number) for number in file["n"]]
    with fits.open(path) as units:
        units.verify("exception")
        return [int(unit.data[0, 0]) for unit in units[1:]]


@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.campaign)])
def test_a_storage_manager_killed_while_it_writes(tmp_path: Path, kills: int) -> None:
    folder = tmp_path / "CSL1"
    generator = random.Random(kills)
    first, torn = 0, 0
    for _ in range(kills):
        acknowledged = dict.fromkeys(KINDS, first - 1)
        with subprocess.Popen(
            [sys.executable, str(WRITER), str(folder), str(first)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for _ in range(generator.randrange(1, 40)):
                kind, number = process.stdout.readline().split()
                acknowledged[kind] = int(number)
            process.kill()
            for line in process.stdout:
                with contextlib.suppress(ValueError):
                    kind, number = line.split()
                    acknowledged[kind] = int(number)
        manager = StorageManager(folder, "CSL1", VirtualClock())
        manager.close()
        found = {kind: numbers(path) for kind in KINDS for path in daily(folder, kind)}
        for kind in KINDS:
            assert found[kind] == list(range(len(found[kind]))), f"{kind}: a row is lost or doubled"
            assert acknowledged[kind] < len(found[kind]) <= acknowledged[kind] + 2
            torn += len(found[kind]) == acknowledged[kind] + 2
        assert not list(folder.rglob("*.damaged*"))
        # The next one starts with the first row that some file may lack; what is there is not doubled.
        first = min(acknowledged.values()) + 1
    print(
        f"{kills} kills, {first} rows in each of {len(KINDS)} formats: 0 lost, 0 doubled, {torn} unacknowledged kept"
    )


def daily(folder: Path, kind: str) -> list[Path]:
    suffix = {"CSV": "csv", "TXT": "txt", "SQLite": "sqlite", "HDF5": "hdf5", "FITS": "fits"}[kind]
    (path,) = folder.glob(f"daily/*/*_{kind.upper()}.{suffix}")
    return [path]


# -- a disk that is full to the last byte ----------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Takes the rest of the disk, to the last byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(folder).f_bavail == 0
    return filler


def row(kind: str, number: int) -> Any:
    return {
        "CSV": {"timestamp": f"t{number}", "n": number, "text": "y" * 3000},
        "TXT": f"{number} " + "x" * 3000,
        "SQLite": {"timestamp": f"t{number}", "n": number, "blob": bytes(3000)},
        "HDF5": {"n": number, "frame": np.full((30, 25), number, np.int32)},
        "FITS": {"name": f"N{number}", "data": np.full((30, 25), number, np.int32)},
    }[kind]


def info() -> ObservationInfo:
    return ObservationInfo(
        run_id="run-1", test_id=1, site_id="CSL1", setup_id=84, start=utc_text(VirtualClock().now())
    )


@pytest.mark.parametrize("kind", KINDS)
def test_rows_on_a_full_disk_are_refused_as_a_whole_and_taken_when_there_is_room(
    small_disk: Path, kind: str
) -> None:
    folder = small_disk / "CSL1"
    manager = StorageManager(folder, "CSL1", VirtualClock(), fsync_interval=0.0)
    manager.register({"origin": "X", "persistence_class": kind, "prep": {}})
    manager.start_observation(info(), {})
    stored = 0

    def save() -> None:
        nonlocal stored
        manager.save({"origin": "X", "data": row(kind, stored), "session": "one", "number": stored})
        stored += 1

    def save_for_ever() -> None:
        while True:
            save()

    for _ in range(20):
        save()
    filler = fill(small_disk)
    with pytest.raises(StorageFullError, match="the data disk is full, nothing was stored"):
        save_for_ever()
    for _ in range(3):
        with pytest.raises(StorageFullError):
            save()
    files = [Path(name) for name in manager.get_filenames({"origin": "X"})]
    for path in files:
        assert numbers(path) == list(range(stored))
    filler.unlink()
    for _ in range(5):
        save()
    assert manager.end_observation("run-1", "done")["status"] == "done"
    manager.close()
    for path in files:
        assert numbers(path) == list(range(stored))


def test_everything_else_on_a_full_disk(small_disk: Path) -> None:
    folder = small_disk / "CSL1"
    clock = VirtualClock()
    manager = StorageManager(folder, "CSL1", clock, fsync_interval=0.0)
    puna = {"origin": "PUNA", "persistence_class": "CSV", "prep": {"column_names": ["timestamp", "n"]}}
    manager.register(puna)
    filler = fill(small_disk)
    for call in (
        lambda: manager.register({**puna, "origin": "ZONDA"}),
        lambda: manager.start_observation(info(), {"setup.yaml": b"Setup: {}\n"}),
        lambda: manager.save({"origin": "PUNA", "data": {"timestamp": "t", "n": 1, "wider": 2}}),
    ):
        with pytest.raises(StorageFullError):
            call()
    clock.advance(86_400.0)
    manager.tick()
    manager.close()
    manager = StorageManager(folder, "CSL1", clock, fsync_interval=0.0)  # it comes up all the same
    with pytest.raises(StorageFullError):
        manager.save({"origin": "PUNA", "data": {"timestamp": "t", "n": 1}})
    filler.unlink()
    manager.register({**puna, "origin": "ZONDA"})
    manager.start_observation(info(), {"setup.yaml": b"Setup: {}\n"})
    filler = fill(small_disk)
    for call in (
        lambda: manager.add_file("run-1", "x.txt", b"x" * 10_000),
        lambda: manager.append_events("run-1", 0, [{"event": "x" * 10_000}]),
        lambda: manager.end_observation("run-1", "done"),
    ):
        with pytest.raises(StorageFullError):
            call()
    filler.unlink()
    assert manager.append_events("run-1", 0, [{"event": "a"}]) == 1
    manager.save({"origin": "PUNA", "data": {"timestamp": "t", "n": 7}})
    result = manager.end_observation("run-1", "done")
    manifest = read_manifest(Path(result["folder"]))
    assert manifest is not None
    assert sum(entry.path.endswith("events.jsonl") for entry in manifest.files) == 1
    (path,) = folder.glob("daily/20260102/*PUNA.csv")
    assert numbers(path) == [7]
    assert not [
        path for path in folder.rglob(".*") if path.name not in (".sm_ledger", ".sm_state.json", ".sm.lock")
    ]
    manager.close()
