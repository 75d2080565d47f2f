"""The synoptics manager as a process: Setups, storage, devices; killed and restarted (manual, sections 5.6.5 and 7.10)."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from egse.confman import ConfigurationManagerProxy
from egse.hk import get_housekeeping, get_housekeeping_frame
from egse.process.identity import wait_gone
from egse.registration import services_of
from egse.site.layout import SiteLayout
from egse.site.sandbox import Sandbox
from egse.storage.naming import LAST_SETUP_ID, parse_filename
from egse.synoptics import SynopticsError, SynopticsManagerProxy
from egse.tmdict import template_dictionary

pytestmark = pytest.mark.system

MODULES = {
    "sm_cs": "egse.storage.sm_cs",
    "cm_cs": "egse.confman.cm_cs",
    "syn_cs": "egse.synoptics.syn_cs",
}


def wait_until(condition: Callable[[], bool], limit: float = 60.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.05)


class Lab:
    """Core services of a site as processes of this test."""

    def __init__(self, site: SiteLayout) -> None:
        self.site = site
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, *names: str) -> None:
        for name in names:
            with (self.site.log / f"{name}.err").open("a") as errors:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", MODULES[name], "start"],
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env=os.environ.copy(),
                )
        for name in names:
            out = self.processes[name].stdout
            assert out is not None
            assert out.readline().startswith(f"READY {name}"), self.log(name)

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        code = process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
        return code

    def log(self, name: str) -> str:
        return (self.site.log / f"{name}.err").read_text()

    def status(self) -> dict[str, Any]:
        with services_of(SynopticsManagerProxy, 20.0) as services:
            return services.get_server_status()

    def status_lines(self) -> list[str]:
        command = [sys.executable, "-m", MODULES["syn_cs"], "status"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return [line.strip() for line in done.stdout.splitlines()]

    def listeners(self) -> list[str]:
        with services_of(ConfigurationManagerProxy, 20.0) as services:
            return services.get_listener_names()

    def rows(self) -> list[dict[str, str]]:
        return rows_of(self.site.data)


def rows_of(data: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(data.glob("daily/*/*_SYN-HK.csv")):
        with path.open(newline="") as file:
            rows += list(csv.DictReader(file))
    return rows


@pytest.fixture
def lab(site: SiteLayout) -> Iterator[Lab]:
    site.make_folders()
    lab = Lab(site)
    yield lab
    for name in list(lab.processes):
        lab.end(name, signal.SIGKILL)


def test_started_without_a_setup_it_runs_says_so_and_carries_on(lab: Lab) -> None:
    (lab.site.data / LAST_SETUP_ID).unlink()
    lab.start("sm_cs", "cm_cs", "syn_cs")
    wait_until(lambda: "Synoptics Manager CS" in lab.listeners())
    lines = lab.status_lines()
    assert lines[:2] == ["Synoptics Manager:", "Status: active"]
    assert "Loaded Setup: none" in lines
    assert any("Synoptics are not stored: no Setup is loaded" in line for line in lines)
    with SynopticsManagerProxy() as synoptics, ConfigurationManagerProxy() as cm:
        with pytest.raises(SynopticsError, match="cm_cs load-setup ID"):
            synoptics.store_common_synoptics({"FOV_ACT_THETA": 1.0})
        cm.load_setup(1)
        wait_until(lambda: lab.status()["setup"] == "00001")
        assert synoptics.store_common_synoptics({"FOV_ACT_THETA": 1.5, "FOV_ACT_PHI": 40.0}) == 2
        assert synoptics.store_th_synoptics({"GLAB_LSCI336_TEMPA": 293.15}) == 1
        wait_until(lambda: len(lab.rows()) >= 2)  # at once, unless the storage manager is slow
        first, second = lab.rows()[:2]
        assert (first["GSYN_ACT_THETA"], first["GSYN_TRP1"]) == ("1.5", "")
        assert (second["GSYN_ACT_THETA"], second["GSYN_TRP1"]) == ("1.5", "20.0")
        assert get_housekeeping("GSYN_TRP1", data_dir=lab.site.data)[1].tolist()[-1] == 20.0

        # A Setup with another dictionary is followed, and a bad one named.
        setup = (lab.site.conf / cm.get_setup(1)["path"].rpartition("/")[2]).read_text()
        cm.submit_setup(setup.replace("tm-dictionary.csv", "nowhere.csv"), "a mistake")
        wait_until(lambda: lab.status()["setup"] == "00002")
        with pytest.raises(SynopticsError, match=r"nowhere\.csv"):
            synoptics.store_common_synoptics({"FOV_ACT_THETA": 1.5})
        cm.load_setup(1)
        wait_until(lambda: lab.status()["problem"] == "")
    assert "event new_setup received from cm_cs" in lab.log("syn_cs")
    assert lab.end("syn_cs") == 0
    assert "Synoptics Manager CS" not in lab.listeners()


def test_rows_wait_for_a_storage_manager_that_is_away(lab: Lab) -> None:
    lab.start("sm_cs", "cm_cs", "syn_cs")
    wait_until(lambda: lab.status()["setup"] == "00001")
    with SynopticsManagerProxy(timeout=20.0) as synoptics:
        synoptics.store_common_synoptics({"FOV_ACT_THETA": 0})
        lab.end("sm_cs", signal.SIGKILL)
        for number in range(1, 10):
            synoptics.store_common_synoptics({"FOV_ACT_THETA": number})
        assert synoptics.get_synoptics()["GSYN_ACT_THETA"] == 9
        assert lab.status()["waiting"] > 0
        lab.start("sm_cs")
        wait_until(lambda: lab.status()["waiting"] == 0)
        assert [row["GSYN_ACT_THETA"] for row in lab.rows()] == [str(number) for number in range(10)]
        # Garbage harms nobody.
        for garbage in ({"FOV_ACT_THETA": {"a": [1]}}, {"": None}, {"FOV_ACT_THETA": "x" * 10_000}):
            with pytest.raises(SynopticsError):
                synoptics.store_common_synoptics(garbage)
        assert synoptics.store_common_synoptics({"FOV_ACT_THETA": 10}) == 1
    for name in ("cm_cs", "syn_cs", "sm_cs"):
        assert lab.end(name) == 0


def test_devices_hand_in_their_synoptics(in_sandbox: Sandbox) -> None:
    data = in_sandbox.layout.data
    names = {"GSYN_TRP1", "GSYN_TRP4", "GSYN_OGSE_LAMP", "GSYN_OGSE_INTENSITY", "GSYN_OGSE_POWER_1"}
    with SynopticsManagerProxy() as synoptics:
        wait_until(lambda: all(synoptics.get_synoptics()[name] is not None for name in names))
        assert 10.0 < synoptics.get_synoptics()["GSYN_TRP1"] < 40.0
        # The calibration of the simulated camera has -80 degrees for the middle of the range.
        wait_until(lambda: synoptics.get_synoptics()["GSYN_NFEE_CCD1_TS"] is not None)
        assert synoptics.get_synoptics()["GSYN_NFEE_CCD1_TS"] == pytest.approx(-80.0, abs=0.5)
        assert "NFEE_CCD1_TS_CAL" in synoptics.get_origins()["common"]
    table = get_housekeeping_frame(["GSYN_TRP1", "GSYN_OGSE_LAMP"], data_dir=data)
    assert table["GSYN_TRP1"].notna().any()


def test_housekeeping_goes_on_while_the_synoptics_manager_is_killed(in_sandbox: Sandbox) -> None:
    data = in_sandbox.layout.data

    def count(name: str) -> int:
        return len(get_housekeeping(name, data_dir=data)[0])

    with SynopticsManagerProxy() as synoptics:
        wait_until(lambda: synoptics.get_synoptics()["GSYN_TRP1"] is not None)
        before = in_sandbox.status()["syn_cs"].pid
        rows, synoptic_rows = count("GOGSE_ATT_LVL"), count("GSYN_TRP1")
        pid = in_sandbox.kill("syn_cs")
        assert pid == before
        if psutil.pid_exists(pid):
            wait_gone([psutil.Process(pid)], 5.0)
        wait_until(lambda: count("GOGSE_ATT_LVL") >= rows + 2)
        wait_until(lambda: in_sandbox.wait_for("syn_cs").pid != pid)
        wait_until(lambda: count("GSYN_TRP1") > synoptic_rows)
    with SynopticsManagerProxy() as synoptics:
        wait_until(lambda: synoptics.get_synoptics().get("GSYN_TRP1") is not None)
    # Rows of different tasks may be alike when they fall into the same millisecond: those are neighbours.
    last: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows_of(data)):
        values = tuple(row.values())
        assert number - last.get(values, number) <= 1, "a row was stored twice"
        last[values] = number


def test_every_parameter_that_the_sandbox_stores_is_in_the_dictionary(in_sandbox: Sandbox) -> None:
    dictionary = template_dictionary()
    daily = in_sandbox.layout.data / "daily"
    wait_until(lambda: any(daily.glob("*/*_SYN-HK.csv")) and any(daily.glob("*/*_N-FEE-HK.csv")))
    ours = {
        dictionary[name].mnemonic for name in dictionary
    }  # other tests may store things of their own in this sandbox
    checked = set()
    for path in sorted(daily.glob("*/*.csv")):
        mnemonic = parse_filename(path.name).mnemonic
        if mnemonic not in ours:
            continue
        with path.open(newline="") as file:
            header = next(csv.reader(file), [])
        unknown = [name for name in header if name != "timestamp" and dictionary[name].mnemonic != mnemonic]
        assert unknown == [], path
        checked.add(mnemonic)
    assert {"SYN-HK", "OGSE", "LSCI336", "DPU", "N-FEE-HK"} <= checked
