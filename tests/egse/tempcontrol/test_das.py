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


def test_readings_of_the_tcs_egse_are_stored(site: SiteLayout, start: Start) -> None:
    start("sm_cs", "start")
    start("tcs_cs", "start", "--simulator")
    assert start("das", "tcs", "--count", "2", "--interval", "0.5").wait(60) == 0
    (path,) = site.data.glob("daily/*/*_DAS-TCS.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert [float(row["GTCS_AMBIENT_RTD"]) for row in rows] == pytest.approx([21.0] * 2, abs=1.0)


def test_scans_are_stored(site: SiteLayout, start: Start) -> None:
    start("sm_cs", "start")
    start("daq6510_cs", "start", "--simulator")
    assert start("das", "daq6510", "--count", "3", "--interval", "0.2").wait(60) == 0
    (path,) = site.data.glob("daily/*/*_DAS-DAQ6510.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert [float(row["GLAB_DAQ6510_TRP1"]) for row in rows] == pytest.approx([20.1] * 3, abs=0.1)
