"""Rows of synoptics on their way to storage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from egse.synoptics import writer as writer_module
from egse.synoptics.writer import SynopticsWriter

LIMIT = 10.0


class Store:
    """Stands for the storage manager's client."""

    def __init__(self, origin: str, capacity: int) -> None:
        self.origin = origin
        self.dropped = 0
        self.here = threading.Event()
        self.here.set()
        self.refusing = False
        self.kept: list[dict[str, Any]] = []
        self.stored: list[dict[str, Any]] = []
        self.flushed = threading.Semaphore(0)
        self.closed = False

    @property
    def waiting(self) -> int:
        return len(self.kept)

    def put(self, row: dict[str, Any]) -> None:
        self.kept.append(row)

    def flush(self) -> None:
        self.flushed.release()
        if self.refusing:
            raise ValueError("refused")
        if self.here.is_set():
            self.stored += self.kept
            self.kept = []

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SynopticsWriter, Store]]:
    monkeypatch.setattr(writer_module, "HousekeepingStore", Store)
    monkeypatch.setattr(writer_module, "RETRY_INTERVAL", 0.02)
    writer = SynopticsWriter("SYN-HK")
    store: Store = writer._store  # type: ignore[assignment]
    writer.start()
    yield writer, store
    writer.close()
    assert store.closed
    assert not writer.is_alive()


def test_an_acknowledged_row_is_stored(writer: tuple[SynopticsWriter, Store]) -> None:
    syn, store = writer
    for number in range(20):
        assert syn.save({"n": number})
        assert store.stored[-1] == {"n": number}
    assert (syn.stored, syn.waiting) == (20, 0)


@pytest.mark.parametrize("refusing", [False, True])
def test_rows_wait_for_storage_without_holding_anybody_up(
    writer: tuple[SynopticsWriter, Store], refusing: bool
) -> None:
    syn, store = writer
    store.here.clear()
    store.refusing = refusing
    for number in range(50):
        assert not syn.save({"n": number})  # only the first one waits a moment
    assert store.flushed.acquire(timeout=LIMIT)
    store.refusing = False
    store.here.set()
    assert syn.save({"n": 50}) or store.flushed.acquire(timeout=LIMIT)
    deadline = threading.Event()
    for _ in range(200):
        if syn.waiting == 0:
            break
        deadline.wait(0.02)
    assert [row["n"] for row in store.stored] == list(range(51))
