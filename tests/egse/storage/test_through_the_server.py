"""Clients and producers against a real storage manager: rows are stored once, whatever happens to it."""

from __future__ import annotations

import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egse.site.sandbox import Sandbox
from egse.storage import CSV, FITS, HDF5, SQLite, StorageError, StorageProxy
from egse.telemetry import HousekeepingStore
from egse.wire import encode

pytestmark = pytest.mark.system

CLASSES: list[tuple[Any, Any, Callable[[Any], Any]]] = [
    (CSV, {"timestamp": "t", "a": 1}, lambda found: found[0]["a"] == "1"),
    ("TXT", "a line", lambda found: found == ["a line"]),
    (SQLite, {"timestamp": "t", "a": 1.5}, lambda found: found == [{"timestamp": "t", "a": 1.5}]),
    (HDF5, {"a": np.arange(3)}, lambda found: found["a"].tolist() == [[0, 1, 2]]),
    (FITS, {"name": "IMAGE_1_E", "data": np.ones((2, 3))}, lambda found: found[0]["data"].shape == (2, 3)),
]


@pytest.fixture
def storage(in_sandbox: Sandbox) -> Iterator[StorageProxy]:
    with StorageProxy() as proxy:
        yield proxy


def eventually(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize(("kind", "row", "is_right"), CLASSES, ids=["CSV", "TXT", "SQLite", "HDF5", "FITS"])
def test_every_class_over_the_wire(
    storage: StorageProxy, kind: Any, row: Any, is_right: Callable[[Any], Any]
) -> None:
    origin = f"WIRE-{kind if isinstance(kind, str) else kind.__name__.upper()}"
    (name,) = storage.register({"origin": origin, "persistence_class": kind, "prep": {}})["filenames"]
    assert storage.save({"origin": origin, "prep": {}, "data": row}) == 1
    assert storage.get_filenames({"origin": origin, "prep": {}}) == [name]
    assert is_right(storage.read({"origin": origin, "prep": {}, "select": {"last": 1}}))
    assert Path(name).exists()
    storage.unregister({"origin": origin})
    with pytest.raises(StorageError, match="not registered"):
        storage.save({"origin": origin, "prep": {}, "data": row})


def test_code_does_not_travel(storage: StorageProxy) -> None:
    with pytest.raises(StorageError, match="unknown persistence class 'Path'"):
        storage.register({"origin": "X", "persistence_class": Path, "prep": {}})
    with pytest.raises(StorageError, match="unknown persistence class"):
        storage.register({"origin": "X", "persistence_class": "egse.storage.CSV", "prep": {}})


def test_status_says_what_the_icd_lists(storage: StorageProxy, in_sandbox: Sandbox) -> None:
    storage.register({"origin": "STATUS-X", "persistence_class": CSV, "prep": {}})
    script = Path(sysconfig.get_path("scripts")) / "sm_cs"
    short, full = (
        subprocess.run([script, "status", *options], capture_output=True, text=True, check=True).stdout
        for options in ([], ["--full"])
    )
    for word in (
        "Status: active",
        "Hostname: ",
        "port: ",
        "Storage location: ",
        "Loaded Setup: ",
        "STATUS-X",
    ):
        assert word in short
    for word in (
        "Filenames:",
        "_STATUS-X.csv",
        "bservation",
        "Total disk space",
        "Used disk space",
        "Free disk",
    ):
        assert word in full
    assert full.count(" %)") == 2
    storage.unregister({"origin": "STATUS-X"})


def test_rows_that_queue_up_travel_together_and_arrive_once(
    storage: StorageProxy, in_sandbox: Sandbox
) -> None:
    store = HousekeepingStore("QUEUED")
    store.save({"n": 0})
    assert store.flush(60.0)
    pid = in_sandbox.kill("sm_cs", signal.SIGSTOP)
    try:
        for number in range(1, 300):
            store.save({"n": number})
        assert not store.flush(0.1)
        assert store.waiting
    finally:
        in_sandbox.kill("sm_cs", signal.SIGCONT)
    in_sandbox.kill("sm_cs")
    for number in range(300, 400):
        store.save({"n": number})
    assert store.flush(60.0)
    assert in_sandbox.wait_for("sm_cs").pid != pid
    found = storage.read({"origin": "QUEUED"})
    assert [int(row["n"]) for row in found] == list(range(400))
    assert (store.acknowledged, store.dropped, store.refused) == (400, 0, 0)
    store.close()
    assert "QUEUED" not in storage.get_registry_names()


def test_a_row_that_is_refused_does_not_hold_up_the_others(storage: StorageProxy) -> None:
    store = HousekeepingStore("REFUSED")
    for number in range(20):
        store.save({"n": object() if number == 7 else number})
    assert store.flush(60.0)
    assert (store.acknowledged, store.refused) == (19, 1)
    numbers = [int(row["n"]) for row in storage.read({"origin": "REFUSED"})]
    assert numbers == [number for number in range(20) if number != 7]
    storage.unregister({"origin": "REFUSED"})  # as after a lost list of producers
    store.save({"n": 20})
    assert store.flush(60.0)
    assert (store.acknowledged, store.refused) == (20, 1)
    store.close()


def test_more_rows_than_the_queue_holds_are_counted(in_sandbox: Sandbox) -> None:
    store = HousekeepingStore("FULL-QUEUE", capacity=10)
    in_sandbox.kill("sm_cs", signal.SIGSTOP)
    try:
        for number in range(30):
            store.save({"n": number})
        assert (store.waiting, store.dropped) == (10, 20)
    finally:
        in_sandbox.kill("sm_cs", signal.SIGCONT)
    assert store.flush(60.0)
    store.close()


def anonymous_memory(pid: int) -> int:
    """Returns the memory of a process that is in no file [bytes]."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_being_asked_for_the_status_all_the_time_costs_no_memory(
    storage: StorageProxy, in_sandbox: Sandbox
) -> None:
    """Months of an observation in short: thousands of rows, and a process manager that looks every second."""
    origins = [f"SOAK-OF-A-PRODUCER-{number:02d}" for number in range(60)]
    for origin in origins:
        storage.register({"origin": origin, "persistence_class": CSV, "prep": {}})
    pid = in_sandbox.status()["sm_cs"].pid
    assert pid is not None
    with storage.get_service_proxy() as services:

        def load(rounds: int) -> int:
            size = 0
            for number in range(rounds):
                storage.save({"origin": origins[number % len(origins)], "data": [{"n": number}] * 10})
                size += len(encode(services.get_server_status()))
            return size

        load(100)
        before = anonymous_memory(pid)
        size = load(500)
        grown = anonymous_memory(pid) - before
    for origin in origins:
        storage.unregister({"origin": origin})
    assert size > 4e6
    assert grown < 3e6
