"""Several commands in one slot, and commands that are not waited for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.command import CommandDefinition, CommandError
from egse.declaration import ServerContext
from egse.dpu import DPUProxy
from egse.dpu.dpu_cs import make_controller
from egse.dpu.errors import DPUBatchError, FEEModeError, SlotOverrunError
from egse.h5 import Kind
from egse.proxy import Proxy, route_commands
from egse.rmap import RMAPError, decode_command

NAMES = ("conv_dly", "h_end", "v_start", "v_end", "n_final_dump")
COMMANDS = [("n_fee_set_register_values", {"values": {NAMES[n % 5]: 100 + n // 5}}) for n in range(15)]
COMMANDS = [(name, {"values": {k: v % 31 for k, v in a["values"].items()}}) for name, a in COMMANDS]


def outcome(bench: Any, request: int, commands: Any) -> Any:
    bench.core.submit(request, commands)
    for _ in range(300):
        if request in bench.results:
            break
        bench.run(0.1)
    value, error = bench.results[request]
    if error is not None:
        raise error
    return value


def commands_in_frames(bench: Any) -> list[list[str]]:
    """Names of the recorded commands by frame, frames without any left out."""
    frames: list[list[str]] = [[]]
    for cycle in range(len(bench.cycles)):
        for kind, value in bench.cycles[cycle]["records"]:
            if kind is Kind.FRAME_END:
                frames.append([])
            elif kind is Kind.COMMAND:
                frames[-1].append(value["name"])
    return [frame for frame in frames if frame]


def test_a_batch_goes_out_in_one_slot_in_its_order(bench: Any) -> None:
    bench.run(3.0)
    sent = len(bench.sent)
    batch = [("n_fee_set_register_values", {"values": {"conv_dly": n}}) for n in range(20)]
    value = outcome(bench, 1, batch)
    written = [c for c in map(decode_command, bench.sent[sent:]) if c.is_write]
    assert len(written) == 21  # the error flags are cleared first
    assert [int.from_bytes(c.data, "big") >> 26 & 31 for c in written[1:]] == list(range(20))
    assert bench.model.registers["conv_dly"] == 19
    bench.run(10.0)
    assert commands_in_frames(bench) == [["clear_error_flags", *["n_fee_set_register_values"] * 20]]
    assert value["timecode"] == bench.begun[0][1]


def test_twenty_queued_commands_go_out_in_one_slot(bench: Any) -> None:
    bench.run(1.5)
    for number in range(1, 21):
        bench.core.submit(number, [("n_fee_set_register_values", {"values": {"conv_dly": number}})])
    bench.run(10.0)
    assert {timecode for _, timecode in bench.begun} == {0}
    assert [len(names) for names in commands_in_frames(bench)] == [21]


def test_one_command_that_cannot_be_stops_the_whole_batch(bench: Any) -> None:
    bench.run(3.0)
    sent = len(bench.sent)
    with pytest.raises(FEEModeError):
        outcome(bench, 1, [*COMMANDS, ("n_fee_set_dump_mode", {})])
    assert len(bench.sent) == sent
    assert bench.core.slot.failed == 16


def test_a_write_that_fails_puts_the_whole_batch_back(bench: Any) -> None:
    bench.run(3.0)
    before = bench.model.registers.copy()
    handle, count = bench.model.handle, 0

    def lose_the_tenth(packet: bytes, now: float) -> list[bytes]:
        nonlocal count
        count += decode_command(packet).is_write
        return [] if count == 10 else handle(packet, now)

    bench.model.handle = lose_the_tenth
    with pytest.raises(RMAPError, match="no reply"):
        outcome(bench, 1, COMMANDS)
    after = bench.model.registers
    assert [change.name for change in before.diff(after) if change.name != "clear_error_flag"] == []
    assert bench.state.registers.values() == after.values()
    assert outcome(bench, 2, COMMANDS)
    assert bench.model.registers["conv_dly"] == COMMANDS[10][1]["values"]["conv_dly"]


def test_what_does_not_fit_before_the_next_pulse_waits_for_the_slot_after_it(bench: Any) -> None:
    bench.run(3.0)
    while bench.core.slot._time_left(bench.now) > 1.0:
        bench.run(0.05)
    bench.core._transactions.reply_times.extend([0.1] * 15)
    timecode = bench.state.timecode
    value = outcome(bench, 1, COMMANDS)
    assert value["timecode"] == timecode + 1
    assert len(commands_in_frames(bench)) <= 1


def test_a_batch_that_never_fits_is_put_back_and_fails(bench: Any) -> None:
    bench.run(3.0)
    before = bench.model.registers.copy()
    handle, slot = bench.model.handle, bench.core.slot
    tries = []

    def end_the_slot(packet: bytes, now: float) -> Any:
        if decode_command(packet).is_write and slot._transactions.busy and len(bench.begun) > len(tries):
            tries.append(now)
            slot._pulses += 1
        return handle(packet, now)

    bench.model.handle = end_the_slot
    with pytest.raises(SlotOverrunError, match="a pulse came after"):
        outcome(bench, 1, COMMANDS)
    assert len(tries) == 3
    changes = before.diff(bench.model.registers)
    assert [change.name for change in changes if change.name != "clear_error_flag"] == []


def test_one_slow_reply_does_not_hold_commands_up(bench: Any) -> None:
    bench.run(3.0)
    bench.core._transactions.reply_times.append(5.0)
    timecode = bench.state.timecode
    assert outcome(bench, 1, COMMANDS)["timecode"] == timecode


def test_a_pulse_in_the_middle_puts_the_batch_back_and_it_is_tried_again(bench: Any) -> None:
    bench.run(3.0)
    handle, slot, count = bench.model.handle, bench.core.slot, 0

    def pulse_at_the_fifth(packet: bytes, now: float) -> Any:
        nonlocal count
        count += decode_command(packet).is_write
        if count == 5:
            slot.on_pulse(bench.now - 3.0)
        return handle(packet, now)

    bench.model.handle = pulse_at_the_fifth
    assert outcome(bench, 1, COMMANDS)
    assert bench.begun[0][0] == bench.begun[1][0] == 1
    names = [name for frame in commands_in_frames(bench) for name in frame]
    assert names.count("n_fee_set_register_values: put back") == 4


class Router:
    """Proxies talk to a controller on virtual time."""

    def __init__(self) -> None:
        context = ServerContext("dpu_cs", {}, VirtualClock(), simulator=True, dry_run=True)
        self.controller = make_controller(context)

    def call(self, proxy: Proxy, definition: CommandDefinition, arguments: dict[str, Any]) -> Any:
        return getattr(self.controller, definition.name)(**arguments)


@pytest.fixture
def dpu() -> Iterator[DPUProxy]:
    route_commands(Router())
    yield DPUProxy()
    route_commands(None)


def test_batch_and_tickets_in_a_dry_run(dpu: DPUProxy) -> None:
    with dpu.batch() as batch:
        assert dpu.n_fee_set_register_values({"conv_dly": 3}) is None
        assert dpu.n_fee_get_register_value("conv_dly") != 3
        dpu.n_fee_set_standby_mode()
    assert dpu.n_fee_get_register_value("conv_dly") == 3
    assert batch.result is not None
    assert batch.ticket is not None
    assert batch.ticket.record.commands == ["n_fee_set_register_values", "n_fee_set_standby_mode"]
    record = batch.ticket.wait("in effect", 60.0)
    assert record.pulse is not None
    assert dpu.n_fee_get_mode() == 4
    sensors = dpu.submit.n_fee_set_register_values({"sensor_sel": 1})
    assert sensors.state in ("queued", "acknowledged")
    sensors.wait("in effect", 10.0)
    refused = dpu.submit.n_fee_set_full_image_mode(0, 0, 4539, 0, [1, 2, 3, 4], "E")
    assert refused.wait("acknowledged")
    now = dpu.submit.n_fee_clear_error_flags()
    assert now.wait("in effect").in_effect
    assert [ticket.id for ticket in dpu.get_tickets()] == [batch.ticket.id, sensors.id, refused.id, now.id]


def test_a_batch_is_dropped_by_an_exception(dpu: DPUProxy) -> None:
    with pytest.raises(ZeroDivisionError), dpu.batch():  # noqa: PT012
        dpu.n_fee_set_register_values({"conv_dly": 3})
        _ = 1 / 0
    assert dpu.get_tickets() == []
    with pytest.raises(DPUBatchError, match="inside a batch"), dpu.batch():  # noqa: PT012
        dpu.n_fee_set_register_values({"conv_dly": 3})
        with dpu.batch():
            pass
    assert dpu.get_tickets() == []
    with dpu.batch() as empty:
        pass
    assert empty.ticket is None
    dpu.n_fee_set_register_values({"conv_dly": 5})  # no batch is open any more
    assert dpu.n_fee_get_register_value("conv_dly") == 5


def test_commands_of_a_batch_are_checked_at_once(dpu: DPUProxy) -> None:
    with pytest.raises(CommandError, match="int_sync_period"), dpu.batch():
        dpu.n_fee_set_internal_sync(0)
    with pytest.raises(DPUBatchError, match="no command to the FEE"):
        dpu.send_batch([{"name": "get_num_cycles", "arguments": {}}])
    with pytest.raises(DPUBatchError, match="no commands"):
        dpu.send_batch([])
    with pytest.raises(FEEModeError), dpu.batch():  # noqa: PT012
        dpu.n_fee_set_register_values({"conv_dly": 7})
        dpu.n_fee_set_dump_mode()
    assert dpu.n_fee_get_register_value("conv_dly") != 7
    (ticket,) = dpu.get_tickets()
    assert (ticket.state, "FEEModeError" in ticket.reason) == ("failed", True)
    with pytest.raises(FEEModeError):
        ticket.wait("sent")
    with pytest.raises(KeyError, match="no ticket"):
        dpu.get_ticket("nonsense")
