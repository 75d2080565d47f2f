"""`cgse doctor`: every check finds what is wrong, and says what to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.archive.copies import FAILED, Copies, Copy
from egse.archive.index_file import INDEX_FILE
from egse.cli.doctor import doctor
from egse.confman.git import run_git
from egse.confman.observations import ObservationBook
from egse.settings import Settings
from egse.site.doctor import CHECKS, Finding, Level, examine
from egse.site.doctor.findings import SiteView
from egse.site.layout import SiteLayout
from egse.site.sandbox import Sandbox
from egse.storage.observation import ObservationInfo
from egse.timesync import ClockState


def look(*names: str) -> list[Finding]:
    Settings.clear_memoized()
    return list(examine(names))


def problems(*names: str) -> list[Finding]:
    return [finding for finding in look(*names) if finding.level is not Level.OK]


def only(name: str) -> Finding:
    (finding,) = problems(name)
    return finding


QUIET = ("environment", "settings", "versions", "keys", "disk speed", "ports", "record", "leftovers", "index")


def test_a_new_site_is_well(site: SiteLayout) -> None:
    (site.conf_repo / ".git/info").mkdir(exist_ok=True)
    found = look()
    assert [finding for finding in found if finding.check in QUIET and finding.level is Level.FAIL] == []
    assert all(finding.action for finding in found if finding.level is not Level.OK)
    assert all("\n" not in finding.text and finding.check for finding in found)
    assert {finding.check for finding in found} >= {"servers", "setups", "disk space", "clock"}
    assert "could not be checked" not in " ".join(finding.text for finding in found)


def test_environment(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems("environment") == []
    site.data.chmod(0o707)
    assert "written by everybody" in only("environment").text
    site.data.chmod(0o700)
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", "/not/there")
    assert "/not/there is not there" in only("environment").text
    monkeypatch.delenv("PLATO_LOG_FILE_LOCATION")
    monkeypatch.setenv("PLATO_CAMERA_IS_EM", "perhaps")
    assert [finding.level for finding in problems("environment")] == [Level.FAIL] * 2


@pytest.mark.parametrize(
    ("text", "message", "level"),
    [
        ("Storage Control Servr:\n  HK_DELAY: 1.0\n", "Did you mean `Storage Control Server`", Level.WARN),
        ("Storage Control Server:\n  HK_DELY: 1.0\n", "HK_DELY", Level.WARN),
        ("Storage Control Server:\n  HK_DELAY: often\n", "'often'", Level.FAIL),
        ("Storage Control Server: [\n", "settings file", Level.FAIL),
    ],
)
def test_settings(site: SiteLayout, text: str, message: str, level: Level) -> None:
    assert problems("settings") == []
    site.settings.write_text(text)
    finding = only("settings")
    assert message in finding.text
    assert finding.level is level


def test_keys(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    from egse.security.keys import KeyFolder

    folder = site.folder / "keys"
    KeyFolder(folder).create("server")
    monkeypatch.setenv("PLATO_KEYS_LOCATION", str(folder))
    assert problems("keys") == []
    (folder / "server.key_secret").chmod(0o644)
    finding = only("keys")
    assert finding.level is Level.FAIL
    assert "chmod 600" in finding.text
    monkeypatch.delenv("PLATO_KEYS_LOCATION")
    site.settings.write_text("SITE:\n  CURVE: required\n")
    assert only("keys").action == "cgse keys create server"


def test_ports(site: SiteLayout) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        site.settings.write_text(f"Storage Control Server:\n  COMMANDING_PORT: {port}\n")
        # Another port of the Settings may be taken as well, by whatever runs here.
        assert any(f"process {os.getpid()}" in finding.text for finding in problems("ports"))
    site.settings.write_text("Storage Control Server:\n  COMMANDING_PORT: 6000\n")
    both = "Configuration Manager Control Server COMMANDING_PORT and Storage Control Server"
    assert any(both in finding.text for finding in problems("ports"))


def test_disk_and_clock(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any("MB/s" in finding.text for finding in look("disk speed"))
    assert not list(site.data.glob(".doctor*"))
    usage = shutil.disk_usage(site.data)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=usage.total // 10))
    assert "cgse archive prune" in only("disk space").action
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=usage.total // 100))
    assert only("disk space").level is Level.FAIL
    for state, count in ((True, 0), (False, 1), (None, 1)):
        state_now = ClockState(state, "test")
        monkeypatch.setattr("egse.site.doctor.machine.clock_state", lambda known=state_now: known)
        assert len(problems("clock")) == count


def test_programs_versions_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems("versions") == []
    monkeypatch.setattr(
        "egse.site.doctor.surroundings.requires", lambda name: ["pyzmq>=999", "no-such-thing>=1"]
    )
    assert [finding.level for finding in problems("versions")] == [Level.FAIL] * 2
    monkeypatch.setenv("PATH", "/nowhere")
    assert [finding.action for finding in problems("programs")] == ["apt install git", "apt install rsync"]
    monkeypatch.setattr("egse.site.doctor.surroundings.resource.getrlimit", lambda which: (256, 256))
    assert "LimitNOFILE" in only("limits").action


def test_setups(site: SiteLayout) -> None:
    assert problems("setups") == []
    (setup,) = site.conf.glob("SETUP_*.yaml")
    setup.write_text(setup.read_text() + "# by hand\n")
    assert "not committed" in only("setups").text
    run_git(site.conf_repo, "checkout", "--", ".")
    (site.data / "last_setup_id.txt").write_text("77\n")
    assert only("setups").level is Level.FAIL
    (site.data / "last_setup_id.txt").unlink()
    assert "cm_cs load-setup" in only("setups").action


def test_remote(site: SiteLayout, tmp_path: Path) -> None:
    repository, upstream = site.conf_repo, tmp_path / "upstream.git"
    assert "has no remote" in only("remote").text
    run_git(repository, "remote", "add", "origin", str(upstream))
    assert "does not answer" in only("remote").text
    run_git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(upstream))
    assert "no branch main yet" in only("remote").text
    run_git(repository, "push", "--quiet", "origin", "main")
    assert problems("remote") == []
    (repository / "new").touch()
    run_git(repository, "add", "new")
    run_git(repository, "commit", "--quiet", "-m", "new")
    assert "not pushed" in only("remote").text
    run_git(repository, "push", "--quiet", "origin", "main")
    run_git(repository, "reset", "--quiet", "--hard", "HEAD~1")
    assert "pull --rebase" in only("remote").action
    run_git(repository, "pull", "--quiet", "origin", "main")
    hook = upstream / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    assert problems("remote") == []  # a dry run does not reach hooks


def test_a_remote_that_cannot_be_written(
    site: SiteLayout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from egse.confman.git import GitError
    from egse.site.doctor import records

    upstream = tmp_path / "upstream.git"
    run_git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(upstream))
    run_git(site.conf_repo, "remote", "add", "origin", str(upstream))
    run_git(site.conf_repo, "push", "--quiet", "origin", "main")

    def read_only(folder: Path, *arguments: str, **options: float) -> str:
        if arguments[0] == "push":
            raise GitError(
                "git push failed:\nERROR: The key you are authenticating with has been marked as read only."
            )
        return run_git(folder, *arguments, **options)

    monkeypatch.setattr(records, "run_git", read_only)
    assert "marked as read only" in only("remote").text


def test_record_index_copies_leftovers(site: SiteLayout) -> None:
    book = ObservationBook(site.data)
    info = ObservationInfo(
        run_id="r", test_id=1, site_id="LAB", setup_id=1, start="2026-02-01T00:00:00.000+0000"
    )
    book.closed(book.closing(book.open(info), "done", "", "2026-02-01T01:00:00.000+0000"), "0" * 64)
    assert problems("record", "leftovers", "index") == []
    record = site.data / "observations.jsonl"
    record.write_text(record.read_text().replace('"done"', '"fail"'))
    assert only("record").level is Level.FAIL
    assert "no copy" in only("copies").text
    copy = Copy(
        destination="/d", path="x", size=1, mtime_ns=1, sha256="", checked=1e9, state=FAILED, problem="p"
    )
    with Copies(site.data, writing=True) as copies:
        copies.record([copy])
    assert [finding.level for finding in problems("copies")] == [Level.FAIL, Level.WARN]
    for name in ("daily/20260101/a.hdf5.part", "spool/dpu/b.spool", "obs/00001_LAB/.tmp"):
        path = site.data / name
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (1e9, 1e9))
    assert {finding.text.split(",")[0] for finding in problems("leftovers")} == {
        "1 old spools",
        "1 old temporary files",
        "1 old unfinished files (.part)",
    }
    (site.data / INDEX_FILE).write_bytes(b"damaged" * 1000)
    assert problems("index") == []  # made anew when it is opened


def test_a_check_that_breaks_hides_nothing(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(view: SiteView) -> list[Finding]:
        raise RuntimeError("oops")

    monkeypatch.setitem(CHECKS, "limits", breaks)
    found = look("limits", "keys")
    assert [finding.check for finding in found] == ["limits", "keys"]
    assert "RuntimeError: oops" in found[0].text


def run(*arguments: str) -> tuple[int, str]:
    Settings.clear_memoized()
    result = CliRunner().invoke(doctor, list(arguments))
    return result.exit_code, result.output


def test_the_command(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = run("environment", "settings")
    assert code == 0
    assert output.splitlines()[0] == "OK    environment  site LAB"
    assert output.splitlines()[-1].endswith("0 WARN, 0 FAIL")
    assert run("nothing")[0] == 2
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", "/not/there")
    code, output = run("environment", "--json", "--problems")
    assert code == 1
    (finding,) = json.loads(output)
    assert (finding["level"], finding["check"]) == ("FAIL", "environment")
    assert finding["action"].startswith("mount that disk")


@pytest.mark.system
def test_a_running_site(in_sandbox: Sandbox) -> None:
    Settings.clear_memoized()
    found = list(examine(["servers", "ports"]))
    assert {finding.level for finding in found} == {Level.OK}, found
    assert sum("answers" in finding.text for finding in found) >= 3
