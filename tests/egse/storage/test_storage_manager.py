"""The storage manager without its server: days, observations, crashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.storage import ObservationInfo, StorageError, read_manifest, read_supplements
from egse.storage.files import sha256_of
from egse.storage.manager import StorageManager
from egse.storage.naming import utc_text

PUNA = {
    "origin": "PUNA",
    "persistence_class": "CSV",
    "prep": {"mode": "a", "column_names": ["timestamp", "x"]},
}
NOON = 12 * 3600.0


class Site:
    """A data folder and the storage manager that owns it now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "CSL1"
        self.clock = VirtualClock()
        self.clock.advance(NOON)
        self.manager = self._start()

    def _start(self) -> StorageManager:
        return StorageManager(self.folder, "CSL1", self.clock)

    def crash(self) -> StorageManager:
        """Ends the manager as a kill would (nothing is flushed by us) and starts the next one."""
        manager = self.manager
        manager.producers.close()
        manager.syncer.end()
        manager._hasher.close()
        manager._folder_lock.release()
        self.manager = self._start()
        return self.manager

    def row(self, x: int) -> dict[str, Any]:
        return {"origin": "PUNA", "data": {"timestamp": utc_text(self.clock.now()), "x": x}}

    def observation(self, test_id: int = 1, run_id: str = "run-1") -> ObservationInfo:
        return ObservationInfo(
            run_id=run_id,
            test_id=test_id,
            site_id="CSL1",
            setup_id=84,
            camera="chimay",
            start=utc_text(self.clock.now()),
            function='acquire(num_cycles="3")',
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.manager.close()


def values(path: Path) -> list[str]:
    return [line.split(",")[1] for line in path.read_text().splitlines()[1:]]


def test_rows_go_to_the_file_of_the_utc_day(site: Site) -> None:
    site.manager.register(PUNA)
    site.manager.save(site.row(1))
    site.clock.advance(NOON - 0.001)
    site.manager.save(site.row(2))
    site.clock.advance(0.001)
    site.manager.save(site.row(3))
    first = site.folder / "daily/20260101/20260101_CSL1_PUNA.csv"
    second = site.folder / "daily/20260102/20260102_CSL1_PUNA.csv"
    assert values(first) == ["1", "2"]
    assert values(second) == ["3"]
    assert second.read_text().splitlines()[0] == "timestamp,x"


def test_a_silent_producer_gets_its_new_file_at_midnight(site: Site) -> None:
    site.manager.register(PUNA)
    site.clock.advance(NOON)
    site.manager.tick()
    assert (site.folder / "daily/20260102/20260102_CSL1_PUNA.csv").exists()


def test_an_observation_over_midnight_is_mirrored_into_one_file(site: Site) -> None:
    site.manager.register(PUNA)
    site.manager.save(site.row(0))
    info = site.observation()
    site.manager.start_observation(info, {"setup.yaml": b"Setup:\n  a: 1\n"})
    site.manager.save(site.row(1))
    site.clock.advance(NOON)
    site.manager.save(site.row(2))
    site.manager.end_observation("run-1", "done")
    site.manager.save(site.row(3))
    folder = site.folder / "obs/01_".replace("01_", "00001_CSL1_chimay")
    assert values(folder / "00001_CSL1_chimay_PUNA_20260101_120000.csv") == ["1", "2"]
    assert values(site.folder / "daily/20260102/20260102_CSL1_PUNA.csv") == ["2", "3"]
    assert (folder / "00001_CSL1_chimay_setup.yaml").read_text() == "Setup:\n  a: 1\n"
    assert "CSL1_00084_00001" in (folder / "README.txt").read_text()


def test_permanent_files_are_neither_mirrored_nor_cycled(site: Site) -> None:
    item = {
        "origin": "obsid",
        "persistence_class": "TXT",
        "persistence_count": True,
        "filename": "obsid-table.txt",
    }
    assert site.manager.register(item)["filenames"] == [str(site.folder / "obsid-table.txt")]
    site.manager.save({"origin": "obsid", "data": "one"})
    site.manager.start_observation(site.observation(), {})
    site.clock.advance(2 * NOON)
    site.manager.save({"origin": "obsid", "data": "two"})
    assert site.manager.read({"origin": "obsid"}) == ["one", "two"]
    assert len(site.manager.get_filenames({"origin": "obsid"})) == 1


def test_only_registered_producers_can_save(site: Site) -> None:
    with pytest.raises(StorageError, match="not registered"):
        site.manager.save(site.row(1))
    for item in (
        {"origin": "X"},
        {"origin": "../X", "persistence_class": "CSV"},
        {"origin": "X", "persistence_class": "DOC"},
    ):
        with pytest.raises(StorageError):
            site.manager.register(item)
    with pytest.raises(StorageError):
        site.manager.register({"origin": "X", "persistence_class": "TXT", "filename": "../../escape.txt"})


def test_a_restarted_producer_takes_its_name_over(site: Site) -> None:
    site.manager.register(PUNA)
    site.manager.save(site.row(1))
    wider = {**PUNA, "prep": {"column_names": ["timestamp", "x", "y"]}}
    (name,) = site.manager.register(wider)["filenames"]
    site.manager.save({"origin": "PUNA", "data": {"timestamp": "t", "x": 2, "y": 9}})
    lines = Path(name).read_text().splitlines()
    assert lines[0] == "timestamp,x,y"
    assert lines[1].endswith(",1,")
    assert lines[2] == "t,2,9"


def test_numbered_files_restart_every_day_and_never_collide(site: Site) -> None:
    item = {"origin": "N-FEE_SPW", "persistence_class": "HDF5"}
    names = [Path(site.manager.new_registration(item, True)).name for _ in range(2)]
    assert names == ["20260101_CSL1_N-FEE_SPW_00001.hdf5", "20260101_CSL1_N-FEE_SPW_00002.hdf5"]
    (site.folder / "daily/20260101/20260101_CSL1_N-FEE_SPW_00007.hdf5.part").touch()
    assert site.crash().new_registration(item, True).endswith("_00008.hdf5")
    site.clock.advance(NOON)
    assert site.manager.new_registration(item, True).endswith("20260102_CSL1_N-FEE_SPW_00001.hdf5")


def test_after_a_crash_everything_goes_on(site: Site) -> None:
    site.manager.register(PUNA)
    info = site.observation()
    site.manager.start_observation(info, {})
    site.manager.save(site.row(1))
    site.manager.append_events("run-1", 0, [{"event": "a"}])
    manager = site.crash()
    assert manager.observation == info
    manager.save(site.row(2))
    assert manager.append_events("run-1", 1, [{"event": "b"}]) == 2
    mirror = Path(manager.get_filenames({"origin": "PUNA"})[1])
    assert values(mirror) == ["1", "2"]
    assert manager.end_observation("run-1", "interrupted", "lease")["status"] == "interrupted"
    assert site.crash().observation is None


def test_one_owner_of_a_data_folder(site: Site) -> None:
    with pytest.raises(BlockingIOError, match="in use by another sm"):
        StorageManager(site.folder, "CSL1", site.clock)


def test_start_and_end_can_be_repeated(site: Site) -> None:
    info = site.observation()
    first = site.manager.start_observation(info, {})
    assert site.manager.start_observation(info, {}) == first
    with pytest.raises(StorageError, match="CSL1_00084_00001 is open"):
        site.manager.start_observation(site.observation(2, "run-2"), {})
    sealed = site.manager.end_observation("run-1", "done")
    assert site.manager.end_observation("run-1", "failed", "late", info) == sealed
    assert site.crash().end_observation("run-1", "failed", "late", info) == sealed
    assert site.manager.start_observation(info, {})["sealed"] is True
    with pytest.raises(StorageError, match="not open"):
        site.manager.end_observation("run-9", "done")
    with pytest.raises(StorageError, match="no status"):
        site.manager.end_observation("run-1", "finished")


def test_a_folder_of_another_run_is_never_reused(site: Site) -> None:
    site.manager.start_observation(site.observation(), {})
    site.manager.end_observation("run-1", "done")
    with pytest.raises(StorageError, match="another run"):
        site.manager.end_observation("run-x", "done", "", site.observation(1, "run-x"))


def test_an_observation_that_never_opened_here_gets_a_folder_at_its_end(site: Site) -> None:
    info = site.observation()
    result = site.manager.end_observation("run-1", "failed", "the storage manager was away", info)
    manifest = read_manifest(Path(result["folder"]))
    assert manifest is not None
    assert (manifest.status, manifest.reason) == ("failed", "the storage manager was away")


def test_the_manifest_lists_every_file_with_its_checksum(site: Site) -> None:
    site.manager.register(PUNA)
    site.manager.start_observation(site.observation(), {"setup.yaml": b"Setup: {}\n"})
    site.manager.save(site.row(1))
    site.manager.add_file("run-1", "executed.ipynb", b"{}")
    site.manager.add_file("run-1", "executed.ipynb", b"{1}")
    site.manager.append_events("run-1", 0, [{"event": "a"}])
    raw = site.folder / "daily/20260101/20260101_CSL1_N-FEE_SPW_00001.hdf5"
    raw.write_bytes(b"raw" * 1000)
    assert site.manager.register_raw_file(str(raw), None) == "CSL1_00084_00001"
    result = site.manager.end_observation("run-1", "done")
    folder = Path(result["folder"])
    manifest = read_manifest(folder)
    assert manifest is not None
    assert {entry.path for entry in manifest.files} == {path.name for path in folder.iterdir()} - {
        "manifest.json"
    }
    for entry in manifest.files:
        assert (entry.sha256, entry.size) == (
            sha256_of(folder / entry.path),
            (folder / entry.path).stat().st_size,
        )
        assert (folder / entry.path).stat().st_mode & 0o777 == 0o440
    assert [(entry.path, entry.size) for entry in manifest.external] == [(f"daily/20260101/{raw.name}", 3000)]
    assert manifest.external[0].sha256 == sha256_of(raw)
    assert result["manifest_sha256"] == sha256_of(folder / "manifest.json")
    assert folder.stat().st_mode & 0o777 == 0o750


def test_raw_files_are_remembered_over_a_crash_and_reported_when_lost(site: Site) -> None:
    site.manager.start_observation(site.observation(), {})
    daily = site.folder / "daily/20260101"
    daily.mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        path = daily / f"20260101_CSL1_N-FEE_SPW_{number:05d}.hdf5"
        path.write_bytes(b"x" * number)
        site.manager.register_raw_file(str(path), "CSL1_00084_00001")
    manager = site.crash()
    (daily / "20260101_CSL1_N-FEE_SPW_00002.hdf5").unlink()
    manifest = read_manifest(Path(manager.end_observation("run-1", "done")["folder"]))
    assert manifest is not None
    assert [entry.size for entry in manifest.external] == [1, -1]


def test_raw_files_live_in_daily_only(site: Site, tmp_path: Path) -> None:
    outside = tmp_path / "x.hdf5"
    outside.write_bytes(b"x")
    part = site.folder / "daily/y.hdf5.part"
    part.write_bytes(b"x")
    link = site.folder / "daily/link.hdf5"
    link.symlink_to(outside)
    for path in (outside, part, link, site.folder / "daily/missing.hdf5", Path("../../x")):
        with pytest.raises(StorageError):
            site.manager.register_raw_file(str(path), None)


def test_add_file_stays_in_the_folder_and_off_the_managers_own_files(site: Site) -> None:
    site.manager.register(PUNA)
    site.manager.start_observation(site.observation(), {"setup.yaml": b"Setup: {}\n"})
    for name in ("../../../evil", "/etc/passwd", "a/b", "..", ""):
        with pytest.raises(ValueError, match="file name"):
            site.manager.add_file("run-1", name, b"x")
    for name in ("events.jsonl", "setup.yaml", "PUNA_20260101_120000.csv"):
        with pytest.raises(StorageError, match="written by the storage manager"):
            site.manager.add_file("run-1", name, b"x")
    with pytest.raises(StorageError, match="run-2 is not open"):
        site.manager.add_file("run-2", "x", b"x")
    site.manager.end_observation("run-1", "done")
    with pytest.raises(StorageError, match="not open"):
        site.manager.add_file("run-1", "late.txt", b"x")


def test_events_arrive_once_and_in_order(site: Site) -> None:
    site.manager.start_observation(site.observation(), {})
    events = [{"n": number} for number in range(10)]
    assert site.manager.append_events("run-1", 0, events[:4]) == 4
    assert site.manager.append_events("run-1", 2, events[2:6]) == 6
    assert site.manager.append_events("run-1", 8, events[8:]) == 6
    assert site.manager.append_events("run-1", 6, events[6:]) == 10
    assert site.manager.append_events("run-1", 0, events) == 10
    path = site.folder / "obs/00001_CSL1_chimay/00001_CSL1_chimay_events.jsonl"
    with path.open("a") as torn:
        torn.write('{"seq": 10, "n')
    assert site.crash().append_events("run-1", 10, [{"n": 10}]) == 11
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["seq"] for event in written] == [event["n"] for event in written] == list(range(11))


