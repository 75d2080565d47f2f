"""Special readouts and faults of the N-FEE model in virtual time: windows, trap pumping, injection, broken links."""

from __future__ import annotations

import numpy as np
import pytest

from egse.clock import VirtualClock
from egse.fee import NFEEMemoryLink, NFEEModel, n_fee_mode
from egse.fee.faults import FAULTS, FaultyFEE
from egse.fee.model import Packet
from egse.fee.modes import PATTERN_MODES, TRANSITIONS, TRAP_PUMPING_MODES
from egse.fee.specials import INJECTED, PUMPED, TRAPS_PER_SIDE
from egse.fee.windowing import MAX_OVERLAP, WINDOWING_ADDRESS, pack_windows
from egse.reg import RegisterMap
from egse.rmap import HK_AREA_ADDRESS, RMAPError, RMAPTimeoutError, decode_reply, write_command
from egse.spw import CCDSide, decode_headers, decode_pixels, is_timecode

FULL = {"ccd_mode_config": "FULL_IMAGE_MODE", "sensor_sel": "BOTH"}


class Bench:
    """A FEE with faults, stepped through time; keeps what it sends, with times."""

    def __init__(self, camera: str = "fm", **options: object) -> None:
        self.model = NFEEModel(camera, **options)  # type: ignore[arg-type]
        self.fee = FaultyFEE(self.model)
        self.now = 0.0
        self.sent: list[tuple[float, Packet]] = []

    def run(self, until: float) -> None:
        while (due := self.fee.next_event()) < until:
            self.sent += [(due, packet) for packet in self.fee.step(due)]
        self.now = until

    def write(self, **values: int | str) -> None:
        for write in self.model.registers.plan(values):
            self.write_memory(write.address, write.data)

    def write_memory(self, address: int, data: bytes, verify: bool = True) -> None:
        (reply,) = self.fee.handle(write_command(address, data, verify=verify).encode(), self.now)
        assert decode_reply(reply).status == 0

    def read_out(self, **values: int | str) -> list[bytes]:
        """Reads one frame with this configuration, from STANDBY; returns its image packets."""
        self.write(ccd_mode_config="STANDBY_MODE")
        self.run(24.9)
        self.write(**{**FULL, **values})
        self.sent.clear()
        self.run(31.2)
        return self.images()

    def images(self) -> list[bytes]:
        return [bytes(packet) for _, packet in self.sent if len(packet) > 2 and packet[5] & 3 != 2]


def side_image(packets: list[bytes], side: CCDSide, twos_complement: bool = False) -> np.ndarray:
    chosen = [p for p, h in zip(packets, decode_headers(packets), strict=True) if h["ccd_side"] == side]
    return decode_pixels(chosen, 2295, twos_complement=twos_complement).astype(int)


# --- modes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", sorted(TRANSITIONS))
def test_every_transition_is_made_or_refused(old: n_fee_mode) -> None:
    """All pairs of modes of the reference: what is legal happens at the long pulse, all else is refused."""
    for new in TRANSITIONS:
        bench = Bench(pixels=False)
        bench.model.mode = old
        bench.write(ccd_mode_config=int(new))
        bench.run(0.1)
        legal = new in TRANSITIONS[old] or new == old
        assert bench.model.mode == (new if legal else old)
        assert bench.model.refused == (0 if legal else 1)


def test_no_shortcuts() -> None:
    assert n_fee_mode.FULL_IMAGE_MODE not in TRANSITIONS[n_fee_mode.ON_MODE]
    assert n_fee_mode.WINDOWING_MODE not in TRANSITIONS[n_fee_mode.FULL_IMAGE_MODE]


def test_ccds_have_no_power_in_on_and_pattern_modes() -> None:
    bench = Bench(pixels=False)
    bench.run(0.1)
    assert bench.model.registers.get_data(HK_AREA_ADDRESS + 32, 2) < b"\x00\x10", "CCD2_VOD_MON_F"
    assert bench.model.registers.get_data(HK_AREA_ADDRESS + 90, 2) > b"\x7f\x00", "VDIG_RAW"
    bench.write(ccd_mode_config="STANDBY_MODE")
    bench.run(25.1)
    assert bench.model.registers.get_data(HK_AREA_ADDRESS + 32, 2) > b"\x7f\x00"


