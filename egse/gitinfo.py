"""What git says about the checkout that a package runs from."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GitInfo:
    """State of a checkout.

    Attributes:
        folder: its top folder.
        hash: full hash of the commit.
        dirty: whether tracked files were changed.
        describe: the nearest release tag, number of commits since and short hash, e.g. `2026.47.0+TS-0-g975d38e`; None
            when there is no release tag.
        commits: number of commits up to here.
    """

    folder: Path
    hash: str
    dirty: bool
    describe: str | None
    commits: int

    def version(self, release: str) -> str:
        """Returns `describe`, or in its absence `release` with the number of all commits and the short hash."""
        return self.describe or f"{release}-{self.commits}-g{self.hash[:7]}"


def git(folder: Path, *arguments: str, timeout: float = 30.0) -> str | None:
    """Runs git in a folder and returns its output, or None when it failed or there is no git.

    Args:
        folder: where.
        arguments: e.g. `"status", "--porcelain"`.
        timeout: how long it may take [s].
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def git_info(package_file: str | Path, suffix: str = "") -> GitInfo | None:
    """Looks up the checkout that holds a source file.

    Args:
        package_file: a file of the package, normally its `__file__`.
        suffix: release tags end in this, e.g. `+CGSE`; other tags do when none has it.

    Returns:
        None when the file is not under git (an ordinary installation, even one inside some other checkout).
    """
    path = Path(package_file).resolve()
    if git(path.parent, "ls-files", "--error-unmatch", path.name) is None:
        return None
    top, commit = git(path.parent, "rev-parse", "--show-toplevel"), git(path.parent, "rev-parse", "HEAD")
    if not top or not commit:
        return None
    folder = Path(top)
    describe = git(folder, "describe", "--tags", "--long", "--match", f"[0-9]*{suffix}") or git(
        folder, "describe", "--tags", "--long", "--match", "[0-9]*"
    )
    changes = git(folder, "status", "--porcelain", "--untracked-files=no")
    commits = int(git(folder, "rev-list", "--count", "HEAD") or 0)
    return GitInfo(folder, commit, bool(changes), describe, commits)
