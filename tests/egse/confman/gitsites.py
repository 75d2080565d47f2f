"""Clones of a configuration repository, for the tests beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

FIRST = "SETUP_CSL1_00084_230407_091711.yaml"
CONF = "data/CSL1/conf"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def setup_text(camera: str = "chimay") -> str:
    return f"Setup:\n  camera:\n    ID: {camera}\n  history:\n    '0': begin\n"


def make_repository(root: Path) -> Path:
    """A repository with Setup 84 of CSL1."""
    (root / CONF).mkdir(parents=True)
    git(root.parent, "init", "-q", "-b", "main", str(root))
    configure(root)
    (root / CONF / FIRST).write_text(setup_text())
    git(root, "add", ".")
    git(root, "commit", "-qm", "begin")
    return root


def configure(root: Path) -> None:
    git(root, "config", "user.email", "t@t")
    git(root, "config", "user.name", "t")


class Upload:
    """The remote of a repository, and somebody else with a clone of it."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.bare = folder / "upload.git"
        self.other = folder / "other"
        git(folder, "clone", "-q", "--bare", str(root), str(self.bare))
        git(root, "remote", "add", "upload", str(self.bare))
        git(folder, "clone", "-q", str(self.bare), str(self.other))
        configure(self.other)

    def push(self, name: str, text: str = "x\n") -> None:
        """Somebody else pushes a file."""
        path = self.other / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        git(self.other, "pull", "-q", "--no-rebase", "--no-edit")
        git(self.other, "add", ".")
        git(self.other, "commit", "-qm", f"by hand: {name}")
        git(self.other, "push", "-q")

    def refuse(self) -> None:
        """The remote takes nothing any more, as with a key without write access."""
        hook = self.bare / "hooks/pre-receive"
        hook.write_text("#!/bin/sh\necho 'deploy key is read-only' >&2\nexit 1\n")
        hook.chmod(0o755)

    def accept(self) -> None:
        (self.bare / "hooks/pre-receive").unlink()

    def tip(self) -> str:
        return git(self.bare, "rev-parse", "main")
