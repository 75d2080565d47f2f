"""Task packages for the tests, and the records of runs in a folder of each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent / "packages"


@pytest.fixture(autouse=True)
def _runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTEST_RUNS_LOCATION", str(tmp_path / "runs"))


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the task packages, in which modules are found."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    yield PACKAGES
    for name in [name for name in sys.modules if name.partition(".")[0] == "oldstyle"]:
        del sys.modules[name]
