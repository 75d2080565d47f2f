"""The inner loop, stepped through hours of camera time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from egse.dpu.core import Phase
from egse.dpu.errors import FEEModeError
from egse.dpu.transactions import Script, Transactions
from egse.fee import NUMBERINGS, n_fee_mode
from egse.h5 import Kind, sides_in_frame
from egse.reg import RegisterMap
from egse.rmap import RMAPError, decode_command, read_command
from egse.zmq import MessageIdentifier

SMALL = {
    "row_start": 4500,
    "row_end": 4519,
    "rows_final_dump": 0,
    "ccd_order": [1, 2, 3, 4],
    "ccd_side": "BOTH",
}


def test_registers_are_read_after_the_first_frame(bench: Any) -> None:
    assert not bench.state.known
    bench.run(3.0)
    assert bench.state.known
    assert bench.state.registers.values() == bench.model.registers.values()
    assert bench.state.mode == n_fee_mode.ON_MODE
    assert bench.core.phase is Phase.SLOT


def test_frames_and_cycles_follow_the_pulses(bench: Any) -> None:
    bench.run(60.0)
    assert bench.state.cycle_count == 3
    assert bench.ended == 2
    frames = [v["frame"] for v in bench.of_kind(1, Kind.FRAME)]
    assert frames == [0, 1, 2, 3]
    assert [v[0] for v in bench.of_kind(1, Kind.TIMECODE)] == [4, 5, 6, 7]
    assert [len(v) for v in bench.of_kind(1, Kind.HK)] == [154] * 4
    assert [len(v) for v in bench.of_kind(1, Kind.HK_DATA)] == [144] * 4
    assert len(bench.of_kind(1, Kind.FRAME_END)) == 4
    assert bench.cycles[1]["register"][:256] == bytes(bench.model.registers.memory[:256])


def test_first_cycle_gets_the_register_map_that_was_read_later(bench: Any) -> None:
    bench.run(3.0)
    assert bench.of_kind(0, Kind.CYCLE)[-1]["register"][:256] == bytes(bench.model.registers.memory[:256])
    assert bench.of_kind(0, Kind.FRAME)[-1]["attributes"]["v_end"] == bench.model.registers["v_end"]


def test_two_housekeeping_rows_a_pulse(bench: Any) -> None:
    bench.run(1.0 + 4 * 6.25)
    assert len(bench.hk) == 2 * bench.state.pulse_count


def test_mode_is_in_effect_from_the_long_pulse(bench: Any) -> None:
    bench.run(3.0)
    bench.command("n_fee_set_standby_mode")
    assert bench.state.mode == n_fee_mode.ON_MODE
    assert bench.state.commanded_mode == n_fee_mode.STANDBY_MODE
    bench.until_long_pulse()
    assert bench.state.mode == bench.model.mode == n_fee_mode.STANDBY_MODE


def test_illegal_transitions_are_refused_before_anything_is_sent(bench: Any) -> None:
    bench.run(3.0)
    sent = len(bench.sent)
    with pytest.raises(FEEModeError, match="from ON_MODE to FULL_IMAGE_MODE"):
        bench.command("n_fee_set_dump_mode")
    assert len(bench.sent) == sent
    bench.command("n_fee_set_standby_mode")
    with pytest.raises(
        FEEModeError, match="STANDBY_MODE was commanded and is in effect from the next long pulse"
    ):
        bench.command("n_fee_set_full_image_mode", num_cycles=1, **SMALL)
    bench.until_long_pulse()
    assert bench.model.refused == 0


def test_on_mode_is_reached_from_anywhere(bench: Any) -> None:
    bench.to_dump()
    assert bench.state.is_dump_mode
    bench.command("n_fee_set_on_mode")
    assert bench.state.mode == bench.model.mode == n_fee_mode.ON_MODE


def test_num_cycles_then_dump(bench: Any) -> None:
    bench.to_dump()
    first = bench.state.cycle_count
    bench.command("n_fee_set_full_image_mode", num_cycles=2, **SMALL)
    bench.until_long_pulse()
    assert bench.state.num_cycles == 2
    bench.run(4 * 25.0)
    assert bench.state.is_dump_mode
    assert bench.model.active.DG_en == 1
    with_data = [c for c in range(len(bench.cycles)) if Kind.DATA in bench.kinds(c)]
    assert len(with_data) == 2
    assert [bench.cycles[c]["num_cycles"] for c in with_data] == [2, 1]
    assert with_data[0] == first
    numbers = [
        payload for identifier, payload in bench.messages if identifier is MessageIdentifier.NUM_CYCLES
    ]
    assert numbers[first : first + 3] == [2, 1, 0]


def test_all_data_of_a_frame_are_recorded(bench: Any) -> None:
    bench.to_dump()
    bench.command("n_fee_set_full_image_mode", num_cycles=1, **SMALL)
    bench.until_long_pulse()
    bench.run(26.0)
    cycle = next(c for c in range(len(bench.cycles)) if Kind.DATA in bench.kinds(c))
    packets = bench.of_kind(cycle, Kind.DATA)
    assert len(packets) == 4 * 2 * 4  # frames, sides, packets of 10 + 10 rows
    attributes = bench.of_kind(cycle, Kind.FRAME)[0]["attributes"]
    assert (attributes["v_start"], attributes["v_end"], attributes["digitise_en"]) == (4500, 4519, 1)
    images = sides_in_frame([np.frombuffer(p, np.uint8) for p in packets[:8]], attributes)
    assert [(image.ccd, image.side, image.pixels.shape) for image in images] == [
        (1, "E", (20, 2295)),
        (1, "F", (20, 2295)),
    ]
    assert not any(image.missing_rows.size for image in images)
    assert bench.core.counters["incomplete_readouts"] == 0


def test_commands_go_out_after_the_data_and_clear_the_error_flags_first(bench: Any) -> None:
    bench.to_dump()
    bench.command("n_fee_set_full_image_mode", num_cycles=0, **SMALL)
    bench.until_long_pulse()
    bench.core.submit(99, [("n_fee_set_register_values", {"values": {"conv_dly": 7}})])
    bench.run(6.25)
    kinds = bench.kinds(-1)[: bench.kinds(-1).index(Kind.FRAME_END)]
    assert kinds.index(Kind.HK_DATA) < kinds.index(Kind.COMMAND)
    assert kinds.index(Kind.HK_DATA) > max(i for i, kind in enumerate(kinds) if kind is Kind.DATA)
    names = [value["name"] for value in bench.of_kind(-1, Kind.COMMAND)]
    assert names == ["clear_error_flags", "n_fee_set_register_values"]
    command = decode_command(bench.of_kind(-1, Kind.COMMAND)[1]["packet"])
    assert command.is_write
    assert bench.model.registers["conv_dly"] == 7
    assert bench.results[99][0]["timecode"] == bench.state.timecode - 1


def test_error_flags_are_published_and_cleared(bench: Any) -> None:
    bench.run(3.0)
    bench.model.error_flags = 0x24
    bench.run(6.25)
    flags = [
        payload for identifier, payload in bench.messages if identifier is MessageIdentifier.SYNC_ERROR_FLAGS
    ]
    assert flags[-1][0] == 0x24
    bench.command("n_fee_clear_error_flags")
    bench.run(6.25)
    assert bench.state.error_flags == 0


def test_a_batch_is_sent_in_one_slot(bench: Any) -> None:
    bench.run(3.0)
    values = {"v_start": 1, "h_end": 100, "conv_dly": 3, "ccd2_vrd_config": 0xABC, "r_cfg1": 2}
    bench.command("n_fee_set_register_values", values=values)
    assert {name: bench.model.registers[name] for name in values} == values
    assert bench.state.registers.values() == bench.model.registers.values()


def test_a_batch_that_fails_is_put_back(bench: Any) -> None:
    bench.run(3.0)
    before = bytes(bench.model.registers.memory)
    handle = bench.model.handle
    writes = []

    def refuse_the_third(packet: bytes, now: float) -> list[bytes]:
        if decode_command(packet).is_write:
            writes.append(packet)
            if len(writes) == 4:  # clearing the flags is the first one
                packet = packet[:3] + bytes([packet[3] ^ 0xFF]) + packet[4:]
        return handle(packet, now) if len(writes) != 4 else []

    bench.model.handle = refuse_the_third
    with pytest.raises(RMAPError):
        bench.command("n_fee_set_register_values", values={"v_start": 1, "h_end": 100, "conv_dly": 3})
    after = bench.model.registers.copy()
    after["clear_error_flag"] = 0
    assert bytes(after.memory[:0x700]) == before[:0x700]


@pytest.mark.parametrize("values", [{"no_such_field": 1}, {"v_start": 1 << 20}, {"ccd_mode_config": 6}])
def test_a_batch_that_makes_no_sense_sends_nothing(bench: Any, values: dict[str, int]) -> None:
    bench.run(3.0)
    sent = len(bench.sent)
    with pytest.raises((ValueError, KeyError)):
        bench.command("n_fee_set_register_values", values=values)
    assert len(bench.sent) == sent


def test_internal_sync_makes_one_frame_a_cycle(bench: Any) -> None:
    bench.to_dump()
    bench.command("n_fee_set_internal_sync", int_sync_period=2500)
    bench.until_long_pulse()
    assert bench.state.internal_sync
    count = bench.state.cycle_count
    bench.run(29.0)
    assert bench.state.cycle_count - count == 10
    assert bench.of_kind(-2, Kind.FRAME)[0]["frame"] == 0
    bench.command("n_fee_set_external_sync")
    bench.run(60.0)
    assert not bench.state.internal_sync
    assert [v["frame"] for v in bench.of_kind(-2, Kind.FRAME)] == [0, 1, 2, 3]


def test_num_cycles_in_internal_sync(bench: Any) -> None:
    bench.to_dump()
    bench.command("n_fee_set_internal_sync", int_sync_period=2500)
    bench.until_long_pulse()
    bench.command("n_fee_set_full_image_mode", num_cycles=3, **SMALL)
    bench.run(40.0)
    assert bench.state.is_dump_mode
    assert len([c for c in range(len(bench.cycles)) if Kind.DATA in bench.kinds(c)]) == 3


def test_lost_housekeeping_packet(bench: Any) -> None:
    bench.run(3.0)
    bench.lose = lambda packet: len(packet) == 154
    bench.run(6.25)
    bench.lose = lambda packet: False
    bench.run(30.0)
    assert bench.core.counters["missing_hk"] == 1
    assert [v["frame"] for v in bench.of_kind(0, Kind.FRAME)] == [
        0,
        0,
        1,
        2,
        3,
    ]  # twice 0: registers known later


def test_lost_last_packets_do_not_stop_the_loop(bench: Any) -> None:
    bench.to_dump()
    bench.command("n_fee_set_full_image_mode", num_cycles=0, **SMALL)
    bench.until_long_pulse()
    bench.lose = lambda packet: len(packet) > 200 and bool(packet[5] & 0x80) and packet[5] & 3 == 1
    bench.run(6.25)
    bench.lose = lambda packet: False
    assert bench.core.counters["incomplete_readouts"] >= 1
    bench.command("n_fee_set_dump_mode")
    bench.until_long_pulse()
    assert bench.state.is_dump_mode


def test_dead_link(make_bench: Callable[..., Any]) -> None:
    bench = make_bench()
    bench.link_up = False
    bench.run(10.0)
    with pytest.raises(ConnectionError):
        bench.command("n_fee_set_standby_mode")
    bench.link_up = True
    bench.run(30.0)
    assert bench.state.known
    bench.command("n_fee_set_standby_mode")


def test_rubbish_is_counted(bench: Any) -> None:
    for packet in (
        b"",
        b"\x91",
        b"\x51\x01",
        bytes(9),
        b"\x50\xf0" + bytes(200),
        b"\x50\x01\x08" + bytes(30),
    ):
        bench.core.handle(packet, 0.1, 0.1, flags=1)
    assert bench.core.counters["error_packets"] >= 6
    bench.run(30.0)
    assert bench.state.cycle_count == 2


def test_start_in_the_middle_of_a_readout(make_bench: Callable[..., Any]) -> None:
    first = make_bench()
    first.to_dump()
    first.command("n_fee_set_full_image_mode", num_cycles=0, **SMALL)
    first.until_long_pulse()
    first.run(6.25)
    second = make_bench()
    second.model, second.now = first.model, first.now
    second.run(50.0)
    assert second.state.known
    assert second.state.mode == n_fee_mode.FULL_IMAGE_MODE
    assert len(second.of_kind(1, Kind.DATA)) == 32


def test_hours_in_no_time(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(pixels=False)
    bench.core._expect_data = False
    bench.to_dump()
    bench.run(3600.0)
    assert bench.state.pulse_count == bench.core.counters["hk_packets"]
    assert bench.state.cycle_count >= 144
    assert bench.core.counters["missing_hk"] == 0


def test_engineering_model(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(camera="em")
    bench.state.registers = RegisterMap("N-FEE", "em")
    bench.state.in_effect = bench.state.registers.values()
    bench.state.numbering = NUMBERINGS["em"]
    bench.to_dump()
    assert bench.model.registers["ccd_readout_order"] == 0x4E
    bench.command("n_fee_set_full_image_mode", num_cycles=1, **SMALL)
    bench.run(50.0)
    cycle = next(c for c in range(len(bench.cycles)) if Kind.DATA in bench.kinds(c))
    packets = [np.frombuffer(packet, np.uint8) for packet in bench.of_kind(cycle, Kind.DATA)]
    attributes = bench.of_kind(cycle, Kind.FRAME)[0]["attributes"]
    images = sides_in_frame(packets, attributes, NUMBERINGS["em"].bin_to_id, twos_complement=True)
    assert sorted({image.ccd for image in images}) == [1, 2, 3, 4]
    assert bench.state.is_dump_mode


def test_a_mistake_in_a_script_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception] = []
    transactions = Transactions(lambda packet: None, timeout=1.0)

    def mistake() -> Script[None]:
        raise ZeroDivisionError("a mistake")
        yield read_command(0, 4)

    transactions.run(mistake(), 0.0, lambda value, at: None, lambda exc, at: failures.append(exc))
    assert isinstance(failures[0], ZeroDivisionError)
    assert "in mistake" in caplog.text
    assert not transactions.busy
