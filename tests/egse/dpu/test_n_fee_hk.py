"""The housekeeping process of the N-FEE: what the DPU Processor publishes becomes rows of N-FEE-HK."""

from __future__ import annotations

import csv
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egse.dpu.messages import decode_message, encode_message
from egse.dpu.n_fee_hk import NFEEHKProxy
from egse.fee.hk import load_hk_map
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
    frames = encode_message(MessageIdentifier.N_FEE_HK, (area, "2026-01-02T03:04:05.678+0000"))
    identifier, payload = decode_message(frames)
    assert (identifier, payload) == (MessageIdentifier.N_FEE_HK, (area, "2026-01-02T03:04:05.678+0000"))


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
    counters = [stored["NFEE_FRAME_COUNTER"] for stored in rows_of(data)[before : before + 8]]
    assert all(counters.count(counter) == 2 for counter in counters[2:6])


def test_it_comes_back_and_goes_on(in_sandbox: Any) -> None:
    data = in_sandbox.layout.data
    wait_until(lambda: bool(rows_of(data)))
    in_sandbox.kill("n_fee_hk", signal.SIGKILL)
    in_sandbox.wait_for("n_fee_hk")
    stored = len(rows_of(data))
    wait_until(lambda: len(rows_of(data)) >= stored + 2)
    times = [row["timestamp"] for row in rows_of(data)]
    assert times == sorted(times)
