"""Runs git, without a shell, without prompts, with a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path

from egse.clock import RealClock

TIMEOUT = 30.0
"""How long a git command may take [s]; pushes get longer."""
_LOOK = 0.2
"""How often a command that can be cancelled is looked at [s]."""


class GitError(Exception):
    """A git command failed; the text says which and what git said."""


def run_git(
    folder: Path,
    *arguments: str,
    timeout: float = TIMEOUT,
    author: tuple[str, str] | None = None,
    cancel: threading.Event | None = None,
) -> str:
    """Runs a git command in a working tree and returns its standard output.

    Args:
        folder: working tree or a folder in it.
        arguments: what follows `git`.
        timeout: [s].
        author: name and e-mail address of the author of a commit.
        cancel: when it is set, the command and what it has started are ended.

    Raises:
        GitError: when git is missing, fails, takes too long or is cancelled.
    """
    command = next(
        (argument for argument in arguments if not argument.startswith("-") and "=" not in argument), ""
    )
    try:
        # A session of its own: ended as a whole, with the ssh that it may have started.
        process = subprocess.Popen(
            ["git", "-C", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=_environment(author),
            start_new_session=True,
        )
    except OSError as exc:
        raise GitError(f"git {command}: {exc}") from exc
    with process:
        try:
            output, errors = _finish(process, timeout, cancel)
        except subprocess.TimeoutExpired as exc:
            _end(process)
            why = "cancelled" if cancel is not None and cancel.is_set() else f"no end after {timeout:g} s"
            raise GitError(f"git {command} in {folder} failed: {why}") from exc
        except BaseException:
            _end(process)
            raise
    if process.returncode != 0:
        said = (errors or output).strip() or f"exit code {process.returncode}"
        raise GitError(f"git {command} in {folder} failed: {said}")
    return output


def _finish(
    process: subprocess.Popen[str], timeout: float, cancel: threading.Event | None
) -> tuple[str, str]:
    """Waits for the end; raises TimeoutExpired when it takes too long or is cancelled."""
    if cancel is None:
        return process.communicate(timeout=timeout)
    clock = RealClock()
    deadline = clock.monotonic() + timeout
    while True:
        try:
            return process.communicate(timeout=_LOOK)
        except subprocess.TimeoutExpired:
            if cancel.is_set() or clock.monotonic() > deadline:
                raise


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _environment(author: tuple[str, str] | None) -> dict[str, str]:
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10"),
        "LC_ALL": "C.UTF-8",
        "GIT_COMMITTER_NAME": os.environ.get("GIT_COMMITTER_NAME", "Configuration Manager"),
        "GIT_COMMITTER_EMAIL": os.environ.get("GIT_COMMITTER_EMAIL", "cm_cs@localhost"),
    }
    by = author or (environment["GIT_COMMITTER_NAME"], environment["GIT_COMMITTER_EMAIL"])
    environment["GIT_AUTHOR_NAME"], environment["GIT_AUTHOR_EMAIL"] = by
    return environment


def is_work_tree(folder: Path) -> bool:
    """Returns True when `folder` is in a git working tree."""
    try:
        return run_git(folder, "rev-parse", "--is-inside-work-tree").strip() == "true"
    except GitError:
        return False