# --- special readouts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("camera", ["fm", "em"])
def test_charge_injection(camera: str) -> None:
    bench = Bench(camera, light_level=0.0)
    packets = bench.read_out(
        v_start=100, v_end=169, charge_injection_en=1, charge_injection_width=5, charge_injection_gap=15
    )
    image = side_image(packets, CCDSide.E, twos_complement=camera == "em")
    level = np.median(image[:, 25:2280], axis=1)
    lit = level > 1000 + INJECTED / 2
    assert np.flatnonzero(lit).tolist() == [r for r in range(70) if r % 20 < 5]
    assert level[lit] == pytest.approx(1000 + INJECTED, abs=5)
    assert np.median(image[lit][:, :25]) == pytest.approx(1000, abs=3), "no charge in the prescan"


@pytest.mark.parametrize(
    "clocks", [{"img_clk_dir": 1, "reg_clk_dir": 0}, {"img_clk_dir": 1, "reg_clk_dir": 1}]
)
def test_reverse_clocking_gives_offset_and_noise_only(clocks: dict[str, int]) -> None:
    image = side_image(Bench().read_out(v_end=69, **clocks), CCDSide.F)
    assert image.mean() == pytest.approx(1020, abs=1)
    assert image.max() < 1040


@pytest.mark.parametrize("mode", sorted(TRAP_PUMPING_MODES))
def test_trap_pumping_sends_full_images_with_pairs(mode: n_fee_mode) -> None:
    bench = Bench()
    packets = bench.read_out(ccd_mode_config=int(mode), v_end=699)
    headers = decode_headers(packets)
    assert headers["valid"].all()
    assert set(headers["mode"]) == {int(mode)}
    assert len(packets) == 200
    image = side_image(packets, CCDSide.E)[:, 25:2280]
    outliers = np.abs(image - np.median(image)) > PUMPED / 2
    expected = 2 * TRAPS_PER_SIDE * 700 / 4510
    assert outliers.sum() == pytest.approx(expected, rel=0.8), "pairs of traps, and some stars"
    dark = np.argwhere(image < np.median(image) - PUMPED / 2)
    step = {9: (1, 0), 10: (-1, 0), 11: (0, 1), 12: (0, -1)}[int(mode)]
    inside = [
        (r + step[0], c + step[1])
        for r, c in dark.tolist()
        if 0 <= r + step[0] < 700 and 0 <= c + step[1] < 2255
    ]
    limit = np.median(image) + PUMPED / 2
    bright = [image[place] > limit for place in inside]
    assert np.mean(bright) > 0.95


def window_bench(places: list[list[int]], **values: int | str) -> tuple[Bench, list[bytes]]:
    bench = Bench()
    bench.write_memory(WINDOWING_ADDRESS + 64, pack_windows(places), verify=False)
    setting = {
        "ccd_mode_config": "WINDOWING_MODE",
        "ccd1_win_list_ptr": WINDOWING_ADDRESS + 64,
        "ccd1_win_list_length": len(places),
        "ccd1_win_size_x": 6,
        "ccd1_win_size_y": 4,
    }
    return bench, bench.read_out(**{**setting, **values})


def test_windows_of_both_sides() -> None:
    places = [[25 + 10 * n, 40 * n] for n in range(100)] + [[2295 + 30, 7], [2295 + 60, 4000]]
    bench, packets = window_bench(places, packet_size=10 + 48 * 30)
    headers = decode_headers(packets)
    assert headers["valid"].all()
    assert set(headers["mode"]) == {int(n_fee_mode.WINDOWING_MODE)}
    assert headers["sequence_counter"].tolist() == list(range(5))
    on_e = headers[headers["ccd_side"] == CCDSide.E]
    assert on_e["length"].tolist() == [48 * 30] * 3 + [48 * 10]
    assert on_e["last_packet"].tolist() == [False] * 3 + [True]
    on_f = headers[headers["ccd_side"] == CCDSide.F]
    assert (on_f["length"].tolist(), on_f["last_packet"].tolist()) == ([96], [True])
    times = [time for time, packet in bench.sent if len(packet) not in (2, 154)]
    assert times == sorted(times)
    assert 25.4 < times[0] < times[-1] < 25.4 + 4.05
    assert bench.model.error_flags == 0


def test_windows_show_the_pixels_of_their_place() -> None:
    """In pattern mode each pixel tells its row and column modulo 32."""
    bench = Bench()
    bench.write_memory(WINDOWING_ADDRESS, pack_windows([[100, 1000]]), verify=False)
    bench.write(
        ccd_mode_config="WINDOWING_PATTERN_MODE", sensor_sel="BOTH", ccd1_win_list_ptr=WINDOWING_ADDRESS,
        ccd1_win_list_length=1, ccd1_win_size_x=6, ccd1_win_size_y=4,
    )  # fmt: skip
    bench.run(5.0)
    (packet,) = bench.images()
    pixels = decode_pixels([packet], 6)
    assert pixels.shape == (4, 6)
    assert (pixels & 31).tolist() == [[(100 + n) & 31 for n in range(6)]] * 4
    assert ((pixels >> 5) & 31)[:, 0].tolist() == [(1000 + n) & 31 for n in range(4)]


