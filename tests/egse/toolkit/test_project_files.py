"""`tasks.py` and `startup.py` at the root of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_invoke_lists_the_tasks_of_the_manual() -> None:
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "--list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {"start-core-egse", "stop-core-egse", "status-core-egse", "pytests"} <= set(listed.split())


@pytest.mark.parametrize("verb", ["start", "stop", "status"])
def test_tasks_call_cgse_of_the_same_environment(verb: str, tmp_path: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "cgse").write_text('#!/bin/sh\necho "cgse $@"\nexit 7\n')
    (fake / "cgse").chmod(0o755)
    code = (
        f"import sys; sys.executable = {str(fake / 'python')!r}\n"
        f"from invoke import Program, Collection\nimport tasks\n"
        f"Program(namespace=Collection.from_module(tasks)).run(['inv', '{verb}-core-egse'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"cgse core {verb}"
    assert done.returncode == 7


def start_python(tmp_path: Path, package: str) -> subprocess.CompletedProcess[str]:
    """Starts plain Python with startup.py, and `package` in place of camtest.jupyter.namespace."""
    folder = tmp_path / "camtest" / "jupyter"
    folder.mkdir(parents=True)
    (tmp_path / "camtest" / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    (folder / "namespace.py").write_text(package)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(ROOT / "startup.py")}
    return subprocess.run(
        [sys.executable, "-i"],
        input="print(sorted(n for n in globals() if 'setup' in n or 'startup' in n))\n",
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_startup_gives_the_names(tmp_path: Path) -> None:
    started = start_python(tmp_path, "def namespace():\n    return {'setup': 42, 'load_setup': print}\n")
    assert started.stdout.strip() == "['load_setup', 'setup']"


def test_startup_never_keeps_python_from_starting(tmp_path: Path) -> None:
    started = start_python(tmp_path, "raise ImportError('no such site')\n")
    assert started.stdout.strip() == "[]"
    assert "the camtest names are not available (ImportError: no such site)" in started.stderr
    assert "-m pip install -e" in started.stderr
