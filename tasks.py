"""Invoke tasks (manual ch. 26.7): `invoke --list`. Thin: the work is done by the command `cgse` of the same environment."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from invoke import Context, task

_BIN = Path(sys.executable).parent


def _run(context: Context, program: str, *arguments: str) -> None:
    """Runs a program of this environment; its exit code becomes that of the task."""
    context.run(shlex.join([str(_BIN / program), *arguments]), pty=sys.stdout.isatty())


@task
def start_core_egse(context: Context) -> None:
    """Start the core services."""
    _run(context, "cgse", "core", "start")


@task
def stop_core_egse(context: Context) -> None:
    """Stop the core services."""
    _run(context, "cgse", "core", "stop")


@task
def status_core_egse(context: Context) -> None:
    """Show the state of the core services."""
    _run(context, "cgse", "core", "status")


@task(help={"path": "file or folder with tests; all by default"})
def pytests(context: Context, path: str = "tests") -> None:
    """Run the tests."""
    _run(context, "python", "-m", "pytest", path)
