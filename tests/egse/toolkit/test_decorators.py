from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

import pytest

from egse.decorators import deprecate, timer

PROGRAM = """
import sys
from egse.decorators import fail_point
for i in range(4):
    fail_point("other")
    fail_point("here")
    print(i, flush=True)
"""


def run(armed: str | None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "CGSE_FAIL_POINT"}
    if armed is not None:
        env["CGSE_FAIL_POINT"] = armed
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("armed", "passed"),
    [(None, 4), ("", 4), ("elsewhere", 4), ("here", 0), ("here#1", 0), ("here#3", 2), ("here#9", 4)],
)
def test_fail_point_kills_the_process(armed: str | None, passed: int) -> None:
    done = run(armed)
    assert done.stdout.split() == [str(i) for i in range(passed)]
    assert done.returncode == (0 if passed == 4 else -signal.SIGKILL)


def test_a_mistyped_fail_point_is_an_error() -> None:
    assert "expected NAME or NAME#K" in run("here#x").stderr


def test_deprecate() -> None:
    @deprecate(reason="it guesses", alternative="new()")
    def old(x: int) -> int:
        """Doc."""
        return x + 1

    with pytest.warns(DeprecationWarning, match=r"old\(\) is deprecated: it guesses; use new\(\)"):
        assert old(1) == 2
    assert old.__doc__ == "Doc."


def test_timer(caplog: pytest.LogCaptureFixture) -> None:
    @timer(level=logging.INFO)
    def work(fail: bool) -> int:
        return 1 // (not fail)

    with caplog.at_level(logging.WARNING):
        assert work(False) == 1
    assert caplog.text == ""
    with caplog.at_level(logging.INFO):
        assert work(False) == 1
        with pytest.raises(ZeroDivisionError):
            work(True)
    assert caplog.text.count("work took 0.0") == 2
