from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from egse.cli import update as module
from egse.cli.update import update, update_cgse, update_ts

TAG = "2026.40.0+CGSE"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Repositories:
    """A bare repository that releases come from, a developer's clone of it, and another one to publish with."""

    clone: Path
    publisher: Path

    def publish(self, name: str, text: str) -> str:
        """Commits a file at the origin; returns the hash."""
        (self.publisher / name).write_text(text)
        git(self.publisher, "add", ".")
        git(self.publisher, "commit", "-qm", name)
        git(self.publisher, "push", "-q", "--tags", "origin", "develop")
        return git(self.publisher, "rev-parse", "HEAD")

    @property
    def head(self) -> str:
        return git(self.clone, "rev-parse", "HEAD")


@pytest.fixture
def repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repositories:
    (tmp_path / "gitconfig").write_text(
        "[user]\nname = T\nemail = t@localhost\n[init]\ndefaultBranch = develop\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    git(tmp_path, "init", "-q", "--bare", "releases.git")
    git(tmp_path, "clone", "-q", "releases.git", "publisher")
    (tmp_path / "publisher" / "pyproject.toml").write_text('[project]\nname = "camtest"\n')
    made = Repositories(tmp_path / "clone", tmp_path / "publisher")
    made.publish("a.txt", "1\n")
    git(made.publisher, "tag", TAG)
    git(made.publisher, "push", "-q", "--tags")
    git(tmp_path, "clone", "-q", "-o", "updates", "releases.git", "clone")
    monkeypatch.chdir(made.clone)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(update, [*arguments, "--no-install"])


def test_develop_brings_new_commits_and_keeps_own_ones(repositories: Repositories) -> None:
    assert "is up to date" in run("develop").output
    (repositories.clone / "mine.txt").write_text("mine\n")
    git(repositories.clone, "add", ".")
    git(repositories.clone, "commit", "-qm", "mine")
    new = repositories.publish("b.txt", "2\n")
    (repositories.clone / "untracked.txt").write_text("does not matter\n")
    done = run("develop")
    assert done.exit_code == 0, done.output
    assert git(repositories.clone, "rev-parse", "HEAD~1") == new
    assert git(repositories.clone, "log", "-1", "--format=%s") == "mine"


def test_a_dirty_tree_is_refused_and_untouched(repositories: Repositories) -> None:
    before = repositories.head
    repositories.publish("b.txt", "2\n")
    (repositories.clone / "a.txt").write_text("changed\n")
    for arguments in (("develop",), ("ops", f"--tag={TAG}", "--repo", str(repositories.clone))):
        done = run(*arguments)
        assert done.exit_code == 1
        assert "uncommitted changes" in done.output
        assert "git stash" in done.output
        assert " M a.txt" in done.output or "M a.txt" in done.output
    assert repositories.head == before
    assert (repositories.clone / "a.txt").read_text() == "changed\n"


def test_another_branch_is_refused(repositories: Repositories) -> None:
    git(repositories.clone, "checkout", "-qb", "feature")
    done = run("develop")
    assert (done.exit_code, "the current branch is feature" in done.output) == (1, True)
    assert "git checkout develop" in done.output
    git(repositories.clone, "checkout", "-q", "--detach")
    assert "no branch (detached HEAD)" in run("develop").output


def test_a_missing_remote_is_refused(repositories: Repositories) -> None:
    git(repositories.clone, "remote", "rename", "updates", "origin")
    done = run("develop")
    assert (done.exit_code, "git remote add updates URL" in done.output) == (1, True)


def test_an_unreachable_remote_says_what_git_says(repositories: Repositories) -> None:
    git(repositories.clone, "remote", "set-url", "updates", str(repositories.clone / "nowhere.git"))
    done = run("develop")
    assert done.exit_code == 1
    assert "git fetch --tags updates:" in done.output


def test_a_conflict_leaves_the_checkout_as_it_was(repositories: Repositories) -> None:
    (repositories.clone / "a.txt").write_text("mine\n")
    git(repositories.clone, "commit", "-qam", "mine")
    before = repositories.head
    repositories.publish("a.txt", "theirs\n")
    done = run("develop")
    assert done.exit_code == 1
    assert "do not fit on updates/develop; nothing was changed" in done.output
    assert (repositories.head, git(repositories.clone, "branch", "--show-current")) == (before, "develop")
    assert git(repositories.clone, "status", "--porcelain") == ""


def test_elsewhere_is_refused(
    tmp_path: Path, repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is no git checkout" in run("develop").output
    git(tmp_path, "init", "-q", "other")
    assert "is no checkout of camtest" in run("develop", "--repo", str(tmp_path / "other")).output


def test_ops_checks_out_a_release(repositories: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    release = git(repositories.publisher, "rev-parse", TAG)
    repositories.publish("b.txt", "2\n")
    assert "PLATO_COMMON_EGSE_PATH is not set" in run("ops", f"--tag={TAG}").output
    monkeypatch.setenv("PLATO_COMMON_EGSE_PATH", str(repositories.clone))
    for _ in range(2):
        done = run("ops", f"--tag={TAG}")
        assert done.exit_code == 0, done.output
        assert git(repositories.clone, "branch", "--show-current") == f"{TAG}-branch"
        assert repositories.head == release
        git(repositories.clone, "checkout", "-q", "develop")
    unknown = run("ops", "--tag=2030.1.0+CGSE")
    assert f"there is no release '2030.1.0+CGSE'; the last ones: {TAG}" in unknown.output
    assert "Missing option '--tag'" in run("ops").output


def test_ops_refuses_a_release_branch_with_own_commits(repositories: Repositories) -> None:
    arguments = ("ops", f"--tag={TAG}", "--repo", str(repositories.clone))
    assert run(*arguments).exit_code == 0
    (repositories.clone / "a.txt").write_text("hot fix\n")
    git(repositories.clone, "commit", "-qam", "hot fix")
    done = run(*arguments)
    assert (done.exit_code, "is not the release" in done.output) == (1, True)


def test_ops_needs_the_place_to_install_before_it_touches_anything(repositories: Repositories) -> None:
    done = CliRunner().invoke(update_cgse, ["ops", f"--tag={TAG}", "--repo", str(repositories.clone)])
    assert (done.exit_code, "PLATO_INSTALL_LOCATION is not set" in done.output) == (1, True)
    assert git(repositories.clone, "branch", "--show-current") == "develop"


def test_installation(repositories: Repositories, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pip itself is replaced: what counts is which interpreter is asked for what, and that its failure shows."""
    python = tmp_path / "cgse" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    python.chmod(0o755)
    monkeypatch.setenv("PLATO_INSTALL_LOCATION", str(tmp_path / "cgse"))
    monkeypatch.setenv("PLATO_COMMON_EGSE_PATH", str(repositories.clone))
    done = CliRunner().invoke(update_cgse, ["ops", f"--tag={TAG}"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "asked").read_text() == f"-m pip install --upgrade {repositories.clone}\n"
    git(repositories.clone, "checkout", "-q", "develop")
    monkeypatch.setattr(module.sys, "executable", str(python))
    done = CliRunner().invoke(update_ts, [])  # without a command: develop
    assert done.exit_code == 0, done.output
    assert (tmp_path / "asked").read_text() == f"-m pip install -e {repositories.clone}\n"
    python.write_text("#!/bin/sh\nexit 3\n")
    failed = CliRunner().invoke(update_ts, ["develop"])
    assert (failed.exit_code, "its installation failed" in failed.output) == (1, True)


@pytest.mark.parametrize("command", [update, update_cgse, update_ts])
def test_help(command: object) -> None:
    text = CliRunner().invoke(command, ["--help"]).output  # type: ignore[arg-type]
    assert "develop" in text
    assert "ops" in text
