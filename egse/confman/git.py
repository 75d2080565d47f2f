"""Runs git, without a shell, without prompts, with a time limit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TIMEOUT = 30.0
"""How long a git command may take [s]; pushes get longer."""


class GitError(Exception):
    """A git command failed; the text says which and what git said."""


def run_git(
    folder: Path, *arguments: str, timeout: float = TIMEOUT, author: tuple[str, str] | None = None
) -> str:
    """Runs a git command in a working tree and returns its standard output.

    Args:
        folder: working tree or a folder in it.
        arguments: what follows `git`.
        timeout: [s].
        author: name and e-mail address of the author of a commit.

    Raises:
        GitError: when git is missing, fails or takes too long.
    """
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
        "LC_ALL": "C.UTF-8",
        "GIT_COMMITTER_NAME": os.environ.get("GIT_COMMITTER_NAME", "Configuration Manager"),
        "GIT_COMMITTER_EMAIL": os.environ.get("GIT_COMMITTER_EMAIL", "cm_cs@localhost"),
    }
    if author is not None:
        environment["GIT_AUTHOR_NAME"], environment["GIT_AUTHOR_EMAIL"] = author
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise GitError(f"git {arguments[0]}: {exc}") from exc
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise GitError(f"git {arguments[0]} in {folder} failed: {said}")
    return done.stdout


def is_work_tree(folder: Path) -> bool:
    """Returns True when `folder` is in a git working tree."""
    try:
        return run_git(folder, "rev-parse", "--is-inside-work-tree").strip() == "true"
    except GitError:
        return False
