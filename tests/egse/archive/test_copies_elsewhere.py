"""Copies by rsync, their verification, and the removal of what is verified elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.archive import ArchiveIndex, Observation, verify
from egse.archive.copies import COPIES_FILE, FAILED, Copies
from egse.archive.index_file import INDEX_FILE
from egse.archive.index_files import FileIndex
from egse.archive.retention import Rules, outlook, plan_prune, prune
from egse.archive.rsync import Destination, Rsync, SyncError, check_rate
from egse.archive.sync import SETTLED, finished_files, plan_sync, sync, verify_copies
from egse.cli.archive import archive
from egse.confman.observations import CLOSED
from egse.settings import Settings, SettingsError
from egse.storage.files import FolderLock
from egse.system import unix_time

pytestmark = pytest.mark.skipif(
    shutil.which("rsync") is None, reason="rsync is not installed (apt install rsync)"
)

RAW = "daily/20260101/20260101_CSL1_N-FEE_SPW_0000{}.hdf5"
LONG_AGO = unix_time("2026-01-02T00:00:00.000+0000")
DAY = 86_400.0


@pytest.fixture
def data(site: Path, tmp_path: Path) -> Path:
    """A site of a while ago."""
    folder = tmp_path / "data" / "CSL1"
    shutil.copytree(site, folder)
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, data: Path) -> Destination:
    (tmp_path / "elsewhere").mkdir()
    return Destination.parse(str(tmp_path / "elsewhere"), data)


def copy_of(destination: Destination, path: str) -> Path:
    assert destination.folder is not None
    return destination.folder / "CSL1" / path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_everything_is_copied_and_verified_once(data: Path, elsewhere: Destination) -> None:
    (data / "daily/20260101/20260101_CSL1_N-FEE_SPW_00009.hdf5.part").touch()
    (data / "obs/00001_CSL1_chimay/.hidden").touch()
    (data / "spool/dpu").mkdir(parents=True)
    (data / "spool/dpu/x.spool").touch()
    report = sync(data, elsewhere)
    assert report.problems == []
    assert report.verified > 20
    copied, original = tree(copy_of(elsewhere, "")), tree(data)
    assert all(copied[name] == original[name] for name in copied)
    left_out = {name for name in original.keys() - copied.keys() if not Path(name).name.startswith(".")}
    assert left_out == {
        "daily/20260101/20260101_CSL1_N-FEE_SPW_00009.hdf5.part",
        "spool/dpu/x.spool",
        INDEX_FILE,
        COPIES_FILE,
    }
    again = sync(data, elsewhere)
    assert (again.verified, again.problems) == (0, [])
    assert verify(Observation(1, copy_of(elsewhere, ""))) == []
    assert [Observation(n, elsewhere.folder).status for n in (1, 2, 3)] == ["done", "failed", ""]


def test_what_grows_is_copied_but_not_verified(data: Path, elsewhere: Destination) -> None:
    now = time.time()
    os.utime(data / RAW.format(1), (now, now))
    sync(data, elsewhere)
    with Copies(data) as copies:
        known = copies.at(elsewhere.name)
    assert not any(path.startswith("obs/00003_") for path in known)
    assert "observations.jsonl" not in known
    assert RAW.format(1) not in known
    assert RAW.format(2) in known
    assert copy_of(elsewhere, "obs/00003_CSL1_chimay/observation.json").exists()
    assert not copy_of(elsewhere, RAW.format(1)).exists()
    os.utime(data / RAW.format(1), (now - SETTLED - 1,) * 2)
    assert [item.path for item in plan_sync(data, elsewhere).new] == [RAW.format(1)]


def test_a_damaged_copy_is_noticed_and_made_again(data: Path, elsewhere: Destination) -> None:
    sync(data, elsewhere)
    victim = copy_of(elsewhere, RAW.format(2))
    flip(victim)
    report = verify_copies(data, elsewhere)
    assert report.problems == [f"{RAW.format(2)}: the copy differs from what was recorded (checksum)"]
    assert sync(data, elsewhere).problems == []
    assert victim.read_bytes() == (data / RAW.format(2)).read_bytes()
    assert verify_copies(data, elsewhere).problems == []


def flip(path: Path) -> None:
    """Damages a file in the middle; its size and time stay."""
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, (LONG_AGO, LONG_AGO))


def test_a_damaged_original_is_noticed_and_does_not_replace_the_copy(
    data: Path, elsewhere: Destination
) -> None:
    original = data / RAW.format(1)
    flip(original)
    report = sync(data, elsewhere)
    assert report.problems == [f"{RAW.format(1)}: the copy differs from what was recorded (checksum)"]
    good = copy_of(elsewhere, RAW.format(2)).read_bytes()
    with (data / RAW.format(2)).open("ab") as file:
        file.write(b"x")
    os.utime(data / RAW.format(2), (LONG_AGO + 1,) * 2)
    (problem,) = [text for text in sync(data, elsewhere).problems if RAW.format(2) in text]
    assert "kept as it is" in problem
    assert copy_of(elsewhere, RAW.format(2)).read_bytes() == good


def test_supplements_and_late_rows_follow(data: Path, elsewhere: Destination) -> None:
    sync(data, elsewhere)
    daily = data / "daily/20260101/20260101_CSL1_PUNA.csv"
    with daily.open("a") as file:
        file.write("2026-01-01T00:00:59.000+0000,7,True\n")
    os.utime(daily, (LONG_AGO + 5,) * 2)
    assert [item.path for item in plan_sync(data, elsewhere).new] == ["daily/20260101/20260101_CSL1_PUNA.csv"]
    assert sync(data, elsewhere).verified == 1
    daily.write_text("timestamp\n")
    os.utime(daily, (LONG_AGO + 9,) * 2)
    assert "was altered" in sync(data, elsewhere).problems[0]
    assert "00:00:59" in copy_of(elsewhere, "daily/20260101/20260101_CSL1_PUNA.csv").read_text()


def test_two_at_once_are_refused(data: Path, elsewhere: Destination) -> None:
    lock = FolderLock(data, "archive")
    with pytest.raises(BlockingIOError, match="in use by another archive"):
        sync(data, elsewhere)
    lock.release()
    assert sync(data, elsewhere).problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("-e touch", "no destination"), ("/nowhere/at/all", "no folder"), ("", "no destination"), ("{data}", "onto itself"), ("{data}/obs", "onto itself")],
)  # fmt: skip
def test_destinations_that_make_no_sense(data: Path, text: str, message: str) -> None:
    with pytest.raises(SyncError, match=message):
        Destination.parse(text.format(data=data), data)


def test_destinations(data: Path, tmp_path: Path) -> None:
    assert Destination.parse(str(tmp_path), data.parent / "IAS").name == str(tmp_path)
    for text in ("me@host:/archive/CSL1/", "me@host:/archive"):
        assert Destination.parse(text, data) == Destination("me@host:/archive", None)
    assert Destination.parse("rsync://host/mod/", data).target() == "rsync://host/mod/"
    assert Destination.parse("host:", data).target() == "host:"
    assert check_rate("20m") == "20m"
    with pytest.raises(SyncError, match="no rate"):
        check_rate("--fast")


def test_without_rsync(data: Path, elsewhere: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SyncError, match="apt install rsync"):
        Rsync(data, elsewhere)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Destination]:
    """A real rsync server on this machine, with a module that can be written."""
    (tmp_path / "module").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "rsyncd.conf"
    config.write_text(
        f"port = {port}\naddress = 127.0.0.1\nuse chroot = no\nlock file = {tmp_path}/lock\npid file = {tmp_path}/pid\n"
        f"[archive]\npath = {tmp_path}/module\nread only = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n"
    )
    process = subprocess.Popen(["rsync", "--daemon", "--no-detach", f"--config={config}"])
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Destination(f"rsync://127.0.0.1:{port}/archive", None)
    finally:
        process.terminate()
        process.wait(60)


def test_another_machine(data: Path, daemon: Destination, tmp_path: Path) -> None:
    assert Destination.parse(f"{daemon.name}/CSL1", data) == daemon
    report = sync(data, daemon)
    assert report.problems == []
    assert report.verified > 20
    victim = tmp_path / "module/CSL1" / RAW.format(1)
    flip(victim)
    assert verify_copies(data, daemon).problems == [f"{RAW.format(1)}: the copy differs (checksum)"]
    assert sync(data, daemon).problems == []
    plan = plan_prune(data, RULES, now=LONG_AGO + 60 * DAY, free=10**15)
    assert [candidate.file.path for candidate in plan.remove] == [RAW.format(1), RAW.format(2)]
    victim.unlink()
    removed, (problem,) = prune(data, plan, RULES)
    assert [each.file.path for each in removed] == [RAW.format(2)]
    assert "00001.hdf5 stays" in problem


def test_an_interrupted_copy_goes_on(
    data: Path, elsewhere: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egse.archive.sync.BATCH_FILES", 5)
    wanted = len(plan_sync(data, elsewhere).new)
    copy, calls = Rsync.copy, []

    def fails_later(self: Rsync, paths: list[str], total: int, **options: bool) -> None:
        calls.append(paths)
        if len(calls) == 3:
            raise SyncError("the line is cut")
        copy(self, paths, total, **options)

    monkeypatch.setattr(Rsync, "copy", fails_later)
    with pytest.raises(SyncError, match="cut"):
        sync(data, elsewhere)
    with Copies(data) as copies:
        assert len(copies.at(elsewhere.name)) == 10
    assert sync(data, elsewhere).verified == wanted - 10


def test_a_killed_command_leaves_no_rsync(data: Path, elsewhere: Destination) -> None:
    big = data / "daily/20260101/20260101_CSL1_N-FEE_SPW_00099.hdf5"
    with big.open("wb") as file:
        file.truncate(50_000_000)
    os.utime(big, (LONG_AGO, LONG_AGO))
    command = [shutil.which("cgse", path=f"{Path(os.sys.executable).parent}"), "archive", "sync"]  # type: ignore[attr-defined]
    process = subprocess.Popen(
        [*map(str, command), "--to", elsewhere.name, "--data-dir", str(data), "--bwlimit", "100"],
        start_new_session=True,
    )
    copying = copy_of(elsewhere, "daily/20260101")
    deadline = time.monotonic() + 60
    while not (copying.is_dir() and any(path.name.startswith(".2026") for path in copying.iterdir())):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-s", str(process.pid)], capture_output=True).returncode == 0:
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)


# -- removal -------------------------------------------------------------------------------------------------------

RULES = Rules({"HDF5": 30.0, "FITS": 90.0, "CSV": None}, protect_days=7.0, min_free=0.2, copies=1)
PLENTY = 10**15


def removable(data: Path, days: float, rules: Rules = RULES, free: int = PLENTY) -> list[str]:
    plan = plan_prune(data, rules, now=LONG_AGO + days * DAY, free=free)
    return [candidate.file.path for candidate in plan.remove]


def close_third(data: Path) -> None:
    """Ends the running observation in the record, so that it protects nothing any more."""
    from egse.confman.observations import ObservationBook

    book = ObservationBook(data)
    assert book.current is not None
    record = book.closed(book.closing(book.current, "done", "", "2026-01-01T01:00:00.000+0000"), "")
    assert record.state == CLOSED


def test_only_what_is_old_and_verified_is_removed(data: Path, elsewhere: Destination) -> None:
    close_third(data)
    assert removable(data, 60) == []
    sync(data, elsewhere)
    assert removable(data, 6) == []
    assert removable(data, 29) == []
    assert removable(data, 60) == [RAW.format(1), RAW.format(2), RAW.format(3)]
    everything = removable(data, 60, Rules({"HDF5": 1, "FITS": 1, "CSV": 1}))
    assert sum(path.endswith(".csv") for path in everything) == 4
    assert not any("telemetry" in path or "jsonl" in path for path in everything)
    assert removable(data, 29, free=0) == [RAW.format(1), RAW.format(2), RAW.format(3)]
    assert removable(data, 6, free=0) == []
    assert removable(data, 60, Rules(RULES.keep_days, copies=2)) == []


def test_removed_files_are_explained(data: Path, elsewhere: Destination) -> None:
    sync(data, elsewhere)
    plan = plan_prune(data, RULES, now=LONG_AGO + 60 * DAY, free=PLENTY)
    removed, problems = prune(data, plan, RULES, recheck=True)
    assert problems == []
    assert [each.file.path for each in removed] == [RAW.format(1), RAW.format(2)]
    assert not (data / RAW.format(1)).exists()
    (problem,) = verify(Observation(1, data))
    assert (problem.kind, elsewhere.name in str(problem)) == ("pruned", True)
    assert verify(Observation(1, elsewhere.folder)) == []
    assert sync(data, elsewhere).problems == []
    assert verify_copies(data, elsewhere).problems == []
    copy_of(elsewhere, RAW.format(1)).unlink()
    assert RAW.format(1) in verify_copies(data, elsewhere).problems[0]


def test_an_observation_whose_verification_failed_is_not_touched(data: Path, elsewhere: Destination) -> None:
    flip(data / "obs/00002_CSL1_chimay/00002_CSL1_chimay_setup.yaml")
    assert len(sync(data, elsewhere).problems) == 1
    with Copies(data) as copies:
        assert [copy.path for copy in copies.select("state = ?", (FAILED,))]
    assert removable(data, 60) == [RAW.format(1)]
    everything = removable(data, 60, Rules({"HDF5": 1, "FITS": 1, "CSV": 1}))
    assert not any("00002" in path for path in everything)


def test_what_belongs_to_an_open_observation_stays(data: Path, elsewhere: Destination) -> None:
    sync(data, elsewhere)
    assert RAW.format(3) not in removable(data, 60)
    # Raw files that nobody knows to belong to it are of its time.
    os.utime(data / RAW.format(3), (LONG_AGO + DAY,) * 2)
    assert RAW.format(3) not in removable(data, 60)


def test_a_copy_that_is_gone_keeps_the_original(data: Path, elsewhere: Destination) -> None:
    sync(data, elsewhere)
    plan = plan_prune(data, RULES, now=LONG_AGO + 60 * DAY, free=PLENTY)
    copy_of(elsewhere, RAW.format(1)).unlink()
    flip(copy_of(elsewhere, RAW.format(2)))
    removed, problems = prune(data, plan, RULES, recheck=True)
    assert removed == []
    assert len(problems) == 2
    assert (data / RAW.format(1)).exists()


def test_a_file_that_has_changed_since_stays(data: Path, elsewhere: Destination) -> None:
    sync(data, elsewhere)
    plan = plan_prune(data, RULES, now=LONG_AGO + 60 * DAY, free=PLENTY)
    os.utime(data / RAW.format(1))
    removed, (problem,) = prune(data, plan, RULES)
    assert [each.file.path for each in removed] == [RAW.format(2)]
    assert "changed meanwhile" in problem


def test_without_the_record_of_copies_nothing_is_removed(data: Path, elsewhere: Destination) -> None:
    sync(data, elsewhere)
    (data / INDEX_FILE).unlink()
    assert len(removable(data, 60)) == 2
    (data / COPIES_FILE).rename(data / "aside")
    assert removable(data, 60) == []
    (data / COPIES_FILE).write_bytes(b"damaged" * 1000)
    with pytest.raises(OSError, match="restore it from a backup"):
        removable(data, 60)
    (data / COPIES_FILE).unlink()
    sync(data, elsewhere)
    assert len(removable(data, 60)) == 2


def test_how_long_the_disk_lasts(data: Path) -> None:
    with ArchiveIndex(data) as index:
        FileIndex(index).refresh()
        assert outlook(index, LONG_AGO + 30 * DAY).days is None
        view = outlook(index, LONG_AGO + 2 * DAY)
        assert view.rate == pytest.approx(sum(e.size for e in FileIndex(index).select()) / 2)
        assert view.days == pytest.approx(view.free / view.rate)


def test_rules_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rules.load() == RULES
    local = tmp_path / "local.yaml"
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(local))
    for text in (
        "KEEP_DAYS: {HDF: 3}",
        "KEEP_DAYS: {HDF5: soon}",
        "MIN_FREE: 20",
        "COPIES: 0",
        "PROTECT_DAYS: -1",
    ):
        local.write_text(f"Archive:\n  {text}\n")
        Settings.clear_memoized()
        with pytest.raises(SettingsError, match="Archive"):
            Rules.load()
    monkeypatch.delenv("PLATO_LOCAL_SETTINGS")
    Settings.clear_memoized()


def test_the_commands(data: Path, elsewhere: Destination) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(archive, [*arguments, "--data-dir", str(data)])
        assert result.exit_code == code, result.output
        return result.output

    assert "3 observations" in run("index", "--rebuild")
    assert "No copies yet" in run("status")
    assert "where to?" in run("sync", code=2)
    dry = run("sync", "--to", elsewhere.name, "--dry-run")
    assert "verified before: 0" in dry
    assert list(Path(elsewhere.name).iterdir()) == []
    assert "verified at" in run("sync", "--to", elsewhere.name)
    assert "are right at" in run("verify", elsewhere.name)
    assert "days left" in run("status") or "No new data" in run("status")
    prune_plan = run("prune")
    assert "Disk:" in prune_plan
    assert (data / RAW.format(1)).exists()
    flip(copy_of(elsewhere, RAW.format(1)))
    assert "differs" in run("verify", elsewhere.name, code=1)


def test_finished_files_of_older_observations(data: Path) -> None:
    folder = data / "obs/00299_IAS"
    folder.mkdir()
    (folder / "00299_IAS_SYN-HK_20220701_132613.csv").touch()
    (folder / "00299_IAS_N-FEE_CCD_00001_20220701_images.fits").touch()
    with ArchiveIndex(data) as index:
        done, live = finished_files(index)
    assert "obs/00299_IAS/00299_IAS_SYN-HK_20220701_132613.csv" in {item.path for item in done}
    assert not any("images.fits" in path for path in [*live, *(item.path for item in done)])