def test_supplements_are_chained_and_never_replace(site: Site) -> None:
    site.manager.start_observation(site.observation(), {})
    sealed = site.manager.end_observation("run-1", "done")
    folder = Path(sealed["folder"])
    for obsid in ("CSL1_00084_00001", "1"):
        site.manager.add_supplement(obsid, "report.txt", b"fine")
    with pytest.raises(StorageError, match="other content"):
        site.manager.add_supplement("1", "report.txt", b"changed")
    spool = site.folder / "spool"
    spool.mkdir()
    (spool / "cube").write_bytes(b"FITS")
    path = site.manager.adopt_file("1", "N-FEE_CCD_00001_20260101_cube.fits", str(spool / "cube"))
    assert site.manager.adopt_file("1", "N-FEE_CCD_00001_20260101_cube.fits", str(spool / "cube")) == path
    raw = site.folder / "daily/late.hdf5"
    raw.write_bytes(b"late")
    assert site.manager.register_raw_file(str(raw), "CSL1_00084_00001") == "CSL1_00084_00001"
    first, second, third = read_supplements(folder)
    assert first.prev == sealed["manifest_sha256"]
    assert [s.path for s in (first, second, third)] == [
        "00001_CSL1_chimay_report.txt",
        "00001_CSL1_chimay_N-FEE_CCD_00001_20260101_cube.fits",
        "daily/late.hdf5",
    ]
    assert third.external
    assert len({first.prev, second.prev, third.prev}) == 3
    with pytest.raises(StorageError, match="no observation"):
        site.manager.add_supplement("77", "x", b"x")


def test_adopted_files_come_from_the_sites_own_folders_only(site: Site, tmp_path: Path) -> None:
    site.manager.start_observation(site.observation(), {})
    outside = tmp_path / "secret"
    outside.write_bytes(b"x")
    link = site.folder / "spool"
    link.mkdir()
    (link / "l").symlink_to(outside)
    for path in (outside, link / "l", site.folder / "obs/00001_CSL1_chimay/README.txt"):
        with pytest.raises(StorageError):
            site.manager.adopt_file("1", "x", str(path))
    (link / "ok").write_bytes(b"ok")
    path = site.manager.adopt_file("1", "x", str(link / "ok"))
    assert site.manager.adopt_file("1", "x", str(link / "ok")) == path
    assert Path(path).read_bytes() == b"ok"


def test_damaged_state_is_set_aside(site: Site) -> None:
    (site.folder / ".sm_state.json").write_text("{broken")
    manager = site.crash()
    assert manager.producers.filenames == {}
    assert (site.folder / ".sm_state.damaged").exists()
