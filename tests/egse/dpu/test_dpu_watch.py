"""A FEE that was restarted is noticed, and the count of image cycles outlives processor and server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egse.dpu.core import DPUCore
from egse.dpu.countfile import CountFile
from egse.dpu.sink import Timeouts
from egse.dpu.state import NFEEState
from egse.fee import n_fee_mode
from egse.fee.model import NFEEModel
from egse.h5 import Kind
from egse.reg import RegisterMap
from egse.zmq import MessageIdentifier

SMALL = {
    "row_start": 4500, "row_end": 4519, "rows_final_dump": 0, "ccd_order": [1, 2, 3, 4], "ccd_side": "BOTH",
}  # fmt: skip


def restart_fee(bench: Any, after: float = 5.0) -> None:
    """The FEE is switched off and on: as after power-on, the pulses of the AEU begin anew."""
    bench.model = NFEEModel(start=bench.now + after)


def new_processor(bench: Any) -> None:
    """The processor is killed, a new one starts, knowing nothing but the count that was kept."""
    counts = bench.counts[-1] if bench.counts else (0, 0)
    bench.core.close()
    bench.state = NFEEState(RegisterMap("N-FEE", "fm"))
    bench.core = DPUCore(bench.state, bench, bench.now, Timeouts())
    if counts[0]:
        bench.core.slot.resume_count(*counts)


def counters(bench: Any) -> tuple[int, int]:
    status = bench.core.status()["counters"]
    return status["fee_restarts"], status["mirror_resyncs"]


def test_restart_is_noticed_and_the_mirror_follows(bench: Any) -> None:
    bench.to_dump()
    assert bench.state.is_dump_mode
    restart_fee(bench)
    bench.run(10.0)
    assert counters(bench) == (1, 1)
    assert bench.state.mode == bench.model.mode == n_fee_mode.ON_MODE
    assert bench.state.registers.values() == bench.model.registers.values()
    ((restarted, reason),) = bench.findings
    assert restarted
    assert "reports ON_MODE where FULL_IMAGE_MODE should be in effect" in reason
    assert "ccd_mode_config 5 -> 0" in bench.core.status()["fee_notice"] or "differ" in reason
    assert [p[0] for i, p in bench.messages if i is MessageIdentifier.N_FEE_RESYNC] == [True]
    bench.command("n_fee_set_standby_mode")
    bench.run(60.0)
    assert counters(bench) == (1, 1)


def test_restart_in_the_same_mode_is_noticed_by_the_registers(bench: Any) -> None:
    bench.run(3.0)
    bench.command("n_fee_set_register_values", values={"conv_dly": 3})
    restart_fee(bench)
    bench.run(10.0)
    assert counters(bench) == (1, 1)
    assert bench.state.registers["conv_dly"] == bench.model.registers["conv_dly"] != 3


def test_restart_in_a_counted_acquisition_ends_the_counting(bench: Any) -> None:
    bench.to_dump()
    bench.command("n_fee_set_full_image_mode", num_cycles=5, **SMALL)
    bench.until_long_pulse()
    restart_fee(bench)
    bench.run(10.0)
    assert bench.state.num_cycles == 0
    assert bench.counts[-1][0] == 0
    bench.run(150.0)
    assert bench.core.slot.failed == 0
    assert bench.model.refused == 0


def test_commands_queued_for_the_slot_go_to_the_fee_as_it_is_now(bench: Any) -> None:
    bench.to_dump()
    restart_fee(bench)
    bench.run(5.05)
    bench.core.submit(50, [("n_fee_set_full_image_mode", {"num_cycles": 0, **SMALL})])
    bench.run(10.0)
    assert "from ON_MODE" in str(bench.results[50][1])


def test_a_jumping_frame_counter_alone_is_no_restart(bench: Any) -> None:
    bench.to_dump()
    for jump in (100, -300, 20_000):
        bench.model.frame_counter = (bench.model.frame_counter + jump) & 0xFFFF
        bench.run(30.0)
    assert counters(bench) == (0, 0)
    assert bench.findings == []


def test_somebody_else_who_commands_the_fee_is_no_restart(bench: Any) -> None:
    bench.to_dump()
    bench.model.registers["conv_dly"] = 9
    bench.model.frame_counter += 10
    bench.run(10.0)
    assert counters(bench) == (0, 1)
    assert bench.state.registers["conv_dly"] == 9
    assert "somebody else" in bench.findings[0][1]


def test_a_long_pulse_whose_packets_were_lost_corrects_the_mirror_only(bench: Any) -> None:
    bench.run(3.0)
    bench.command("n_fee_set_standby_mode")
    pulses = bench.model.sync
    bench.run(pulses.next.time - bench.now - 0.1)
    bench.lose = lambda packet: True
    while bench.model.mode != n_fee_mode.STANDBY_MODE:
        bench.run(1.0)
    bench.lose = lambda packet: False
    bench.run(7.0)
    assert bench.state.mode == n_fee_mode.STANDBY_MODE
    assert counters(bench) == (0, 0)


@pytest.mark.parametrize("away", [1.0, 26.0, 51.0])
def test_the_count_goes_on_in_a_new_processor(bench: Any, away: float) -> None:
    bench.to_dump()
    bench.command("n_fee_set_full_image_mode", num_cycles=4, **SMALL)
    begin = bench.model.frame_counter
    bench.until_long_pulse()
    bench.link_up = False
    bench.run(away)
    bench.link_up = True
    new_processor(bench)
    bench.run(150.0)
    assert bench.state.is_dump_mode
    assert bench.counts[-1][0] == 0
    images = [c for c in bench.cycles if any(k is Kind.DATA for k, _ in c["records"])]
    assert images
    assert bench.model.mode == n_fee_mode.FULL_IMAGE_MODE
    assert bench.model.active.DG_en == 1
    assert begin


def test_a_count_commanded_but_not_begun_goes_on(bench: Any) -> None:
    bench.to_dump()
    bench.command("n_fee_set_full_image_mode", num_cycles=2, **SMALL)
    new_processor(bench)
    dumps = bench.core.slot
    bench.run(2 * 25.0 + 26.0 + 26.0)
    assert bench.state.is_dump_mode
    assert dumps.sent == 1
    images = [c for c in bench.cycles if any(k is Kind.DATA for k, _ in c["records"])]
    assert len(images) == 2


def test_a_count_that_is_over_brings_dump_at_once(bench: Any) -> None:
    bench.to_dump()
    bench.command("n_fee_set_full_image_mode", num_cycles=1, **SMALL)
    bench.until_long_pulse()
    bench.link_up = False
    bench.run(80.0)
    bench.link_up = True
    new_processor(bench)
    bench.run(13.0)
    assert bench.model.registers["DG_en"] == 1


def test_a_count_is_dropped_when_no_images_are_taken(bench: Any) -> None:
    bench.to_dump()
    bench.counts.append((3, bench.model.frame_counter))
    new_processor(bench)
    bench.run(30.0)
    assert bench.core.slot.sent == 0
    assert bench.counts[-1] == (0, 0)


def test_count_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = CountFile(tmp_path)
    assert file.read() is None
    file.keep({"num_cycles": 3, "frame_counter": 70})
    assert CountFile(tmp_path).read() == {"num_cycles": 3, "frame_counter": 70}
    (tmp_path / "spool" / "dpu" / "count.json").write_text("{")
    assert file.read() is None
    assert "cannot be read" in caplog.text
    file.keep({"num_cycles": 0, "frame_counter": 0})
    assert list((tmp_path / "spool" / "dpu").iterdir()) == []
