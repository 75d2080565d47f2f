"""Backup of a site, and the drill: the site is destroyed, restored into an empty folder, and numbering goes on."""

from __future__ import annotations

import io
import shutil
import subprocess
import sysconfig
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.cli.backup import backup as backup_command
from egse.confman import ConfigurationManagerProxy, read_records
from egse.confman.git import run_git
from egse.confman.observations import ObservationBook
from egse.confman.recordfile import check_chain
from egse.site.backup import BackupError, create_backup, restore_backup, verify_backup
from egse.site.layout import SiteError, SiteLayout, merged_environment
from egse.site.sandbox import Sandbox
from egse.storage.observation import ObservationInfo


def record(site: SiteLayout, number: int) -> None:
    book = ObservationBook(site.data)
    info = ObservationInfo(
        run_id=f"r{number}",
        test_id=number,
        site_id=site.site_id,
        setup_id=1,
        start="2026-02-01T00:00:00.000+0000",
    )
    book.closed(book.closing(book.open(info), "done", "", "2026-02-01T01:00:00.000+0000"), "0" * 64)


@pytest.fixture
def used(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> SiteLayout:
    """A site with an observation, a journal, a remote, a Setup that is not committed and keys."""
    record(site, 1)
    (site.data / "obsid-table.txt").write_text("00001 LAB 00001 2026-02-01T00:00:00.000+0000 f()\n")
    journal = site.data / "journal/ogse_cs/20260201.journal"
    journal.parent.mkdir(parents=True)
    journal.write_text("x {}\n")
    run_git(site.conf_repo, "remote", "add", "origin", "git@example.org:conf.git")
    (site.conf / "SETUP_LAB_00002_260201_000000.yaml").write_text("Setup: {camera: {ID: duvel}}\n")
    keys = site.folder / "keys"
    keys.mkdir(mode=0o700)
    (keys / "server.key_secret").write_text("s3cr3t-canary")
    monkeypatch.setenv("PLATO_KEYS_LOCATION", str(keys))
    return site


def test_everything_comes_back(used: SiteLayout, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    create_backup(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify_backup(path)[1] == []
    layout, _ = restore_backup(path, tmp_path / "new")
    for name in (
        "observations.jsonl",
        "obsid-table.txt",
        "last_setup_id.txt",
        "journal/ogse_cs/20260201.journal",
    ):
        assert (layout.data / name).read_bytes() == (used.data / name).read_bytes()
    assert layout.settings.read_bytes() == used.settings.read_bytes()
    assert (layout.conf / "SETUP_LAB_00002_260201_000000.yaml").exists()
    for command in (
        ("log", "--format=%H %s"),
        ("remote", "-v"),
        ("status", "--porcelain"),
        ("symbolic-ref", "HEAD"),
    ):
        assert run_git(layout.conf_repo, *command) == run_git(used.conf_repo, *command)
    assert (layout.data / "conf").resolve() == layout.conf.resolve()
    assert not (layout.folder / "keys").exists()


def test_keys_only_when_asked_for(used: SiteLayout, tmp_path: Path) -> None:
    create_backup(tmp_path / "without.tar.gz")
    create_backup(tmp_path / "with.tar.gz", with_keys=True)
    with tarfile.open(tmp_path / "without.tar.gz") as tar:
        assert not any("canary" in tar.extractfile(m).read().decode("latin-1") for m in tar if m.isreg())  # type: ignore[union-attr]
    layout, _ = restore_backup(tmp_path / "with.tar.gz", tmp_path / "new")
    secret = layout.folder / "keys/server.key_secret"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("s3cr3t-canary", 0o600)
    assert secret.parent.stat().st_mode & 0o777 == 0o700


def test_a_record_that_is_being_written(used: SiteLayout, tmp_path: Path) -> None:
    with (used.data / "observations.jsonl").open("a") as file:
        file.write('{"rec":"open","run_id":"r2"')
    create_backup(tmp_path / "b.tar.gz")
    layout, _ = restore_backup(tmp_path / "b.tar.gz", tmp_path / "new")
    assert check_chain(layout.data / "observations.jsonl") == []


def test_damage_is_found(used: SiteLayout, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    create_backup(path)
    with tarfile.open(path) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    members["data/obsid-table.txt"] = b"00009 forged\n"
    del members["data/last_setup_id.txt"]
    rewrite(path, members)
    assert verify_backup(path)[1] == ["data/last_setup_id.txt is missing", "data/obsid-table.txt is damaged"]
    with pytest.raises(BackupError, match="nothing was restored"):
        restore_backup(path, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BackupError, match="cannot be read"):
        verify_backup(path)


def rewrite(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("name", ["/etc/x", "data/../../x", "elsewhere/x"])
def test_a_backup_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / "b.tar.gz"
    contents = f'{{"site_id":"LAB","created":"","host":"","version":"","files":{{"{name}":"0"}}}}'
    rewrite(path, {"backup.json": contents.encode(), name: b"x"})
    with pytest.raises(BackupError, match="tampered"):
        restore_backup(path, tmp_path / "new")


def test_not_over_something_else(used: SiteLayout, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    create_backup(path)
    with pytest.raises(BackupError, match="exists already"):
        create_backup(path)
    with pytest.raises(SiteError, match="not empty"):
        restore_backup(path, used.folder)


def test_numbers_given_after_the_backup_are_not_given_again(used: SiteLayout, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    create_backup(path)
    record(used, 2)
    archive = tmp_path / "archive"
    shutil.copytree(used.data, archive / "LAB", symlinks=True)
    first, _ = restore_backup(path, tmp_path / "first", archive=archive)
    assert ObservationBook(first.data).next_test_id() == 3
    second, _ = restore_backup(path, tmp_path / "second", next_obsid=1200)
    assert ObservationBook(second.data).next_test_id() == 1200
    (archive / "LAB/observations.jsonl").write_text('{"other":"site"}\n')
    with pytest.raises(BackupError, match="different sites"):
        restore_backup(path, tmp_path / "third", archive=archive)


def test_the_commands(used: SiteLayout, tmp_path: Path) -> None:
    def run(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(backup_command, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result.output

    path = tmp_path / "b.tar.gz"
    assert "keys          no" in run("create", path)
    assert "exists already" in run("create", path, code=1)
    assert "undamaged" in run("verify", path)
    assert "would be given again" in run("restore", path, "--dir", tmp_path / "new")
    path.write_bytes(b"x")
    run("verify", path, code=1)


@pytest.mark.system
def test_restore_drill(tmp_path: Path) -> None:
    """Real services: two observations, a backup, the site is lost, restored, started; the next number is the third."""
    path = tmp_path / "b.tar.gz"
    with Sandbox(tmp_path / "site", speed=20, only_core=True) as box, box.joined():
        for number in (1, 2):
            with ConfigurationManagerProxy(endpoint=box.endpoint("cm_cs")) as cm:
                cm.start_observation(f"r{number}", "f()", "before", True, 30.0, {})
                cm.end_observation(f"r{number}", "done", "")
        create_backup(path)
    shutil.rmtree(tmp_path / "site")
    layout, contents = restore_backup(path, tmp_path / "restored")
    assert contents.site_id == "LAB"
    environment = merged_environment(layout.environment)
    cgse = Path(sysconfig.get_path("scripts")) / "cgse"

    def run(*arguments: str) -> None:
        done = subprocess.run([cgse, *arguments], env=environment, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stdout + done.stderr

    run("core", "start")
    try:
        port = layout_port(layout)
        with ConfigurationManagerProxy(endpoint=f"tcp://localhost:{port}") as cm:
            started = cm.start_observation("r3", "f()", "after", True, 30.0, {})
            assert (started["test_id"], started["setup_id"]) == (3, 1)
            assert cm.end_observation("r3", "done", "")["state"] == "closed"
    finally:
        run("core", "stop")
    records, problems = read_records(layout.data / "observations.jsonl")
    assert problems == check_chain(layout.data / "observations.jsonl") == []
    assert [record.info.test_id for record in records.values()] == [1, 2, 3]
    assert len((layout.data / "obsid-table.txt").read_text().splitlines()) == 3


def layout_port(layout: SiteLayout) -> int:
    from egse.site.localsettings import read_local_settings

    return int(
        read_local_settings(layout.settings)["Configuration Manager Control Server"]["COMMANDING_PORT"]
    )
