"""The housekeeping process of the N-FEE: what the DPU Processor publishes becomes rows of N-FEE-HK."""

from __future__ import annotations

import csv
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from egse.dpu import n_fee_hk
from egse.dpu.hk_ring import HousekeepingRing
from egse.dpu.messages import decode_message, encode_message
from egse.dpu.monitoring import DPUMonitoring
from egse.dpu.n_fee_hk import NFEEHKProxy, last_timestamp
from egse.fee.hk import load_hk_map
from egse.storage.naming import utc_text
from egse.zmq import MessageIdentifier

pytestmark = pytest.mark.system


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def rows_of(folder: Path) -> list[dict[str, str]]:
    paths = sorted(folder.glob("daily/*/*_N-FEE-HK.csv"))
    if not paths:
        return []
    with paths[-1].open(newline="") as file:
        return list(csv.DictReader(file))


def test_message() -> None:
    area = bytes(range(144))
    frames = encode_message(MessageIdentifier.N_FEE_HK, (area, "2026-01-02T03:04:05.678+0000", 7))
    identifier, payload = decode_message(frames)
    assert (identifier, payload) == (MessageIdentifier.N_FEE_HK, (area, "2026-01-02T03:04:05.678+0000", 7))


def test_rows_raw_and_calibrated_two_a_timecode(in_sandbox: Any) -> None:
    data = in_sandbox.layout.data
    before = len(rows_of(data))  # other tests kill processors in this sandbox
    wait_until(lambda: len(rows_of(data)) >= before + 8)
    with NFEEHKProxy() as proxy:
        row = proxy.get_last_row()
    assert set(row) == {"timestamp", *rows_of(data)[-1]}
    names = load_hk_map("fm").fields
    assert set(names) <= set(row)
    assert row["NFEE_VCCD_CAL"] is not None  # the sandbox's Setup has its calibration
    counters = [stored["NFEE_FRAMECOUNTER"] for stored in rows_of(data)[before : before + 8]]
    assert all(counters.count(counter) == 2 for counter in counters[2:6])


def test_it_comes_back_and_goes_on(in_sandbox: Any) -> None:
    data = in_sandbox.layout.data
    wait_until(lambda: bool(rows_of(data)))
    in_sandbox.kill("n_fee_hk", signal.SIGKILL)
    stored = len(rows_of(data))
    with DPUMonitoring() as monitoring:
        for _ in range(4):  # what is published now is heard by nobody who would store it
            assert monitoring.wait_for_timecode(30)
    in_sandbox.wait_for("n_fee_hk")
    wait_until(lambda: len(rows_of(data)) >= stored + 8)
    times = [row["timestamp"] for row in rows_of(data)]
    assert times == sorted(times)
    counters = [int(row["NFEE_FRAMECOUNTER"]) for row in rows_of(data)[stored - 2 :]]
    assert set(range(counters[1], counters[-2])) <= set(counters), "rows are missing"
    assert all(counters.count(counter) == 2 for counter in counters[2:-2]), "rows are missing, or twice there"


def test_housekeeping_is_kept_for_who_was_away() -> None:
    ring = HousekeepingRing()
    for number in range(3):
        assert ring.add(bytes((number,)), 1e9 + number)[1:] == (utc_text(1e9 + number), number)
    assert [row[0] for row in ring.since("")["rows"]] == [0, 1, 2]
    assert ring.since(utc_text(1e9 + 1)) == {"rows": [(2, utc_text(1e9 + 2), b"\x02")], "first": 0}


def test_the_last_row_on_disk(tmp_path: Path) -> None:
    assert last_timestamp(tmp_path) == ""
    for day, content in (("20260101", "timestamp,A\n2026-01-01T,1\n"), ("20260102", "timestamp,A\n2026-01-")):
        (tmp_path / "daily" / day).mkdir(parents=True)
        (tmp_path / "daily" / day / f"{day}_LAB_N-FEE-HK.csv").write_text(content)
    assert last_timestamp(tmp_path) == "2026-01-01T"


class FakeDPU:
    """Answers as the DPU does, or not at all."""

    answers: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, timeout: float) -> None: ...

    def __enter__(self) -> FakeDPU:
        return self

    def __exit__(self, *_: object) -> None: ...

    def get_n_fee_housekeeping(self, since: str) -> dict[str, Any]:
        if not self.answers:
            raise ConnectionError("away")
        return self.answers.pop(0)


def test_what_was_not_heard_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[str] = []
    monkeypatch.setattr(n_fee_hk, "DPUProxy", FakeDPU)
    monkeypatch.setattr(n_fee_hk, "RETRY_TIME", 0.0)
    controller = n_fee_hk.NFEEHKController(lambda area: {})
    monkeypatch.setattr(controller, "_take", lambda area, timestamp: stored.append(timestamp))
    controller._hear(b"", "t3", 3)
    assert stored == []  # the DPU does not answer; it keeps the row
    none: dict[str, Any] = {"rows": [], "first": 0}
    FakeDPU.answers = [{"rows": [(2, "t2", b""), (3, "t3", b"")], "first": 0}, none]
    controller._hear(b"", "t3", 3)
    controller._hear(b"", "t4", 4)
    assert (stored, controller.late, controller.missed) == (["t2", "t3", "t4"], 2, 0)
    FakeDPU.answers = [{"rows": [(7, "t7", b"")], "first": 7}, none]  # it has forgotten two
    controller._hear(b"", "t7", 7)
    assert (stored[-1], controller.missed) == ("t7", 2)
    FakeDPU.answers = [{"rows": [(0, "u0", b""), (1, "u1", b"")], "first": 0}, none]  # another processor
    controller._hear(b"", "u1", 1)
    assert (stored[-2:], controller.missed) == (["u0", "u1"], 2)
    controller.stop()
