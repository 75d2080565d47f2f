"""The index follows the files: incrementally, after damage, on media that cannot be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

from egse.archive import ArchiveIndex, Observation, Query, index_file, list_observations, site_folder
from egse.archive.index_file import INDEX_FILE, is_network_disk, open_index
from egse.archive.index_files import FileIndex
from egse.archive.query import parse_moment, parse_until
from egse.confman.observations import ObservationBook
from egse.storage.observation import ObservationInfo
from egse.system import unix_time


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def ask(site: Path, **wanted: object) -> list[str]:
    with ArchiveIndex(site) as index:
        index.refresh()
        return [entry.obsid for entry in Query(**wanted).run(index)]  # type: ignore[arg-type]


def add(site: Path, number: int, status: str = "done") -> None:
    """Records one more observation, as the configuration manager does."""
    book = ObservationBook(site)
    info = ObservationInfo(
        run_id=f"x{number}", test_id=number, site_id="CSL1", setup_id=85, start="2026-02-01T00:00:00.000+0000"
    )
    record = book.open(info)
    if status:
        book.closed(book.closing(record, status, "because", "2026-02-01T01:00:00.000+0000"), "0" * 64)


ALL = ["CSL1_00084_00001", "CSL1_00084_00002", "CSL1_00084_00003"]


def test_questions(site: Path) -> None:
    add(site, 7)
    assert ask(site) == [*ALL, "CSL1_00085_00007"]
    assert ask(site, last=2) == ["CSL1_00084_00003", "CSL1_00085_00007"]
    assert ask(site, status=("failed",)) == ALL[1:2]
    assert ask(site, status=("running", "failed")) == ALL[1:3]
    assert ask(site, setup=85) == ["CSL1_00085_00007"]
    assert ask(site, since=unix_time("2026-01-15")) == ["CSL1_00085_00007"]
    assert ask(site, until=unix_time("2026-01-15")) == ALL
    assert ask(site, text="ACQUIRE.*3", last=1) == ALL[2:]
    assert ask(site, text="85_00007") == ["CSL1_00085_00007"]
    with pytest.raises(ValueError, match="no regular expression"):
        ask(site, text="(")
    with pytest.raises(ValueError, match="no status; there are: running, done"):
        ask(site, status=("lost",))


def test_times_as_people_write_them() -> None:
    assert parse_moment("2026-01-02T03:04") == unix_time("2026-01-02T03:04:00.000+0000")
    assert parse_until("2026-01-02") == unix_time("2026-01-03")
    assert parse_until("yesterday") == parse_moment("today")
    assert parse_moment("today") - parse_moment("yesterday") == 86_400
    assert parse_moment("2d") == pytest.approx(parse_moment("48h"), abs=5)
    with pytest.raises(ValueError, match="is no time"):
        parse_moment("soon")


def test_only_what_is_new_is_read(site: Path) -> None:
    ask(site)
    with ArchiveIndex(site) as index:
        before = index.fact("record_offset")
    assert before == (site / "observations.jsonl").stat().st_size
    add(site, 7, status="")
    assert ask(site, status=("running",)) == [ALL[2], "CSL1_00085_00007"]
    with ArchiveIndex(site) as index:
        assert index.fact("record_offset") == (site / "observations.jsonl").stat().st_size > before


def test_folders_that_come_and_go(site: Path) -> None:
    ask(site)
    shutil.rmtree(site / "obs/00002_CSL1_chimay")
    (site / "obs/00299_IAS").mkdir()
    (site / "obs/00757_CSL_00009").mkdir()
    with ArchiveIndex(site) as index:
        index.refresh()
        assert {entry.prefix: entry.present for entry in index.select()} == {
            "00001_CSL1_chimay": True,
            "00002_CSL1_chimay": False,
            "00003_CSL1_chimay": True,
            "00299_IAS": True,
            "00757_CSL_00009": True,
        }
    (site / "obs/00299_IAS").rmdir()
    assert [observation.prefix for observation in list_observations(site)] == [
        "00001_CSL1_chimay",
        "00003_CSL1_chimay",
        "00757_CSL_00009",
    ]


def test_older_observations_are_known_from_the_obsid_table(site: Path) -> None:
    folder = site / "obs/00299_IAS"
    folder.mkdir()
    with (site / "obsid-table.txt").open("a") as table:
        table.write('00299 IAS 00062 2022-07-01T13:26:13.123+0000 cam_dark(n="(1, 2)") [first light]\n')
    (folder / "00299_IAS_SYN-HK_20220701_132613.csv").write_text(
        "timestamp,GSYN_X\n2022-07-01T13:26:14.000+0000,1\n"
    )
    observation = Observation("IAS_00062_00299", site)
    assert (observation.obsid, observation.description) == ("IAS_00062_00299", "first light")
    assert observation.function == 'cam_dark(n="(1, 2)")'
    assert observation.hk["SYN-HK"]["GSYN_X"].tolist() == [1]
    assert observation.events == observation.commands == observation.notes == []
    with pytest.raises(LookupError, match="no Setup 00062 of IAS"):
        _ = observation.setup
    (site / "conf").mkdir()
    (site / "conf/SETUP_IAS_00062_220601_000000.yaml").write_text("Setup:\n  camera: {ID: EM}\n")
    assert Observation(299, site).setup.camera.ID == "EM"
    with pytest.raises(LookupError, match="no observation IAS_00063"):
        Observation("IAS_00063_00299", site)


def test_a_record_that_was_replaced(site: Path, original: Path) -> None:
    add(site, 7)
    assert len(ask(site)) == 4
    shutil.copy(original / "observations.jsonl", site / "observations.jsonl")
    assert ask(site) == ALL
    (site / "observations.jsonl").unlink()
    with ArchiveIndex(site) as index:
        index.refresh()
        assert [(entry.status, entry.source) for entry in index.select()] == [
            ("done", "folder"),
            ("failed", "folder"),
            ("", "folder"),
        ]


def test_deleted_damaged_or_old_it_is_made_again(site: Path) -> None:
    assert ask(site) == ALL
    path = site / INDEX_FILE
    assert path.stat().st_mode & 0o007 == 0
    path.unlink()
    assert ask(site) == ALL
    for content in (b"no database at all" * 100, b"SQLite format 3\0" + os.urandom(5000)):
        path.write_bytes(content)
        assert ask(site) == ALL
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert ask(site) == ALL


def test_a_link_in_its_place_is_not_followed(site: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (site / INDEX_FILE).symlink_to(victim)
    assert ask(site) == ALL
    assert victim.read_text() == "precious"
    assert list((tmp_path / "cache/camtest/archive").glob("*.sqlite"))


def test_while_another_process_writes_the_answer_is_the_old_one(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(site) == ALL
    monkeypatch.setattr("egse.archive.index_file.BUSY_TIMEOUT", 0.05)
    other, _ = open_index(site)
    other.execute("BEGIN IMMEDIATE")
    add(site, 7)
    assert ask(site) == ALL
    other.execute("ROLLBACK")
    other.close()
    assert len(ask(site)) == 4


def test_many_readers_at_once(site: Path) -> None:
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(ask(site))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [ALL] * 8


@pytest.mark.parametrize("has_cache", [True, False])
def test_media_that_cannot_be_written(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_cache: bool
) -> None:
    monkeypatch.setattr("egse.archive.index_file.is_network_disk", lambda folder: True)
    if not has_cache:
        (tmp_path / "cache").write_text("a file where the folder should be")
    before = sorted(site.iterdir())
    assert ask(site) == ALL
    assert Observation(1, site).status == "done"
    assert sorted(site.iterdir()) == before
    with ArchiveIndex(site) as index:
        assert (index.path is not None) == has_cache


def test_files_with_checksums_and_times(site: Path) -> None:
    with ArchiveIndex(site) as index:
        files = FileIndex(index)
        files.refresh()
        known = {entry.path: entry for entry in files.of_observation("00001_CSL1_chimay")}
        hk = known["obs/00001_CSL1_chimay/00001_CSL1_chimay_PUNA_20260101_000000.csv"]
        assert (hk.mnemonic, hk.kind) == ("PUNA", "member")
        assert hk.end_time is not None
        assert hk.start_time is not None
        assert hk.end_time - hk.start_time == 1.0
        raw = known["daily/20260101/20260101_CSL1_N-FEE_SPW_00001.hdf5"]
        assert raw.sha256
        assert raw.kind == "daily"
        assert known["obs/00001_CSL1_chimay/00001_CSL1_chimay_report.txt"].sha256
        (daily,) = files.of_producer("PUNA", unix_time("2026-01-01"), unix_time("2026-01-02"))
        assert daily.path == "daily/20260101/20260101_CSL1_PUNA.csv"
        assert not files.of_producer("PUNA", unix_time("2026-01-02"), unix_time("2026-01-03"))
        (site / "daily/20260101/20260101_CSL1_NEW.csv").write_text("timestamp,x\n")
        (site / "obs/00003_CSL1_chimay/00003_CSL1_chimay_late.txt").touch()
        shutil.rmtree(site / "obs/00002_CSL1_chimay")
        files.refresh()
        assert {entry.mnemonic for entry in files.select("kind = 'daily'")} == {"PUNA", "N-FEE_SPW", "NEW"}
        assert files.select("path LIKE '%late.txt'")
        assert not files.select("folder LIKE '%00002%'")


def test_where_an_archive_is(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    shutil.copytree(site, root / "CSL1")
    assert site_folder(root) == site_folder(root / "CSL1") == root / "CSL1"
    (root / "IAS/obs").mkdir(parents=True)
    with pytest.raises(LookupError, match="CSL1, IAS"):
        site_folder(root)
    monkeypatch.setenv("SITE_ID", "IAS")
    assert site_folder(root) == root / "IAS"
    with pytest.raises(LookupError, match="no archive"):
        site_folder(root / "CSL1/obs")
    with pytest.raises(LookupError, match="no folder"):
        site_folder(tmp_path / "nowhere")


def test_on_another_machine_without_environment_and_services(site: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(site, tmp_path / "machine" / "CSL1"))

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [Path(sysconfig.get_path("scripts")) / "camtest", *map(str, arguments)],
            env={"PATH": os.environ["PATH"], "COLUMNS": "200"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = run("obs", "list", "--data-dir", copy.parent, "--csv").splitlines()
    assert [line.split(",")[:2] for line in listed[1:]] == [
        [ALL[0], "done"],
        [ALL[1], "failed"],
        [ALL[2], ""],
    ]
    assert "00001_CSL1_chimay_telemetry.csv" in run("obs", "show", 1, "--data-dir", copy)
    assert "as recorded" in run("verify", "1", "--data-dir", copy)


def test_a_list_of_observations_loads_neither_network_nor_numbers() -> None:
    """It is asked for a hundred times a day, and from scripts."""
    code = (
        "import sys\n"
        "from camtest.cli import main\n"
        "import egse.archive\n"
        "egse.archive.ArchiveIndex, egse.archive.Query, egse.archive.site_folder\n"
        "import camtest.cli.obs\n"
        "print(sorted({'zmq', 'psutil', 'numpy', 'pandas', 'h5py', 'rich', 'egse.setup'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_for_a_pipe_one_line_is_one_observation(site: Path) -> None:
    camtest = Path(sysconfig.get_path("scripts")) / "camtest"
    done = subprocess.run(
        [camtest, "obs", "list", "-n", "2", "--data-dir", site], capture_output=True, text=True, check=True
    )
    head, *lines, caption = done.stdout.splitlines()
    assert head.split() == ["obsid", "status", "start", "(UTC)", "function", "description"]
    assert [line.split()[0] for line in lines] == ALL[1:]
    assert all(line.find("CSL1") == 0 and line[head.index("status") - 1] == " " for line in lines)
    assert caption == "2 of 3 observations"


@pytest.mark.parametrize(
    ("folder", "network"),
    [("/srv/far away/data", True), ("/srv/far", False), ("/srv/far away/data/disk", False)],
)
def test_disks_of_other_machines(
    folder: str, network: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw,relatime 0 0\n"
        "server:/data /srv/far\\040away nfs4 rw,vers=4.2 0 0\n"
        "/dev/sdb1 /srv/far\\040away/data/disk xfs rw 0 0\n"
    )
    monkeypatch.setattr(index_file, "_MOUNTS", mounts)
    assert is_network_disk(Path(folder)) is network
