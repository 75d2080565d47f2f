"""The bookkeeping: which observation a cycle belongs to, also when the configuration manager dies in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.dpu import keeper as module
from egse.dpu.keeper import RecordKeeper
from egse.dpu.recorder import CycleRecorder
from egse.h5 import CycleFacts, Kind, get_file, get_obsid
from egse.storage.naming import utc_text

T0 = 1_700_000_000.0
LIMIT = 10.0


class Manager:
    """Stands for the configuration manager: it may be away, and what it knows survives that."""

    def __init__(self) -> None:
        self.away = False
        self.refused = threading.Semaphore(0)
        self.records: list[dict[str, Any]] = []

    def start(self, obsid: str, start: float) -> None:
        self.records.append({"obsid": obsid, "start": utc_text(start), "end": ""})

    def end(self, end: float) -> None:
        self.records[-1]["end"] = utc_text(end)

    def _answer(self) -> None:
        if self.away:
            self.refused.release()
            raise ConnectionError("cm_cs does not answer")

    def get_observation(self) -> dict[str, Any] | None:
        self._answer()
        return self.records[-1] if self.records and not self.records[-1]["end"] else None

    def list_observations(self, last: int | None = None) -> list[dict[str, Any]]:
        self._answer()
        return list(self.records)

    def close(self) -> None:
        return


class Bench:
    """Keeper and recorder as in the DPU, without the process in between."""

    def __init__(self, root: Path) -> None:
        self.files: list[Path] = []
        self.told = threading.Condition()
        self.obsids: list[tuple[int, str]] = []
        self.recorder = CycleRecorder(root, "LAB", self._on_file)
        self.keeper = RecordKeeper(root, self._set_obsid)
        self.keeper._observations.start()

    def _on_file(self, path: Path, facts: CycleFacts) -> None:
        self.files.append(path)

    def _set_obsid(self, cycle: int, obsid: str) -> None:
        self.recorder.set_obsid(cycle, obsid)
        with self.told:
            self.obsids.append((cycle, obsid))
            self.told.notify_all()

    def begin_cycle(self, cycle: int, timestamp: float) -> None:
        self.recorder.begin_cycle(timestamp, {"cycle": cycle})
        self.recorder.record_map(Kind.FRAME, {"frame": 0, "attributes": {}}, timestamp)
        self.keeper.on_event("cycle", {"cycle": cycle, "timestamp": timestamp})

    def wait_told(self, count: int) -> None:
        with self.told:
            assert self.told.wait_for(lambda: len(self.obsids) >= count, LIMIT), self.obsids

    def end(self) -> list[str]:
        """Ends all and returns the obsids in the files."""
        self.recorder.close(LIMIT)
        self.keeper.close()
        stamps = []
        for path in self.files:
            with get_file(path) as file:
                stamps.append(get_obsid(file))
        return stamps


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    manager = Manager()
    monkeypatch.setattr(module, "ConfigurationManagerProxy", lambda timeout: manager)
    monkeypatch.setattr(module, "RETRY_INTERVAL", 0.05)
    return manager


@pytest.fixture
def bench(tmp_path: Path, manager: Manager) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.end()


def test_manager_killed_in_a_running_observation(bench: Bench, manager: Manager) -> None:
    manager.start("LAB_00001_00007", T0)
    bench.begin_cycle(1, T0 + 1)
    bench.wait_told(1)
    manager.away = True
    bench.begin_cycle(2, T0 + 26)
    bench.wait_told(2)
    assert bench.end() == ["LAB_00001_00007"] * 2


def test_manager_killed_right_after_the_start_of_the_observation(bench: Bench, manager: Manager) -> None:
    manager.start("LAB_00001_00007", T0)
    manager.away = True
    bench.begin_cycle(1, T0 + 1)
    assert manager.refused.acquire(timeout=LIMIT)
    bench.recorder.end_cycle()
    manager.away = False
    bench.wait_told(1)
    assert bench.obsids == [(1, "LAB_00001_00007")]
    assert bench.end() == ["LAB_00001_00007"]


def test_files_do_not_pile_up_when_there_is_no_manager(bench: Bench, manager: Manager) -> None:
    manager.away = True
    for cycle in range(1, module.PATIENCE + 3):
        bench.keeper.on_event("cycle", {"cycle": cycle, "timestamp": T0 + cycle})
    bench.wait_told(2)
    assert bench.obsids == [(module.PATIENCE + 1, ""), (module.PATIENCE + 2, "")]


def test_cycle_belongs_to_the_observation_of_its_start(bench: Bench, manager: Manager) -> None:
    manager.start("LAB_00001_00007", T0)
    bench.begin_cycle(1, T0 + 1)
    bench.wait_told(1)
    manager.away = True
    bench.begin_cycle(2, T0 + 26)
    bench.wait_told(2)
    manager.end(T0 + 27)
    manager.start("LAB_00001_00008", T0 + 28)
    manager.away = False
    bench.wait_told(3)
    assert bench.end() == ["LAB_00001_00007"] * 2


def test_no_observation_is_made_up_for_a_cycle_after_its_end(bench: Bench, manager: Manager) -> None:
    manager.start("LAB_00001_00007", T0)
    bench.begin_cycle(1, T0 + 1)
    bench.wait_told(1)
    manager.end(T0 + 20)
    manager.away = True
    bench.begin_cycle(2, T0 + 26)
    bench.wait_told(2)
    manager.away = False
    bench.wait_told(3)
    assert bench.obsids[1:] == [(2, "LAB_00001_00007"), (2, "")]
    assert bench.end() == ["LAB_00001_00007", ""]
