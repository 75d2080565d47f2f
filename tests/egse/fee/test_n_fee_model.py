"""The N-FEE model, stepped through time without a socket."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from egse.clock import VirtualClock
from egse.fee import FrameLayout, NFEEMemoryLink, NFEEModel, decode_hk, locate_pixel, n_fee_mode
from egse.fee.faults import PacketFaults
from egse.fee.model import MAX_PACKETS, Packet
from egse.reg import RegisterMap
from egse.rmap import HK_AREA_ADDRESS, decode_reply, read_command, write_command
from egse.spw import CCDSide, PacketKind, SpaceWireLinkError, decode_headers, decode_pixels

FULL = {"ccd_mode_config": "FULL_IMAGE_MODE", "v_start": 0, "v_end": 4539, "sensor_sel": "BOTH"}


class Bench:
    """A model with somebody who commands it and keeps what it sends."""

    def __init__(self, **options: object) -> None:
        self.model = NFEEModel(**options)  # type: ignore[arg-type]
        self.now = 0.0
        self.sent: list[tuple[float, Packet]] = []

    def run(self, until: float) -> None:
        while (due := self.model.next_event()) < until:
            packets = self.model.step(due)
            assert len(packets) <= MAX_PACKETS
            self.sent += [(due, packet) for packet in packets]
        self.now = until

    def command(self, values: Mapping[str, int | str]) -> None:
        for write in self.model.registers.plan(values):
            (reply,) = self.model.handle(write_command(write.address, write.data).encode(), self.now)
            assert decode_reply(reply).status == 0

    def take(self) -> list[tuple[float, Packet]]:
        sent, self.sent = self.sent, []
        return sent

    def hk_area(self) -> dict[str, int]:
        (reply,) = self.model.handle(read_command(HK_AREA_ADDRESS, 144).encode(), self.now)
        return decode_hk(decode_reply(reply).data, self.model.hk_map)

    def to_full_image(self, **values: int | str) -> None:
        """To STANDBY at the first long pulse, to FULL_IMAGE at the next; stands just before it."""
        self.command({"ccd_mode_config": "STANDBY_MODE"})
        self.run(24.9)
        self.command({**FULL, **values})
        self.take()


def timecodes(sent: list[tuple[float, Packet]]) -> list[tuple[float, int]]:
    return [(time, packet[1]) for time, packet in sent if len(packet) == 2]


def hk_packets(sent: list[tuple[float, Packet]]) -> list[dict[str, int]]:
    return [decode_hk(bytes(packet)) for _, packet in sent if len(packet) == 154]


def images(sent: list[tuple[float, Packet]]) -> list[Packet]:
    return [packet for _, packet in sent if len(packet) not in (2, 154)]


# --- rhythm ---------------------------------------------------------------------------------------------------------


def test_pulses_of_a_nominal_cycle() -> None:
    bench = Bench(pixels=False)
    bench.run(50.0)
    assert timecodes(bench.sent) == [(6.25 * n, n) for n in range(8)]
    hk = hk_packets(bench.sent)
    assert [values["NFEE_FRAME_NUMBER"] for values in hk] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert [values["NFEE_FRAMECOUNTER"] for values in hk] == list(range(8))
    assert [values["NFEE_SPW_TIMECODE"] for values in hk] == list(range(8))


def test_a_longer_cycle_has_a_gap_after_the_fourth_pulse() -> None:
    bench = Bench(pixels=False, cycle_time=50.0)
    bench.run(75.0)
    assert [time for time, _ in timecodes(bench.sent)] == [0, 6.25, 12.5, 18.75, 50, 56.25, 62.5, 68.75]


def test_a_new_cycle_time_counts_from_the_next_long_pulse() -> None:
    bench = Bench(pixels=False)
    bench.run(10.0)
    bench.model.sync.cycle_time = 31.25
    bench.run(60.0)
    assert [time for time, _ in timecodes(bench.sent)] == [
        0,
        6.25,
        12.5,
        18.75,
        25,
        31.25,
        37.5,
        43.75,
        56.25,
    ]
    with pytest.raises(ValueError, match="cycle time"):
        bench.model.sync.cycle_time = 26.0


def test_a_day_goes_by_quickly_and_without_drift() -> None:
    bench = Bench(pixels=False)
    bench.to_full_image()
    bench.run(4 * 3600)
    codes = timecodes(bench.sent)
    assert codes[-1][0] == 4 * 3600 - 6.25
    assert [code for _, code in codes] == [n % 64 for n in range(4, 4 + len(codes))]
    assert bench.model.overruns == 0


# --- modes and latching ---------------------------------------------------------------------------------------------


def test_configuration_takes_effect_at_the_long_pulse_only() -> None:
    bench = Bench(pixels=False)
    bench.run(1.0)
    bench.command({"ccd_mode_config": "STANDBY_MODE", "v_end": 1234})
    bench.run(24.9)
    assert (bench.model.mode, bench.model.active.v_end) == (n_fee_mode.ON_MODE, 4509)
    bench.run(25.1)
    assert (bench.model.mode, bench.model.active.v_end) == (n_fee_mode.STANDBY_MODE, 1234)
    assert hk_packets(bench.sent)[-1]["NFEE_OP_MODE"] == n_fee_mode.STANDBY_MODE


def test_sides_and_order_take_effect_at_every_pulse() -> None:
    bench = Bench(pixels=False)
    bench.run(1.0)
    bench.command({"sensor_sel": "BOTH", "ccd_readout_order": 0b01010101})
    bench.run(6.3)
    assert (bench.model.active.sensor_sel, bench.model.active.ccd_readout_order) == (3, 0b01010101)


def test_an_illegal_transition_is_refused_until_it_is_legal() -> None:
    bench = Bench(pixels=False)
    bench.command({**FULL, "v_end": 100})
    bench.run(0.1)
    assert bench.model.mode is n_fee_mode.ON_MODE
    assert bench.model.refused == 1
    assert bench.model.active.v_end == 100, "the other registers take effect"
    bench.command({"ccd_mode_config": 0xF})
    bench.run(25.1)
    assert (bench.model.mode, bench.model.refused) == (n_fee_mode.ON_MODE, 2)


def test_immediate_on_ends_a_readout_at_once() -> None:
    bench = Bench()
    bench.to_full_image(v_end=2000)
    bench.run(26.0)
    assert images(bench.take())
    bench.command({"ccd_mode_config": "IMMEDIATE_ON"})
    assert bench.model.mode is n_fee_mode.ON_MODE
    assert bench.model.registers["ccd_mode_config"] == 0
    bench.run(60.0)
    assert not images(bench.sent)
    assert len(timecodes(bench.sent)) == 5


def test_soft_reset_is_as_after_power_on() -> None:
    bench = Bench(pixels=False)
    bench.to_full_image(v_end=2000)
    bench.run(26.0)
    bench.command({"ccd_mode_config": "SOFT_RESET"})
    bench.take()
    assert bench.model.mode is n_fee_mode.ON_MODE
    assert bench.model.registers["v_end"] == 4509
    bench.run(50.1)
    assert [time for time, _ in timecodes(bench.sent)] == [31.25, 37.5, 43.75, 50.0]


def test_windowing_without_windows_sends_housekeeping_only() -> None:
    bench = Bench()
    bench.to_full_image(ccd_mode_config="WINDOWING_MODE")
    bench.run(60.0)
    assert bench.model.mode is n_fee_mode.WINDOWING_MODE
    assert not images(bench.sent)
    assert len(hk_packets(bench.sent)) == 6


def test_dump_reads_out_but_sends_nothing() -> None:
    bench = Bench()
    bench.to_full_image(v_end=0, n_final_dump=4510, DG_en=1, digitise_en=0)
    bench.run(25.5)
    assert bench.model.active.is_dump
    assert bench.model.is_reading_out
    bench.run(26.0)
    assert not bench.model.is_reading_out
    assert not images(bench.sent)


# --- internal sync --------------------------------------------------------------------------------------------------


def test_internal_sync_has_long_pulses_400_ms_slower_than_its_register() -> None:
    bench = Bench(pixels=False)
    bench.command({"sync_sel": "INTERNAL", "int_sync_period": 2500, "ccd_mode_config": "STANDBY_MODE"})
    bench.run(9.0)
    assert [time for time, _ in timecodes(bench.sent)] == pytest.approx([0, 2.9, 5.8, 8.7])
    assert {values["NFEE_FRAME_NUMBER"] for values in hk_packets(bench.sent)} == {0}
    bench.command({"int_sync_period": 1000})
    bench.take()
    bench.run(15.0)
    assert [time for time, _ in timecodes(bench.sent)] == pytest.approx([11.6, 13.0, 14.4])


def test_back_to_external_sync_follows_the_pulses_of_the_aeu() -> None:
    bench = Bench(pixels=False)
    bench.command({"sync_sel": "INTERNAL", "int_sync_period": 2500})
    bench.run(3.0)
    bench.command({"sync_sel": "EXTERNAL"})
    bench.take()
    bench.run(25.1)
    assert [time for time, _ in timecodes(bench.sent)] == pytest.approx([5.8, 6.25, 12.5, 18.75, 25.0])
    assert hk_packets(bench.sent)[-1]["NFEE_FRAME_NUMBER"] == 0


def test_a_period_shorter_than_the_readout_cuts_it() -> None:
    bench = Bench()
    bench.command({"ccd_mode_config": "STANDBY_MODE", "sync_sel": "INTERNAL", "int_sync_period": 1000})
    bench.run(1.0)
    bench.command({**FULL, "int_sync_period": 1000})
    bench.run(6.0)
    assert bench.model.overruns >= 3
    headers = decode_headers([bytes(packet) for packet in images(bench.sent)])
    assert not headers["last_packet"].any()


# --- housekeeping and error flags -----------------------------------------------------------------------------------


def test_the_memory_area_is_updated_when_the_readout_is_over() -> None:
    bench = Bench(pixels=False)
    bench.to_full_image()
    bench.run(26.0)
    assert bench.hk_area()["NFEE_ERROR_FLAGS"] == 0
    bench.model.error_flags = 0b1100
    assert bench.hk_area()["NFEE_ERROR_FLAGS"] == 0, "flags raised during the readout show after it"
    bench.run(30.0)
    hk = bench.hk_area()
    assert (hk["NFEE_ERROR_FLAGS"], hk["NFEE_SPW_TIMECODE"], hk["NFEE_OP_MODE"]) == (0b1100, 4, 5)
    assert hk_packets(bench.take())[-1]["NFEE_ERROR_FLAGS"] == 0, "the packet was sent before"
    bench.run(31.3)
    assert hk_packets(bench.take())[-1]["NFEE_ERROR_FLAGS"] == 0b1100
    bench.command({"clear_error_flag": 1})
    assert bench.hk_area()["NFEE_ERROR_FLAGS"] == 0


def test_analogue_housekeeping_can_be_set() -> None:
    bench = Bench(pixels=False)
    bench.model.hk_values["NFEE_TSENSEA"] = 12345
    bench.run(0.1)
    hk = hk_packets(bench.sent)[0]
    assert hk["NFEE_TSENSEA"] == 12345
    assert hk["NFEE_TSENSEB"] == pytest.approx(32768, abs=4)


def test_the_register_area_is_served_and_guarded() -> None:
    bench = Bench(pixels=False)
    (reply,) = bench.model.handle(read_command(0, 4).encode(), 0.0)
    assert decode_reply(reply).data == bytes.fromhex("119D0000")
    (reply,) = bench.model.handle(write_command(HK_AREA_ADDRESS, b"abcd").encode(), 0.0)
    assert decode_reply(reply).status == 10
    assert bench.model.handle(b"rubbish", 0.0) == []
    assert bench.model.rmap_counters == {"read": 1, "NOT_AUTHORISED": 1, "dropped": 1}


# --- images ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full_frame() -> list[tuple[float, bytes]]:
    """One full readout of both sides: image packets with their times."""
    bench = Bench(seed=3)
    bench.to_full_image()
    bench.run(31.2)
    return [(time, bytes(packet)) for time, packet in bench.sent if len(packet) not in (2, 154)]


def test_a_full_frame_has_the_published_geometry(full_frame: list[tuple[float, bytes]]) -> None:
    packets = [packet for _, packet in full_frame]
    headers = decode_headers(packets)
    assert len(packets) == 1300
    assert sum(map(len, packets)) == 41_690_200
    assert headers["valid"].all()
    assert (headers["mode"] == 5).all()
    assert (headers["ccd_number"] == 0).all()
    assert (headers["frame_number"] == 0).all()
    assert headers["sequence_counter"].tolist() == list(range(1300))
    for side in CCDSide:
        for kind, count in ((PacketKind.DATA, 645), (PacketKind.OVERSCAN, 5)):
            group = headers[(headers["ccd_side"] == side) & (headers["packet_type"] == kind)]
            assert group["size"].tolist() == [32140] * (count - 1) + [9190]
            assert group["last_packet"].tolist() == [False] * (count - 1) + [True]
    assert headers["packet_type"].tolist() == sorted(headers["packet_type"].tolist()), "overscan comes last"


def test_packets_are_spread_over_the_readout(full_frame: list[tuple[float, bytes]]) -> None:
    times = np.array([time for time, _ in full_frame])
    assert times[0] >= 25.4
    assert times[-1] == pytest.approx(25.4 + 4.04, abs=0.01)
    assert (np.diff(times) >= 0).all()
    assert np.diff(np.unique(times)).max() < 0.25


def side_pixels(packets: list[bytes], side: CCDSide, kind: PacketKind = PacketKind.DATA) -> np.ndarray:
    headers = decode_headers(packets)
    chosen = np.flatnonzero((headers["ccd_side"] == side) & (headers["packet_type"] == kind))
    return decode_pixels([packets[index] for index in chosen], 2295)


def test_pixels_have_bias_noise_light_and_stars(full_frame: list[tuple[float, bytes]]) -> None:
    packets = [packet for _, packet in full_frame]
    for side, bias in ((CCDSide.E, 1000), (CCDSide.F, 1020)):
        image = side_pixels(packets, side).astype(float)
        assert image.shape == (4510, 2295)
        for scan in (
            image[:, :25],
            image[:, 2280:],
            side_pixels(packets, side, PacketKind.OVERSCAN).astype(float),
        ):
            assert scan.mean() == pytest.approx(bias, abs=0.1)
            assert scan.std() == pytest.approx(45 / 25, rel=0.03)
        sky = np.median(image[:, 25:2280]) - bias
        assert sky == pytest.approx(10.0 * 25.4, rel=0.02), "exposed since STANDBY began"
        assert (image[:, 25:2280] > bias + 1000).sum() > 200, "stars"


def test_exposure_and_attenuation_scale_the_light() -> None:
    bench = Bench()
    bench.to_full_image(v_end=69, n_final_dump=4510, sensor_sel="E", ccd_readout_order=0)
    bench.run(25.0 + 6.2)
    first = np.median(side_pixels([bytes(p) for p in images(bench.take())], CCDSide.E)[:, 25:2280]) - 1000
    bench.model.light_level = 0.5
    bench.run(25.0 + 12.4)
    second = np.median(side_pixels([bytes(p) for p in images(bench.take())], CCDSide.E)[:, 25:2280]) - 1000
    assert first == pytest.approx(254, abs=3)
    assert second == pytest.approx(0.5 * 10 * (6.25 - 0.4 + 0.2 - 0.41 - 0.05), abs=2)


def test_the_dump_gate_keeps_the_light_out() -> None:
    bench = Bench()
    bench.to_full_image(v_end=69, sensor_sel="E", DG_en=1)
    bench.run(31.2)
    image = side_pixels([bytes(p) for p in images(bench.sent)], CCDSide.E)
    assert np.median(image) == 1000
    assert image.max() < 1020


def test_the_order_of_the_ccds_shows_in_the_packets() -> None:
    bench = Bench()
    bench.to_full_image(v_end=6, sensor_sel="F", ccd_readout_order=0b11_01_11_01)
    bench.run(50.0)
    headers = decode_headers([bytes(packet) for packet in images(bench.sent)])
    assert headers["ccd_number"].tolist() == [1, 3, 1, 3]
    assert headers["frame_number"].tolist() == [0, 1, 2, 3]
    assert set(headers["ccd_side"]) == {CCDSide.F}


def test_the_same_seed_gives_the_same_pixels() -> None:
    def frame(seed: int) -> list[bytes]:
        bench = Bench(seed=seed)
        bench.to_full_image(v_end=99)
        bench.run(30.0)
        return [bytes(packet) for packet in images(bench.sent)]

    assert frame(1) == frame(1)
    assert frame(1) != frame(2)


def test_the_engineering_model_sends_twos_complement() -> None:
    bench = Bench(camera="em")
    bench.to_full_image(v_end=69)
    bench.run(30.0)
    packets = [bytes(packet) for packet in images(bench.sent)]
    headers = decode_headers(packets)
    chosen = [packets[index] for index in np.flatnonzero(headers["ccd_side"] == CCDSide.E)]
    assert np.median(decode_pixels(chosen, 2295, twos_complement=True)[:, :25]) == 1000
    assert np.median(decode_pixels(chosen, 2295)[:, :25]) == 1000 ^ 0x8000


def test_the_pattern_tells_where_each_pixel_is() -> None:
    bench = Bench()
    bench.command(
        {"ccd_mode_config": "FULL_IMAGE_PATTERN_MODE", "v_start": 100, "v_end": 199, "sensor_sel": "BOTH"}
    )
    bench.run(6.3)
    packets = [bytes(packet) for packet in images(bench.sent)]
    assert bench.model.mode is n_fee_mode.FULL_IMAGE_PATTERN_MODE
    for side in CCDSide:
        image = side_pixels(packets, side)
        rows, columns = np.mgrid[100:200, 0:2295]
        assert (image == (0 << 13 | 0 << 11 | int(side) << 10 | (rows & 31) << 5 | columns & 31)).all()


def test_without_pixels_everything_else_is_the_same() -> None:
    def run(pixels: bool) -> tuple[list[tuple[float, int]], list[dict[str, int]]]:
        bench = Bench(pixels=pixels)
        bench.to_full_image(v_end=99)
        bench.run(60.0)
        assert bool(images(bench.sent)) is pixels
        return timecodes(bench.sent), hk_packets(bench.sent)

    assert run(True) == run(False)


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("packet", "byte"), [(0, 10), (1, 4000), (40, 9001), (85, 9189)])
def test_a_flipped_byte_changes_exactly_the_pixel_it_belongs_to(packet: int, byte: int) -> None:
    def frame(faults: PacketFaults) -> list[bytes]:
        bench = Bench(seed=5)
        bench.to_full_image(v_start=4240, v_end=4539)
        bench.run(30.0)
        sent = [entry for _, entry in bench.sent]
        return [bytes(entry) for entry in faults.apply(sent) if len(entry) not in (2, 154)]

    faults = PacketFaults()
    faults.flip(packet, byte, 0x40)
    good, bad = frame(PacketFaults()), frame(faults)
    layout = FrameLayout(4240, 4539)
    assert len(good) == len(bad) == layout.packets == 88
    side, row, column = locate_pixel(layout, packet, byte)
    for other in CCDSide:
        for kind, first in ((PacketKind.DATA, 4240), (PacketKind.OVERSCAN, 4510)):
            changed = np.argwhere(side_pixels(good, other, kind) != side_pixels(bad, other, kind))
            expected = (
                [[row - first, column]]
                if other == side and (kind == PacketKind.OVERSCAN) == (row > 4509)
                else []
            )
            assert changed.tolist() == expected


def test_a_lost_packet_leaves_a_gap_in_the_sequence() -> None:
    faults = PacketFaults()
    faults.lose(3)
    bench = Bench()
    bench.to_full_image(v_end=34)
    bench.run(40.0)
    sent = faults.apply([packet for _, packet in bench.sent])
    headers = decode_headers([bytes(packet) for packet in sent if len(packet) not in (2, 154)])
    assert headers["sequence_counter"].tolist() == [0, 1, 2, *range(4, 10), *range(10), *range(10)]


# --- memory link ----------------------------------------------------------------------------------------------------


def test_the_memory_link_lives_on_the_clock_it_is_given() -> None:
    clock = VirtualClock()
    mirror = RegisterMap()
    with NFEEMemoryLink(NFEEModel(pixels=False), clock) as link:
        assert link.read_packet(1000) == (0, b"\x91\x00")
        assert len(link.read_packet(1000)[1]) == 154
        assert link.read_packet(1000) == (0, b"")
        assert clock.monotonic() == 1.0
        mirror.write(link, {"ccd_mode_config": "STANDBY_MODE"})
        assert [change.name for change in RegisterMap().diff(mirror)] == ["ccd_mode_config"]
        assert link.read_packet()[1] == b"\x91\x01"
        assert clock.monotonic() == 6.25
        clock.advance(20.0)
        assert [data[1] for _, data in link.read_packets(100) if len(data) == 2] == [2, 3, 4]
        assert link.read_memory_map(0, 2048)[:0x700] == mirror.as_array().tobytes()[:0x700]
        link.flush()
    with pytest.raises(SpaceWireLinkError, match="not open"):
        link.read_packet(0)


def test_packets_before_a_reply_are_kept_by_the_memory_link() -> None:
    clock = VirtualClock()
    with NFEEMemoryLink(NFEEModel(pixels=False), clock) as link:
        clock.advance(7.0)
        assert link.read_register(0) == bytes.fromhex("119D0000")
        assert [data[1] for _, data in link.read_packets(100) if len(data) == 2] == [0, 1]
