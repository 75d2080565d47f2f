"""The whole browser suite, 20 times over: a test that passes only most of the time is broken (`make campaign`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]

TIMES = 20
PYTEST = (sys.executable, "-m", "pytest", "tests/browser", "-n", "2", "--dist", "loadfile")
ROOT = Path(__file__).resolve().parents[2]


def test_the_browser_suite_is_stable(tmp_path: Path) -> None:
    failures = []
    for number in range(1, TIMES + 1):
        folder = tmp_path / str(number)
        began = time.monotonic()
        done = subprocess.run(
            [*PYTEST, "--basetemp", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-500:]
        print(f"{number}: {last} ({time.monotonic() - began:.0f} s)", flush=True)
        assert "passed" in last, done.stdout + done.stderr
        if done.returncode:
            print(done.stdout, flush=True)
            failures.append(number)
        shutil.rmtree(folder, ignore_errors=True)  # with it go the claims of its sandboxes for ports
    assert failures == [], "repeats that failed"
