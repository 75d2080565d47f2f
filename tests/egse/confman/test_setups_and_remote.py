"""A remote that is away, ahead, diverged, or refuses: real repositories, real git."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from egse.clock import VirtualClock
from egse.confman.pusher import Pusher
from egse.confman.remote import Remote, State
from egse.confman.repository import SetupRepository

from .gitsites import CONF, FIRST, Upload, git, make_repository, setup_text

NEW = f"{CONF}/SETUP_CSL1_00085_250101_000000.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "conf-repo")


@pytest.fixture
def repository(root: Path) -> SetupRepository:
    return SetupRepository(root, "CSL1", VirtualClock())


@pytest.fixture
def upload(root: Path, tmp_path: Path) -> Upload:
    return Upload(root, tmp_path)


@pytest.fixture
def remote(repository: SetupRepository) -> Remote:
    return Remote(repository, threading.Event())


def submit(repository: SetupRepository, camera: str = "achel") -> int:
    return repository.submit(setup_text(camera), "a change", "rik@lab:1").setup_id


def test_without_a_remote_there_is_nothing_to_do(remote: Remote) -> None:
    remote.look()
    assert remote.bring_together().state is State.NONE


def test_an_empty_remote_is_filled(
    repository: SetupRepository, remote: Remote, root: Path, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(tmp_path / "empty.git"))
    git(root, "remote", "add", "origin", str(tmp_path / "empty.git"))
    assert remote.bring_together().state is State.DONE
    assert git(tmp_path / "empty.git", "rev-parse", "main") == git(root, "rev-parse", "HEAD")


def test_a_remote_that_is_ahead_is_merged_and_ids_follow_it(
    repository: SetupRepository, remote: Remote, upload: Upload, root: Path
) -> None:
    git(root, "config", "--unset", "user.name")  # a server account knows nobody's name
    git(root, "config", "--unset", "user.email")
    upload.push(NEW, setup_text("brigand"))
    upload.push("data/common/n-fee/table.csv")
    remote.look()
    assert list(repository.files()) == [84]  # looking changes no file
    assert submit(repository) == 86
    outcome = remote.bring_together()
    assert (outcome.state, outcome.text) == (State.DONE, "")
    assert list(repository.files()) == [84, 85, 86]
    assert upload.tip() == git(root, "rev-parse", "HEAD")
    assert (root / "data/common/n-fee/table.csv").exists()
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "log", "-1", "--format=%an <%ae>") == "Configuration Manager <cm_cs@localhost>"


def test_nothing_is_merged_during_an_observation(
    repository: SetupRepository, remote: Remote, upload: Upload, root: Path
) -> None:
    upload.push(NEW, setup_text())
    outcome = remote.bring_together(may_merge=lambda: False)
    assert outcome.state is State.AHEAD
    assert "after the observation" in outcome.text
    assert not (root / NEW).exists()
    assert remote.bring_together().state is State.DONE
    assert (root / NEW).exists()


def test_the_same_id_on_both_sides_is_told_and_nothing_is_mixed(
    repository: SetupRepository, remote: Remote, upload: Upload, root: Path
) -> None:
    submit(repository)
    tip = git(root, "rev-parse", "HEAD")
    upload.push(NEW, setup_text("brigand"))
    outcome = remote.bring_together()
    assert outcome.state is State.DIVERGED
    assert "Setup 00085 was given out twice: SETUP_CSL1_00085_260101_000000.yaml here and " in outcome.text
    assert "git mv" in outcome.step
    assert git(root, "rev-parse", "HEAD") == tip
    assert submit(repository) == 86  # it goes on here
    git(upload.other, "mv", NEW, NEW.replace("00085", "00099"))  # the step that was named
    git(upload.other, "commit", "-qm", "free id")
    git(upload.other, "push", "-q")
    assert remote.bring_together().state is State.DONE
    assert list(repository.files()) == [84, 85, 86, 99]
    assert submit(repository) == 100


def test_a_merge_that_git_refuses_leaves_everything_as_it_was(
    repository: SetupRepository, remote: Remote, upload: Upload, root: Path
) -> None:
    upload.push(f"{CONF}/{FIRST}", setup_text("brigand"))
    (root / CONF / FIRST).write_text(setup_text("duvel"))
    outcome = remote.bring_together()
    assert outcome.state is State.DIVERGED
    assert "overwritten by merge" in outcome.text
    assert f"git -C {root} merge refs/remotes/upload/main" in outcome.step
    assert (root / CONF / FIRST).read_text() == setup_text("duvel")
    git(root, "checkout", "--", ".")
    assert remote.bring_together().state is State.DONE


def test_a_conflict_is_undone_and_told(
    repository: SetupRepository, remote: Remote, upload: Upload, root: Path
) -> None:
    upload.push("data/common/table.csv", "theirs\n")
    (root / "data/common").mkdir()
    (root / "data/common/table.csv").write_text("ours\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "ours")
    tip = git(root, "rev-parse", "HEAD")
    assert remote.bring_together().state is State.DIVERGED
    assert git(root, "rev-parse", "HEAD") == tip
    assert git(root, "status", "--porcelain") == ""
    assert submit(repository) == 85
    git(root, "merge", "-q", "-X", "ours", "--no-edit", "refs/remotes/upload/main")
    assert remote.bring_together().state is State.DONE
    assert upload.tip() == git(root, "rev-parse", "HEAD")


def test_a_merge_that_somebody_has_half_done_is_not_touched(
    repository: SetupRepository, remote: Remote, upload: Upload, root: Path
) -> None:
    test_a_conflict = "data/common/table.csv"
    upload.push(test_a_conflict, "theirs\n")
    (root / "data/common").mkdir()
    (root / test_a_conflict).write_text("ours\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "ours")
    git(root, "fetch", "-q", "upload")
    with pytest.raises(Exception, match="merge"):
        git(root, "merge", "refs/remotes/upload/main")
    outcome = remote.bring_together()
    assert (outcome.state, "a merge is half done" in outcome.text) == (State.AHEAD, True)
    assert "merge --abort" in outcome.step
    assert (root / ".git/MERGE_HEAD").exists()


def test_a_key_without_write_access_is_told(
    repository: SetupRepository, remote: Remote, upload: Upload, root: Path
) -> None:
    upload.refuse()
    submit(repository)
    outcome = remote.bring_together()
    assert outcome.state is State.REFUSED
    assert "deploy key is read-only" in outcome.text
    assert f"write access to {upload.bare}, then: cm_cs sync" in outcome.step
    upload.accept()
    assert remote.bring_together().state is State.DONE
    assert upload.tip() == git(root, "rev-parse", "HEAD")


def test_a_remote_that_is_away_costs_no_submission_and_is_caught_up(
    repository: SetupRepository, upload: Upload, root: Path
) -> None:
    away = upload.bare.rename(upload.bare.with_name("away.git"))
    pusher = Pusher(repository, retry=0.01)
    pusher.remote.look()
    assert pusher.remote.away
    submit(repository)
    pusher.request()
    assert pusher.work().state is State.AWAY
    assert pusher.pending
    assert pusher.describe().startswith("remote-away: git fetch")
    again = Pusher(repository, retry=0.01)  # as after a restart: nothing is known but the commits
    again.request()
    away.rename(upload.bare)
    again.start()
    try:
        for _ in range(3000):
            if again.outcome.state is State.DONE:
                break
            again.join(0.02)
        assert upload.tip() == git(root, "rev-parse", "HEAD")
    finally:
        again.end()
    again.join(60)
    assert not again.is_alive()


def test_pauses_get_longer(repository: SetupRepository, upload: Upload) -> None:
    upload.bare.rename(upload.bare.with_name("away.git"))
    pusher = Pusher(repository, retry=1.0)
    pauses = []
    for _ in range(12):
        pusher.work()
        pauses.append(pusher._pause)
    assert pauses[:3] == [2.0, 4.0, 8.0]
    assert pauses[-1] == 600.0


def test_a_push_that_hangs_is_ended_with_the_server(
    repository: SetupRepository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "running"
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho $$ > {mark}\nexec sleep 60\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    git(root, "remote", "add", "upload", "ssh://nobody@localhost/x.git")
    pusher = Pusher(repository)
    pusher.request()
    pusher.start()
    for _ in range(3000):
        if mark.exists() and mark.read_text().strip():
            break
        pusher.join(0.02)
    pid = int(mark.read_text())
    pusher.end()
    pusher.join(60)
    assert not pusher.is_alive()
    for _ in range(1000):  # it was killed; its new parent reaps it
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                break
        except FileNotFoundError:
            break
        pusher.join(0.02)
        threading.Event().wait(0.02)
    else:
        pytest.fail("ssh is still running")


def test_somebody_who_pushes_at_the_same_moment_is_no_problem(
    repository: SetupRepository, remote: Remote, upload: Upload, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(repository)
    real, raced = remote._run, []

    def run(*arguments: str, timeout: float = 30.0) -> str:
        if arguments[0] == "push" and not raced:
            raced.append(True)
            upload.push("data/common/late.csv")
        return real(*arguments, timeout=timeout)

    monkeypatch.setattr(remote, "_run", run)
    assert remote.bring_together().state is State.DONE
    assert upload.tip() == git(root, "rev-parse", "HEAD")
    assert (root / "data/common/late.csv").exists()
