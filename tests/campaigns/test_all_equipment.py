"""All control servers and simulators of the test houses at once in one sandbox (`make campaign`).

Housekeeping of all of them is stored, the synoptics are filled, nothing is logged as an error, memory stays flat. The figures
are printed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from camtest import observation
from camtest.commanding import aeu, csl_gse, dpu, ogse
from egse.logger.reading import LogFolder, RecordFilter
from egse.settings import Settings
from egse.site.ports import release_block
from egse.site.programs import Kind, sandbox_entries
from egse.site.sandbox import Sandbox
from egse.synoptics import SynopticsManagerProxy

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]

STARTED = ("is not registered as a listener yet", "is not connected yet", "after its deadline")
"""What servers say that wait for others which are still on their way up."""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("all") / "box"
    began = time.monotonic()
    with Sandbox(folder, aeu=True, equipment=True) as box:
        print(f"\n{len(box.rows())} programs started in {time.monotonic() - began:.1f} s")
        with box.joined():
            Settings.load(force=True)
            wait_for_first_rows(box)
            yield box
            Settings.clear_memoized()
    release_block(folder)


@pytest.mark.parametrize("seconds", [8.0, 1800.0])
def test_all_of_it_at_once(everything: Sandbox, seconds: float) -> None:
    operated = seconds > 60
    if operated:
        operate()
    rows = {row.name: row for row in everything.rows()}
    assert all(row.up for row in rows.values()), {name: row.state for name, row in rows.items() if not row.up}
    programs = {name: psutil.Process(row.pid) for name, row in rows.items()}
    descriptors = settled_descriptors(programs)
    before = {name: (_cpu(process), process.memory_info().rss) for name, process in programs.items()}
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(min(5.0, seconds / 4))
        assert all(process.is_running() for process in programs.values())
    took = time.monotonic() - began
    for name, process in programs.items():
        assert process.num_fds() <= descriptors[name] + 8, f"{name} opens more and more files"
    used = {name: (_cpu(process) - before[name][0]) / took for name, process in programs.items()}
    memory = {name: process.memory_info().rss / 2**20 for name, process in programs.items()}
    growth = {name: memory[name] - before[name][1] / 2**20 for name in programs}
    busiest = ", ".join(f"{name} {used[name]:.0%}" for name in sorted(used, key=used.__getitem__)[:-6:-1])
    growing = ", ".join(
        f"{name} {growth[name]:+.1f}" for name in sorted(growth, key=growth.__getitem__)[:-6:-1]
    )
    print(
        f"{took:.0f} s: {sum(used.values()):.2f} processors ({busiest}), {sum(memory.values()):.0f} MiB ({growing})"
    )
    check_housekeeping(everything, took)
    check_synoptics(operated)
    check_log(everything)


def settled_descriptors(programs: dict[str, psutil.Process]) -> dict[str, int]:
    """Returns how many files each program has open, when all have found each other: for ten seconds it stays so."""
    counts: dict[str, int] = {}
    began = since = time.monotonic()
    while time.monotonic() < min(began + 120.0, since + 10.0):
        now = {name: process.num_fds() for name, process in programs.items()}
        if any(count > counts.get(name, -1) for name, count in now.items()):
            counts = {name: max(count, counts.get(name, 0)) for name, count in now.items()}
            since = time.monotonic()
        time.sleep(1.0)
    return counts


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def producers() -> dict[str, dict[str, Any]]:
    """Returns the settings of all servers that store housekeeping, by name."""
    entries = sandbox_entries(extras=("aeu", "equipment"))
    servers = [each for each in entries if each.kind is not Kind.SIMULATOR and each.settings]
    blocks = {each.name: Settings.load(each.settings) for each in servers}
    return {name: block for name, block in blocks.items() if block.get("STORAGE_MNEMONIC")}


def files_of(box: Sandbox, block: dict[str, Any]) -> list[Path]:
    return sorted((box.layout.data / "daily").rglob(f"*_{block['STORAGE_MNEMONIC']}.csv"))


def wait_for_first_rows(box: Sandbox) -> None:
    """Some take a row every ten seconds; with the first one of each, all files and connections are open."""
    deadline = time.monotonic() + 60.0
    while missing := [name for name, block in producers().items() if not files_of(box, block)]:
        assert time.monotonic() < deadline, f"no housekeeping of {missing} within 60 s"
        time.sleep(0.5)


def check_housekeeping(box: Sandbox, took: float) -> None:
    """Every server with a storage mnemonic has stored rows at its rhythm."""
    for name, block in producers().items():
        files = files_of(box, block)
        assert files, f"no housekeeping of {name} ({block['STORAGE_MNEMONIC']})"
        rows = sum(len(pd.read_csv(file)) for file in files)
        expected = 0.5 * took / max(1.0, float(block.get("HK_DELAY") or 1.0))
        assert rows >= max(1, int(expected) - 2), f"{name}: {rows} rows in {took:.0f} s"


def operate() -> None:
    """Has values for all synoptics: the camera sends its housekeeping, the source is on, attenuated and pointed."""
    with observation("all equipment at once"):
        aeu.n_cam_swon()
        aeu.n_cam_sync_enable(image_cycle_time=25, svm_nom=1, svm_red=0)
        dpu.n_cam_to_standby_mode()
        dpu.n_cam_to_dump_mode()
        ogse.ogse_swon()
        ogse.set_attenuation(factor=0.5)
        csl_gse.point_source_to_fov(theta=8.3, phi=12.0)


def check_synoptics(operated: bool) -> None:
    """Everything is known but what no device of this site measures; before anything is done, what devices tell by themselves."""
    with SynopticsManagerProxy() as manager:
        synoptics = manager.get_synoptics()
    unknown = {name for name, value in synoptics.items() if value is None}
    print(f"{len(synoptics) - len(unknown)} of {len(synoptics)} synoptics have values")
    assert not {name for name in unknown if name.startswith(("GSYN_TCS_", "GSYN_TRP", "GSYN_OGSE_LA"))}
    if operated:
        assert unknown == {"GSYN_TEB_FEE", "GSYN_TEB_SKY", "GSYN_TEB_TOU"}


def check_log(box: Sandbox) -> None:
    folder = LogFolder(box.layout.log)
    bad = [
        f"{record.process}: {record.message}"
        for record in folder.records(RecordFilter(level="ERROR"))
        if not any(text in record.message for text in STARTED)
    ]
    assert bad == []
