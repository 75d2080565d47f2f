"""`das NAME` as a process: through a control server into the files of a storage manager."""

from __future__ import annotations

import csv
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from egse.site.layout import SiteLayout

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(site: SiteLayout) -> Iterator[Start]:
    """Starts a program of the site and waits until it is ready."""
    with ExitStack() as ending:

        def run(name: str, *arguments: str) -> subprocess.Popen[str]:
            script = Path(sysconfig.get_path("scripts")) / name
            process = subprocess.Popen(
                [script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            ending.callback(end, process)
            assert process.stdout is not None
            assert process.stdout.readline().startswith("READY ")
            return process

        yield run


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    assert process.wait(20) == 0
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize(
    ("name", "server", "column", "expected", "tolerance"),
    [
        ("daq6510", "daq6510_cs", "GLAB_DAQ6510_TRP1", 20.1, 0.1),
        ("tcs", "tcs_cs", "GTCS_AMBIENT_RTD", 21.0, 1.0),
    ],
)
def test_rows_are_stored(
    site: SiteLayout, start: Start, name: str, server: str, column: str, expected: float, tolerance: float
) -> None:
    start("sm_cs", "start")
    start(server, "start", "--simulator")
    assert start("das", name, "--count", "3", "--interval", "0.2").wait(60) == 0
    (path,) = site.data.glob(f"daily/*/*_DAS-{name.upper()}.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row[column]) for row in rows] == pytest.approx([expected] * 3, abs=tolerance)
