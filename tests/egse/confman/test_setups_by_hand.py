"""What people do to the working tree by hand, and full disks: found, named, recoverable as the text says."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.clock import VirtualClock
from egse.confman.checkout import Finding
from egse.confman.repository import SetupRepository
from egse.setup import SetupError

from .gitsites import CONF, FIRST, git, make_repository, setup_text

ADDED = "SETUP_CSL1_00099_260101_000000.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "conf-repo")


@pytest.fixture
def repository(root: Path) -> SetupRepository:
    return SetupRepository(root, "CSL1", VirtualClock())


def only(repository: SetupRepository, name: str) -> Finding:
    (found,) = repository.findings()
    assert found.name == name
    return found


def do(step: str) -> None:
    """Executes the git command that a step names."""
    command = step[step.index("git -C") :].split(";")[0].split(", or")[0].split(" (")[0]
    subprocess.run(shlex.split(command), check=True, capture_output=True)


def test_all_is_well(repository: SetupRepository) -> None:
    assert repository.findings() == repository.recover() == repository.unreadable() == []


def test_a_setup_added_by_hand(repository: SetupRepository, root: Path) -> None:
    (root / CONF / ADDED).write_text(setup_text())
    found = only(repository, "added-by-hand")
    assert f"cm_cs submit {root / CONF / ADDED} --description TEXT" in found.step
    assert repository.read(99).setup_id == 99  # it can be used
    assert repository.submit(setup_text(), "x", "rik@lab:1").setup_id == 100  # and its id is not given out
    git(root, "add", ".")
    only(repository, "added-by-hand")
    git(root, "commit", "-qm", "by hand")
    assert repository.findings() == []


def test_a_setup_changed_by_hand(repository: SetupRepository, root: Path) -> None:
    (root / CONF / FIRST).write_text(setup_text("duvel"))
    do(only(repository, "changed-by-hand").step)
    assert repository.findings() == []
    assert (root / CONF / FIRST).read_text() == setup_text()


def test_a_setup_removed_by_hand(repository: SetupRepository, root: Path) -> None:
    (root / CONF / FIRST).unlink()
    do(only(repository, "removed-by-hand").step)
    git(root, "rm", "-q", f"{CONF}/{FIRST}")
    do(only(repository, "removed-by-hand").step)
    assert (root / CONF / FIRST).exists()


def test_a_setup_changed_by_a_commit(repository: SetupRepository, root: Path) -> None:
    (root / CONF / FIRST).write_text(setup_text("duvel"))
    git(root, "commit", "-qam", "by hand")
    found = only(repository, "changed-later")
    assert f"{FIRST} was changed after it had been submitted" in found.text
    commit = found.text.rpartition(" ")[2].rstrip(")")
    assert commit in git(root, "rev-parse", "HEAD")


def test_files_that_setups_refer_to(repository: SetupRepository, root: Path) -> None:
    (root / "README.md").write_text("x")
    assert repository.findings() == []  # not yet git's
    git(root, "add", ".")
    assert "README.md" in only(repository, "dirty").text
    git(root, "commit", "-qm", "by hand")
    assert repository.submit(setup_text(), "x", "rik@lab:1").setup_id == 85


def test_an_id_in_two_files(repository: SetupRepository, root: Path) -> None:
    twin = FIRST.replace("230407", "230408")
    (root / CONF / twin).write_text(setup_text())
    git(root, "add", ".")
    git(root, "commit", "-qm", "by hand")
    assert f"Setup 00084 of CSL1 is in 2 files: {FIRST}, {twin}" in only(repository, "id-twice").text


def test_a_setup_that_is_no_yaml(repository: SetupRepository, root: Path) -> None:
    (root / CONF / ADDED).write_text("Setup:\n  a: [\n")
    (found,) = repository.unreadable()
    assert found.name == "unreadable"
    assert f"{ADDED}, line 3" in found.text
    assert [row[0] for row in repository.find({})] == ["00084"]


def half_done(root: Path, command: str) -> None:
    """Leaves a merge, a rebase or a cherry-pick in the middle."""
    git(root, "checkout", "-qb", "other")
    (root / "x").write_text("1")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    git(root, "checkout", "-q", "main")
    (root / "x").write_text("2")
    git(root, "add", ".")
    git(root, "commit", "-qm", "two")
    subprocess.run(["git", "-C", str(root), command, "other"], capture_output=True, check=False)


@pytest.mark.parametrize(
    ("command", "name"), [("merge", "merging"), ("rebase", "rebasing"), ("cherry-pick", "merging")]
)
def test_something_half_done(repository: SetupRepository, root: Path, command: str, name: str) -> None:
    half_done(root, command)
    found = only(repository, name)
    assert repository.recover() == [found]
    state = git(root, "status", "--porcelain")
    with pytest.raises(SetupError, match=f"a {command} is half done.*{command} --abort"):
        repository.submit(setup_text(), "x", "rik@lab:1")
    assert git(root, "status", "--porcelain") == state
    subprocess.run(["git", "-C", str(root), command, "--abort"], check=True)
    assert repository.submit(setup_text(), "x", "rik@lab:1").setup_id == 85


def test_no_branch(repository: SetupRepository, root: Path) -> None:
    git(root, "checkout", "-q", "--detach")
    step = only(repository, "detached").step
    with pytest.raises(SetupError, match="no branch is checked out"):
        repository.submit(setup_text(), "x", "rik@lab:1")
    do(step)
    assert repository.submit(setup_text(), "x", "rik@lab:1").setup_id == 85


def test_no_repository(repository: SetupRepository, root: Path) -> None:
    git_folder = (root / ".git").rename(root.parent / "saved")
    assert "not a git repository" in only(repository, "no-repository").text
    assert repository.read(84).setup_id == 84
    with pytest.raises(SetupError, match=r"(?s)is no git repository.*put its \.git back"):
        repository.submit(setup_text(), "x", "rik@lab:1")
    git_folder.rename(root / ".git")
    assert repository.submit(setup_text(), "x", "rik@lab:1").setup_id == 85


def test_a_git_that_was_killed_leaves_its_lock(repository: SetupRepository, root: Path) -> None:
    lock = root / ".git/index.lock"
    lock.touch()
    with pytest.raises(SetupError, match=rf"if none is, remove {lock}"):
        repository.submit(setup_text(), "x", "rik@lab:1")
    lock.unlink()
    assert repository.submit(setup_text(), "x", "rik@lab:1").setup_id == 85


def test_leftovers_of_an_interruption_are_removed(repository: SetupRepository, root: Path) -> None:
    (root / CONF / f".{ADDED}.x7f").write_text("half")
    staged = root / CONF / ADDED
    staged.write_text("x")
    git(root, "add", str(staged))
    staged.unlink()
    assert repository.recover() == []
    assert git(root, "status", "--porcelain") == ""
    assert os.listdir(root / CONF) == [FIRST]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(path: Path) -> None:
    """Writes a file until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@pytest.mark.parametrize("free", [0, 8192, 12288])
def test_a_full_disk_is_told_and_nothing_is_half_done(small_disk: Path, free: int) -> None:
    root = make_repository(small_disk / "repo")
    shutil.rmtree(root / ".git/hooks", ignore_errors=True)
    repository = SetupRepository(root, "CSL1", VirtualClock())
    tip = git(root, "rev-parse", "HEAD")
    filler = small_disk / "filler"
    fill(filler)
    os.truncate(filler, max(0, filler.stat().st_size - free))
    text = setup_text() + "".join(f"  k{number}: {number}\n" for number in range(400))
    with pytest.raises(
        SetupError, match=r"Setup not submitted: .*(No space left|Out of diskspace|[Uu]nable to)"
    ):
        repository.submit(text, "x", "rik@lab:1")
    assert os.listdir(root / CONF) == [FIRST]
    filler.unlink()
    assert repository.recover() == []
    assert git(root, "rev-parse", "HEAD") == tip
    assert repository.submit(text, "x", "rik@lab:1").setup_id == 85
    assert git(root, "status", "--porcelain") == ""
    assert repository.findings() == []
