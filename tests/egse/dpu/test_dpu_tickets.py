"""Batches, tickets and questions over the wire: the DPU control server of the sandbox, several clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

from egse.dpu import DPUMonitoring, DPUProxy
from egse.dpu.errors import DPUBatchError, FEEModeError
from egse.env import get_data_storage_location
from egse.fee import n_fee_mode
from egse.journal import BeginRecord, EndRecord, read_journal

pytestmark = pytest.mark.system

FIELD = "charge_injection_gap"
AT_REST = 100


@pytest.fixture
def dpu(in_sandbox: Any) -> Iterator[DPUProxy]:
    """The DPU, with the FEE in ON mode: nothing is read out."""
    with DPUProxy() as proxy:
        until(lambda: bool(proxy.get_status_summary()["known"]))
        proxy.n_fee_set_on_mode()
        until(lambda: proxy.n_fee_get_mode() == n_fee_mode.ON_MODE)
        yield proxy
        proxy.n_fee_set_register_values({FIELD: AT_REST})


def until(condition: Callable[[], bool], timeout: float = 90.0) -> None:
    deadline = time.monotonic() + timeout
    with DPUMonitoring() as monitoring:
        while not condition():
            assert time.monotonic() < deadline
            monitoring.receive(0.05)


def written(paths: list[str], wanted: set[int]) -> list[list[int]]:
    """The wanted values written to FIELD in the frames of raw files; frames without any are left out."""
    found = []
    for path in paths:
        with h5py.File(path) as file:
            for frame in sorted(key for key in file if key.isdigit()):
                commands = file[frame].get("commands", {})
                ours = [
                    commands[key]
                    for key in sorted(commands, key=int)
                    if commands[key].attrs["name"] == "n_fee_set_register_values"
                ]
                # 16 bits in the upper half of the register
                values = [value for command in ours if (value := int(command[()][-4])) in wanted]
                if values:
                    found.append(values)
    return found


def slots_with(wanted: set[int], timeout: float = 60.0) -> Callable[[], list[list[int]]]:
    """Follows the raw files that are finished from now on; what it returns waits until all wanted values are in them."""
    monitoring = DPUMonitoring()
    monitoring.connect()

    def collect() -> list[list[int]]:
        paths: list[str] = []
        slots: list[list[int]] = []
        deadline = time.monotonic() + timeout
        while wanted - {value for slot in slots for value in slot}:
            assert time.monotonic() < deadline
            paths += monitoring.wait_for_hdf5_filenames(timeout)
            slots = written(paths, wanted)
        monitoring.disconnect()
        return slots

    return collect


def test_a_batch_of_twenty_lands_in_one_slot(dpu: DPUProxy) -> None:
    slots = slots_with(set(range(1, 21)))
    with dpu.batch() as batch:
        for number in range(1, 21):
            dpu.n_fee_set_register_values({FIELD: number})
    assert dpu.n_fee_get_register_value(FIELD) == 20
    assert batch.ticket is not None
    record = batch.ticket.wait("in effect", 20.0)
    assert record.timecode == batch.result["timecode"]  # type: ignore[index]
    assert slots() == [list(range(1, 21))]


def test_twenty_submitted_commands_land_in_one_slot(dpu: DPUProxy) -> None:
    assert dpu.n_fee_set_register_values({FIELD: 1})  # a slot has just begun
    started = time.monotonic()
    tickets = [dpu.submit.n_fee_set_register_values({FIELD: number}) for number in range(2, 22)]
    submitting = time.monotonic() - started
    records = [ticket.wait("acknowledged", 20.0) for ticket in tickets]
    assert len({record.timecode for record in records}) <= 2  # two when the slot ended in between
    assert submitting < 10.0
    assert dpu.n_fee_get_register_value(FIELD) == 21
    with DPUProxy() as other:  # a client that is started later finds them all
        found = {ticket.id: ticket for ticket in other.get_tickets()}
        assert [found[ticket.id].wait("in effect", 20.0).state for ticket in tickets] == ["in effect"] * 20
        pulses = {found[ticket.id].record.pulse for ticket in tickets}
        assert len(pulses) <= 2


def test_batches_of_several_clients_do_not_mix(dpu: DPUProxy) -> None:
    records: dict[int, Any] = {}
    errors: list[BaseException] = []

    def send(first: int) -> None:
        try:
            with DPUProxy() as client:
                with client.batch() as batch:
                    for number in range(first, first + 8):
                        client.n_fee_set_register_values({FIELD: number})
                assert batch.ticket is not None
                records[first] = batch.ticket.record
        except BaseException as exc:
            errors.append(exc)

    firsts = (110, 130, 150)
    slots = slots_with({first + number for first in firsts for number in range(8)})
    clients = [threading.Thread(target=send, args=(first,)) for first in firsts]
    for client in clients:
        client.start()
    for client in clients:
        client.join(30)
    assert not errors
    assert set(records) == set(firsts)
    values = [value for slot in slots() for value in slot]
    groups = [values[start : start + 8] for start in range(0, len(values), 8)]
    assert sorted(groups) == [list(range(first, first + 8)) for first in firsts]


def test_nothing_of_a_refused_batch_is_sent(dpu: DPUProxy) -> None:
    before = dpu.n_fee_get_register_map()
    with pytest.raises(FEEModeError), dpu.batch():  # noqa: PT012
        dpu.n_fee_set_register_values({FIELD: 77})
        dpu.n_fee_set_dump_mode()
    with pytest.raises(DPUBatchError), dpu.batch():  # noqa: PT012
        dpu.n_fee_set_register_values({FIELD: 78})
        with dpu.batch():
            pass
    assert (dpu.n_fee_get_register_map()[:256] == before[:256]).all()
    ticket = dpu.submit.n_fee_set_dump_mode()
    with pytest.raises(FEEModeError, match="ON_MODE"):
        ticket.wait("acknowledged", 20.0)
    assert ticket.state == "failed"
    assert ticket.reason.startswith("FEEModeError")


def test_questions_are_answered_while_commands_wait_for_their_slot(dpu: DPUProxy) -> None:
    dpu.n_fee_set_standby_mode()
    until(lambda: dpu.n_fee_get_mode() == n_fee_mode.STANDBY_MODE)
    dpu.n_fee_set_full_image_mode(
        num_cycles=0, row_start=3500, row_end=4519, rows_final_dump=0, ccd_order=[1, 2, 3, 4], ccd_side="BOTH"
    )
    until(lambda: not dpu.n_fee_is_dump_mode() and dpu.n_fee_get_mode() == n_fee_mode.FULL_IMAGE_MODE)
    asked = 0
    with DPUProxy() as other:
        for _ in range(5):
            waiting = [threading.Thread(target=other.n_fee_clear_error_flags)]
            waiting[0].start()
            while waiting[0].is_alive():
                dpu.n_fee_get_frame_number()
                asked += 1
            waiting[0].join()
    dpu.n_fee_set_on_mode()
    assert asked > 5  # each of the five would have let one question through


def test_the_journal_has_begin_and_end_of_commands_that_were_answered_later(dpu: DPUProxy) -> None:
    dpu.n_fee_set_register_values({FIELD: 5})
    folder = Path(get_data_storage_location()) / "journal" / "dpu_cs"
    records = [record for path in sorted(folder.glob("*.journal")) for record in read_journal(path)]
    begun = [r for r in records if isinstance(r, BeginRecord) and r.command == "n_fee_set_register_values"][
        -1
    ]
    (end,) = [r for r in records if isinstance(r, EndRecord) and r.id == begun.id]
    assert end.status == "done"
    assert end.time >= begun.time
