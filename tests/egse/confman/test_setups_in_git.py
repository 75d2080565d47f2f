"""Setups as files in a real git repository."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from egse.clock import VirtualClock
from egse.confman.active_setup import ActiveSetup, frozen_files
from egse.confman.pusher import Pusher
from egse.confman.repository import SetupRepository
from egse.setup import SetupError

FIRST = "SETUP_CSL1_00084_230407_091711.yaml"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def setup_text(camera: str = "chimay", **more: str) -> str:
    lines = "".join(f"  {key}: {value}\n" for key, value in more.items())
    return f"Setup:\n  camera:\n    ID: {camera}\n{lines}  history:\n    '0': begin\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "conf-repo"
    folder = root / "data/CSL1/conf"
    folder.mkdir(parents=True)
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    git(root, "config", "user.email", "t@t")
    git(root, "config", "user.name", "t")
    (folder / FIRST).write_text(setup_text())
    git(root, "add", ".")
    git(root, "commit", "-qm", "begin")
    return root


@pytest.fixture
def repository(root: Path) -> SetupRepository:
    return SetupRepository(root, "CSL1", VirtualClock())


def test_submitting_makes_a_new_file_and_a_commit(repository: SetupRepository, root: Path) -> None:
    setup = repository.submit(setup_text("achel", position="2"), "new camera\nin the room", "rik@lab:77")
    assert setup.path.name == "SETUP_CSL1_00085_260101_000000.yaml"
    assert repository.read(85).text == setup.path.read_text() == setup.text
    assert git(root, "log", "-1", "--format=%an <%ae> %s") == (
        "rik <rik@lab> Setup 00085 CSL1: new camera in the room"
    )
    assert git(root, "status", "--porcelain") == ""
    assert setup.content["camera"]["ID"] == "achel"
    again = repository.submit(setup.text, "the same once more", "rik@lab:77")
    assert again.setup_id == 86
    assert again.text.count("# Submitted to the configuration manager") == 1


def test_what_somebody_else_has_staged_is_left_alone(repository: SetupRepository, root: Path) -> None:
    (root / "other.txt").write_text("x")
    git(root, "add", "other.txt")
    repository.submit(setup_text(), "a change", "rik@lab:1")
    assert git(root, "status", "--porcelain") == "A  other.txt"


@pytest.mark.parametrize(
    "text",
    ["", "Setup: [1, 2]", "Other: {}", "Setup:\n  a: [", "Setup: !!python/object/apply:os.system ['x']\n"],
)
def test_what_is_no_setup_is_refused_and_leaves_nothing(
    repository: SetupRepository, root: Path, text: str
) -> None:
    with pytest.raises(SetupError):
        repository.submit(text, "bad", "rik@lab:1")
    with pytest.raises(SetupError, match="description"):
        repository.submit(setup_text(), " ", "rik@lab:1")
    assert git(root, "status", "--porcelain") == ""
    assert list(repository.files()) == [84]


def test_a_commit_that_fails_leaves_nothing(repository: SetupRepository, root: Path) -> None:
    (root / ".git/index.lock").touch()
    with pytest.raises(SetupError, match=r"index\.lock"):
        repository.submit(setup_text(), "a change", "rik@lab:1")
    (root / ".git/index.lock").unlink()
    assert git(root, "status", "--porcelain") == ""
    assert repository.submit(setup_text(), "a change", "rik@lab:1").setup_id == 85


def test_several_submitters_at_once_get_different_ids(root: Path) -> None:
    def submit(number: int) -> int:
        own = SetupRepository(root, "CSL1", VirtualClock())
        return own.submit(setup_text(), f"number {number}", f"u{number}@lab:1").setup_id

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(submit, range(6))) == list(range(85, 91))
    assert git(root, "status", "--porcelain") == ""
    assert int(git(root, "rev-list", "--count", "HEAD")) == 7


def test_the_id_of_a_deleted_setup_is_not_used_again(repository: SetupRepository, root: Path) -> None:
    setup = repository.submit(setup_text(), "a change", "rik@lab:1")
    git(root, "rm", "-q", str(setup.path))
    git(root, "commit", "-qm", "removed by hand")
    assert repository.submit(setup_text(), "a change", "rik@lab:1").setup_id == 86


def test_an_interrupted_submission_is_completed_and_hand_work_is_named(
    repository: SetupRepository, root: Path
) -> None:
    setup = repository.submit(setup_text(), "a change", "rik@lab:1")
    git(root, "reset", "-q", "--soft", "HEAD~1")  # killed between `git add` and `git commit`
    (repository.folder / "SETUP_CSL1_00099_260101_000000.yaml").write_text(setup_text())
    (repository.folder / FIRST).write_text(setup_text("changed"))
    problems = repository.recover()
    assert git(root, "log", "-1", "--name-only", "--format=").endswith(setup.path.name)
    assert sorted(problem.text.split(" and ")[0] for problem in problems) == [
        f"{FIRST} was changed by hand",
        "SETUP_CSL1_00099_260101_000000.yaml was added by hand",
    ]


def test_lists_can_be_filtered(repository: SetupRepository) -> None:
    repository.submit(setup_text("achel", position="2"), "x", "rik@lab:1")
    assert repository.find({}) == [
        ["00084", "CSL1", "begin", "chimay"],
        ["00085", "CSL1", "begin", "achel"],
    ]
    assert [row[0] for row in repository.find({"camera__ID": "achel", "position": 2})] == ["00085"]
    assert [row[0] for row in repository.find({"position": "2"})] == ["00085"]
    assert repository.find({"camera__ID__x": 1, "no__such": 1}) == []


def test_without_git_setups_can_be_read_but_not_submitted(tmp_path: Path) -> None:
    repository = SetupRepository(tmp_path / "plain", "CSL1", VirtualClock())
    (repository.folder / FIRST).write_text(setup_text())
    assert repository.read(84).setup_id == 84
    assert "no git repository" in repository.recover()[0].text
    with pytest.raises(SetupError, match="no git repository"):
        repository.submit(setup_text(), "x", "rik@lab:1")


def test_the_loaded_setup_survives_a_restart(repository: SetupRepository, tmp_path: Path) -> None:
    seen: list[int] = []
    active = ActiveSetup(repository, tmp_path)
    assert active.current is None
    with pytest.raises(SetupError, match="load-setup"):
        active.get(None)
    active.on_change(lambda setup: seen.append(setup.setup_id))
    active.load(84)
    assert active.get(None).setup_id == 84
    active.submit(setup_text("achel"), "new", "rik@lab:1")
    assert (tmp_path / "last_setup_id.txt").read_text() == "85\n"
    again = ActiveSetup(repository, tmp_path).current
    assert again is not None
    assert again.content["camera"]["ID"] == "achel"
    assert active.get(84).setup_id == 84
    assert active.get(None).setup_id == 85
    with pytest.raises(SetupError, match="there are: 00084 to 00085"):
        active.load(12)
    assert seen == [84, 85]


def test_files_that_a_setup_pulls_in_are_frozen_with_it(
    repository: SetupRepository, root: Path, tmp_path: Path
) -> None:
    common = root / "data/common/n-fee"
    common.mkdir(parents=True)
    (common / "hk.csv").write_text("a;b\n")
    (tmp_path / "outside.csv").write_text("secret")
    text = setup_text(
        hk="csv//../../common/n-fee/hk.csv",
        gone="yaml//missing.yaml",
        outside="csv//../../../../outside.csv",
        other="class//egse.setup.Setup",
    )
    files, names = frozen_files(repository.submit(text, "x", "rik@lab:1"), root)
    assert files.keys() == {"setup.yaml", "conf_hk.csv"}
    assert files["conf_hk.csv"] == b"a;b\n"
    assert names == {"csv//../../common/n-fee/hk.csv": "conf_hk.csv"}


def test_setups_are_pushed_and_a_remote_that_is_away_only_delays_it(
    repository: SetupRepository, root: Path, tmp_path: Path
) -> None:
    remote = tmp_path / "upload.git"
    git(root, "remote", "add", "upload", str(remote))
    pusher = Pusher(repository, retry=0.05)
    pusher.start()
    try:
        repository.submit(setup_text(), "x", "rik@lab:1")
        pusher.request()
        deadline = 1200
        while not pusher.problem and deadline:
            pusher.join(0.05)
            deadline -= 1
        assert "upload.git" in pusher.problem
        git(tmp_path, "init", "-q", "--bare", "-b", "main", str(remote))
        while (pusher.pending or pusher.problem) and deadline:
            pusher.join(0.05)
            deadline -= 1
        assert git(remote, "rev-parse", "main") == git(root, "rev-parse", "HEAD")
    finally:
        pusher.end()
    pusher.join(60)
    assert not pusher.is_alive()
