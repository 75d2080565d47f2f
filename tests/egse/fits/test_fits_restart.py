"""The queue, several workers, and a FITS generator that is killed at any point and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from egse.archive import Observation, verify
from egse.fits import make_cubes
from egse.fits.build import STAGING, deliver_offline
from egse.fits.cube import CubesAbandonedError
from egse.fits.follower import Follower
from egse.fits.queue import DONE, FAILED, PROCESSING, WAITING, FileQueue
from egse.storage.manifest import entry_of
from egse.storage.observation import ObservationFolder

OBSID = "LAB_00007_00042"
POINTS = ("fits.before_rename", "fits.before_deliver", "fits.after_deliver")


@pytest.fixture
def raw_files(site_folder: Path, make_camera: Any) -> list[Path]:
    """DUMP, 2 cycles, and 1 cycle of other rows: two cubes."""
    camera = make_camera(site_folder)
    camera.to_dump()
    camera.acquire(2)
    camera.acquire(1, ccd_order=[2, 2, 2, 2], ccd_side="F", row_start=100, row_end=120)
    files: list[Path] = camera.close()
    return files


@pytest.fixture
def sealed(raw_files: list[Path], observation_folder: ObservationFolder, site_folder: Path) -> Observation:
    external = [entry_of(path, site_folder) for path in raw_files]
    observation_folder.seal("done", "", "2023-11-14T23:00:00.000+0000", external)
    return Observation(42)


def make(observation: Observation) -> list[Path]:
    return make_cubes(observation, deliver_offline, workers=2)


def test_killed_at_any_point(sealed: Observation, site_folder: Path) -> None:
    code = "import sys; from egse.fits.fitsgen import for_obsid; for_obsid(['42', '--location', sys.argv[1]])"
    for point in POINTS:
        process = subprocess.run(
            [sys.executable, "-c", code, str(site_folder)],
            env={**os.environ, "CGSE_FAIL_POINT": point},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert process.returncode in (0, -signal.SIGKILL), process.stderr
    cubes = make(Observation(42))
    assert [path.name.split("_")[5] for path in cubes] == ["00001", "00002"]
    assert [fits.getheader(path)["NCYCLES"] for path in cubes] == [2, 1]
    assert verify(Observation(42)) == []
    assert len(Observation(42).supplements) == 2
    assert not [path for path in (site_folder / STAGING).iterdir() if path.suffix != ".lock"]


def test_cube_that_was_moved_but_not_recorded(sealed: Observation) -> None:
    cubes = make(sealed)
    record = sealed.folder / "supplements.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:-1]))
    assert make(Observation(42)) == cubes
    assert len(Observation(42).supplements) == 2
    assert verify(Observation(42)) == []


def test_given_up_at_the_end_of_the_process(sealed: Observation, site_folder: Path) -> None:
    with pytest.raises(CubesAbandonedError):
        make_cubes(sealed, deliver_offline, is_ending=lambda: True)
    assert list((site_folder / STAGING).iterdir()) == []
    assert len(make(sealed)) == 2


def test_follower(raw_files: list[Path], observation_folder: ObservationFolder, site_folder: Path) -> None:
    follower = Follower(site_folder, make)
    follower.look()
    assert follower.counts() == {WAITING: len(raw_files), PROCESSING: 0, DONE: 0, FAILED: 0}
    external = [entry_of(path, site_folder) for path in raw_files]
    observation_folder.seal("done", "", "2023-11-14T23:00:00.000+0000", external)
    with FileQueue(site_folder) as queue:
        queue.mark(OBSID, PROCESSING)  # as one that was killed leaves it
    follower.close()
    again = Follower(site_folder, make)
    again.look()
    assert again.counts() == {WAITING: 0, PROCESSING: 0, DONE: len(raw_files), FAILED: 0}
    assert len(Observation(42).supplements) == 2
    again.look()
    again.close()


def test_follower_notes_failures_and_waits_for_servers(sealed: Observation, site_folder: Path) -> None:
    errors: list[Exception] = [ConnectionError("sm_cs does not answer"), OSError("disk full")]

    def fail(observation: Observation) -> list[Path]:
        raise errors.pop(0)

    follower = Follower(site_folder, fail)
    follower.look()
    assert follower.counts()[PROCESSING] > 0
    follower.look()
    assert follower.counts()[FAILED] > 0
    follower.look()
    assert not errors
    follower.close()


def test_queue_of_files_without_observation(tmp_path: Path) -> None:
    with FileQueue(tmp_path) as queue:
        assert queue.add([("a.hdf5", ""), ("b.hdf5", OBSID), ("c.hdf5", OBSID)]) == 3
        assert queue.add([("b.hdf5", OBSID)]) == 0
        assert queue.waiting() == [OBSID]
        queue.mark(OBSID, FAILED, "why")
        assert queue.files(OBSID) == {"b.hdf5": FAILED, "c.hdf5": FAILED}
        assert queue.names() == {"a.hdf5", "b.hdf5", "c.hdf5"}
    assert (tmp_path / "hdf5_queue" / "hdf5_queue.sqlite").stat().st_mode & 0o777 == 0o640
