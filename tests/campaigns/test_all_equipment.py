"""All control servers and simulators of the test houses at once in one sandbox (`make campaign`).

Housekeeping of all of them is stored, the synoptics are filled, nothing is logged as an error, memory stays flat. The figures
are printed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pandas as pd
import psutil
import pytest

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
            yield box
            Settings.clear_memoized()
    release_block(folder)


@pytest.mark.parametrize("seconds", [8.0, 1800.0])
def test_all_of_it_at_once(everything: Sandbox, seconds: float) -> None:
    rows = {row.name: row for row in everything.rows()}
    assert all(row.up for row in rows.values()), {name: row.state for name, row in rows.items() if not row.up}
    programs = {name: psutil.Process(row.pid) for name, row in rows.items()}
    before = {name: (_cpu(process), process.memory_info().rss) for name, process in programs.items()}
    descriptors = {name: process.num_fds() for name, process in programs.items()}
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
    check_synoptics()
    check_log(everything)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def check_housekeeping(box: Sandbox, took: float) -> None:
    """Every server with a storage mnemonic has stored rows at its rhythm."""
    entries = [
        each for each in sandbox_entries(extras=("aeu", "equipment")) if each.kind is not Kind.SIMULATOR
    ]
    blocks = {each.name: Settings.load(each.settings) for each in entries if each.settings}
    folder = box.layout.data / "daily"
    for name, block in blocks.items():
        mnemonic = block.get("STORAGE_MNEMONIC")
        if not mnemonic:
            continue
        files = sorted(folder.rglob(f"*_{mnemonic}.csv"))
        assert files, f"no housekeeping of {name} ({mnemonic}) in {folder}"
        rows = sum(len(pd.read_csv(file)) for file in files)
        expected = 0.5 * took / max(1.0, float(block.get("HK_DELAY") or 1.0))
        assert rows >= max(1, int(expected) - 2), f"{name}: {rows} rows in {took:.0f} s"


def check_synoptics() -> None:
    with SynopticsManagerProxy() as manager:
        synoptics = manager.get_synoptics()
    known = [value for value in synoptics.values() if value is not None]
    print(f"{len(known)} of {len(synoptics)} synoptics have values")
    assert len(known) >= 25


def check_log(box: Sandbox) -> None:
    folder = LogFolder(box.layout.log)
    bad = [
        f"{record.process}: {record.message}"
        for record in folder.records(RecordFilter(level="ERROR"))
        if not any(text in record.message for text in STARTED)
    ]
    assert bad == []