def test_windows_outside_and_too_many_raise_flags() -> None:
    bench, packets = window_bench([[2292, 10], [100, 4538], [100, 100]])
    assert bench.model.error_flags == 0b11
    assert decode_headers(packets)["length"].tolist() == [48]
    bench, _ = window_bench([[10 * n, 100] for n in range(MAX_OVERLAP + 1)])
    assert bench.model.error_flags == 1 << 4
    bench, packets = window_bench([[10, 40 * n] for n in range(60)], packet_size=490, ccd1_last_Epacket=2)
    assert decode_headers(packets)["last_packet"].tolist() == [False, True]


def test_pattern_modes_need_no_ccd() -> None:
    assert {mode.name for mode in PATTERN_MODES} == {"FULL_IMAGE_PATTERN_MODE", "WINDOWING_PATTERN_MODE"}


# --- faults ---------------------------------------------------------------------------------------------------------


def test_without_a_fault_nothing_changes() -> None:
    bench, plain = Bench(seed=4), NFEEModel(seed=4)
    bench.run(40.0)
    sent = []
    while (due := plain.next_event()) < 40.0:
        sent += [(due, packet) for packet in plain.step(due)]
    assert bench.sent == sent


def test_packets_cut_repeated_and_spoiled() -> None:
    bench = Bench()
    for fault, arguments in {"truncate": {"packet": 2, "size": 100}, "repeat": {"packet": 4}}.items():
        bench.fee.inject(fault, **arguments)
    bench.fee.inject("edac", correctable=False)
    bench.model.mode = n_fee_mode.STANDBY_MODE
    bench.write(**FULL, v_end=34)
    bench.run(6.0)
    packets = bench.images()
    headers = decode_headers(packets)
    assert [len(packet) for packet in packets[:4]] == [32140, 32140, 100, 32140]
    assert headers["valid"].tolist() == [True, True, False, *[True] * 8]
    assert headers["sequence_counter"].tolist() == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9]
    assert packets[4] == packets[5]
    assert bench.model.error_flags == 1 << 6


def test_a_missing_timecode_and_late_housekeeping() -> None:
    bench = Bench(pixels=False)
    bench.fee.inject("missing_timecode")
    bench.run(7.0)
    bench.fee.inject("late_hk", seconds=2.5)
    bench.run(20.0)
    times = [time for time, packet in bench.sent if is_timecode(packet)]
    assert times == [6.25, 12.5, 18.75]
    housekeeping = [time for time, packet in bench.sent if len(packet) == 154]
    assert housekeeping == [0.0, 6.25, 15.0, 18.75]


def test_a_dead_link_comes_back() -> None:
    bench = Bench(pixels=False)
    bench.run(5.0)
    bench.fee.inject("dead_link", seconds=10.0)
    command = write_command(0, bytes(4)).encode()
    assert bench.fee.handle(command, 5.0) == []
    bench.run(30.0)
    times = [time for time, packet in bench.sent if is_timecode(packet)]
    assert times == [0.0, 18.75, 25.0]
    assert bench.fee.swallowed == 5
    assert len(bench.fee.handle(command, 30.0)) == 1


def test_replies_with_a_wrong_crc_are_noticed_over_a_link() -> None:
    fee = FaultyFEE(NFEEModel(pixels=False))
    with NFEEMemoryLink(fee, VirtualClock()) as link:
        link.rmap_timeout = 0.01
        fee.inject("wrong_crc", count=2)
        with pytest.raises(RMAPError, match="CRC"):
            link.read_register(0)
        with pytest.raises(RMAPTimeoutError):
            RegisterMap().write(link, {"v_end": 10})
        assert link.read_register(0)[:2] == b"\x00\x0a", "the write was executed, only its reply was spoiled"


def test_flags_and_wrong_requests() -> None:
    bench = Bench(pixels=False)
    bench.fee.inject("buffer_full", side="F")
    bench.fee.inject("edac")
    assert bench.model.error_flags == 0b101000
    bench.fee.inject("error_flags", value=7)
    assert bench.model.error_flags == 7
    for fault, arguments in (
        ("flood", {}),
        ("buffer_full", {"side": "G"}),
        ("lose", {}),
        ("late_hk", {"x": 1}),
    ):
        with pytest.raises(ValueError, match=fault):
            bench.fee.inject(fault, **arguments)
    assert set(FAULTS) >= {"lose", "flip", "truncate", "repeat", "dead_link"}
