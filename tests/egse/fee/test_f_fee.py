"""The F-FEE model in virtual time, and its process with four links."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from egse.fee import decode_hk
from egse.fee.f_fee import (
    ASSUMPTIONS_FILE,
    CYCLE,
    F_FEE_TRANSITIONS,
    FFEEModel,
    convention_side,
    f_fee_assumptions,
    f_fee_mode,
)
from egse.fee.windowing import WINDOWING_ADDRESS, Y_OUTSIDE, pack_windows
from egse.reg import RegisterMap
from egse.rmap import HK_AREA_ADDRESS, HK_AREA_SIZE, decode_reply, write_command
from egse.spw import (
    CCDSide,
    PacketKind,
    SpaceWireLinkError,
    SpaceWireOverZeroMQ,
    decode_headers,
    decode_pixels,
    is_timecode,
)


class Bench:
    """A model that is stepped and commanded; keeps what comes on each link."""

    def __init__(self, **options: object) -> None:
        self.model = FFEEModel(**options)  # type: ignore[arg-type]
        self.now = 0.0
        self.sent: list[tuple[float, int, bytes]] = []

    def run(self, until: float) -> None:
        while (due := self.model.next_event()) < until:
            self.sent += [(due, link, bytes(packet)) for link, packet in self.model.step(due)]
        self.now = until

    def write(self, **values: int | str) -> None:
        for write in self.model.registers.plan(values):
            (reply,) = self.model.handle(write_command(write.address, write.data).encode(), self.now)
            assert decode_reply(reply).status == 0

    def to_full_image(self, **values: int | str) -> None:
        self.run(0.1)
        self.write(mode="STANDBY_MODE")
        self.write(mode="FULL_IMAGE_MODE", **values)
        self.sent.clear()
        self.run(2 * CYCLE - 0.01)

    def images(self, link: int) -> list[bytes]:
        return [p for _, at, p in self.sent if at == link and not is_timecode(p) and len(p) != 154]


def test_timecodes_on_all_links_every_2_5_s() -> None:
    bench = Bench(pixels=False)
    bench.run(3 * CYCLE)
    for link in range(1, 5):
        codes = [(time, packet[1]) for time, at, packet in bench.sent if at == link and is_timecode(packet)]
        assert codes == [(0.0, 0), (2.5, 1), (5.0, 2)]
    assert [at for _, at, packet in bench.sent if len(packet) == 154] == [1, 1, 1]


def test_a_day_without_drift() -> None:
    bench = Bench(pixels=False)
    bench.run(86_400.0 / 24)
    times = [time for time, at, packet in bench.sent if at == 1 and is_timecode(packet)]
    assert times == [CYCLE * n for n in range(1440)]


def test_on_and_standby_at_once_the_rest_at_a_pulse() -> None:
    bench = Bench(pixels=False)
    bench.run(1.0)
    bench.write(mode="STANDBY_MODE")
    assert bench.model.mode is f_fee_mode.STANDBY_MODE
    bench.write(mode="FULL_IMAGE_MODE")
    assert bench.model.mode is f_fee_mode.STANDBY_MODE
    bench.run(2.6)
    assert bench.model.mode is f_fee_mode.FULL_IMAGE_MODE
    bench.write(mode="STANDBY_MODE")
    assert bench.model.mode is f_fee_mode.FULL_IMAGE_MODE
    bench.write(mode="IMMEDIATE_ON")
    assert (bench.model.mode, bench.model.registers["mode"]) == (f_fee_mode.ON_MODE, 0)


@pytest.mark.parametrize("old", sorted(F_FEE_TRANSITIONS))
def test_every_transition_is_made_or_refused(old: f_fee_mode) -> None:
    for new in F_FEE_TRANSITIONS:
        bench = Bench(pixels=False)
        bench.run(0.1)
        bench.model.mode = old
        bench.write(mode=int(new))
        bench.run(2.6)
        legal = new in F_FEE_TRANSITIONS[old] or new == old
        assert bench.model.mode == (new if legal else old)
        assert bool(bench.model.refused) is not legal


def test_two_ccds_at_a_time_each_on_its_link() -> None:
    bench = Bench()
    bench.to_full_image(transmit=0b0101, sensor_sel="BOTH")
    assert not bench.images(2)
    assert not bench.images(4)
    for link in (1, 3):
        packets = bench.images(link)
        headers = decode_headers(packets)
        assert headers["valid"].all()
        assert set(headers["ccd_number"]) == {link - 1}
        assert headers["sequence_counter"].tolist() == list(range(len(packets)))
        rows = headers["length"].astype(int).sum() // (2 * 2295)
        assert rows == 2 * (2255 + 15)
        overscan = headers["packet_type"] == PacketKind.OVERSCAN
        assert headers["length"][overscan].astype(int).sum() == 2 * 15 * 2295 * 2
        assert headers["last_packet"].sum() == 4
    times = [time for time, _, packet in bench.sent if len(packet) > 154]
    assert 2.7 < min(times) < max(times) < 5.0


def test_three_ccds_are_refused_and_none_is_dump() -> None:
    bench = Bench()
    bench.to_full_image(transmit=0b0111)
    assert bench.model.refused == 1
    assert not any(bench.images(link) for link in range(1, 5))
    bench = Bench()
    bench.to_full_image(transmit=0)
    assert (bench.model.mode, bench.model.refused) == (f_fee_mode.FULL_IMAGE_MODE, 0)


def test_sides_columns_and_exposure() -> None:
    """Side E of the convention has the bias of E; light only in the 2255 image columns after 24 of prescan."""
    bench = Bench()
    bench.to_full_image(transmit=1, sensor_sel="E")
    bench.sent.clear()
    bench.run(3 * CYCLE - 0.01)
    packets = bench.images(1)
    headers = decode_headers(packets)
    assert {convention_side(int(side)) for side in headers["ccd_side"]} == {CCDSide.E}
    assert set(headers["ccd_side"]) == {CCDSide.F}, "the other way round on the link"
    image = decode_pixels(packets, 2295).astype(int)
    assert np.median(image[:2255, :24]) == 1000
    assert np.median(image[:2255, 2279:]) == 1000
    assert np.median(image[2255:]) == 1000
    exposure = CYCLE - f_fee_assumptions()["timing"]["frame_transfer_time"]
    assert np.median(image[:2255, 24:2279]) - 1000 == pytest.approx(10.0 * exposure, abs=1)


def test_a_ccd_in_standby_accumulates() -> None:
    bench = Bench()
    bench.to_full_image(transmit=1, sensor_sel="F", aeb_standby=0b0001)
    bench.run(8 * CYCLE - 0.01)
    assert not bench.images(1)
    bench.write(aeb_standby=0)
    bench.run(9 * CYCLE - 0.01)
    image = decode_pixels(bench.images(1), 2295).astype(int)
    assert np.median(image[:2255, 24:2279]) - 1020 == pytest.approx(10.0 * 20.1, abs=2)


def test_housekeeping_and_register_map_are_in_the_file_of_assumptions() -> None:
    assert "ASSUMPTIONS" in ASSUMPTIONS_FILE.read_text()
    bench = Bench(pixels=False)
    bench.to_full_image(aeb_standby=0b1000)
    hk = decode_hk(bench.model.registers.get_data(HK_AREA_ADDRESS, HK_AREA_SIZE), bench.model.hk_map)
    assert (hk["FFEE_OP_MODE"], hk["FFEE_AEB_STANDBY"], hk["FFEE_SPW_TIMECODE"]) == (5, 8, 1)
    assert RegisterMap("F-FEE", "f-fee")["sensor_sel"] == 3
    assert "FULL_IMAGE_MODE" in str(bench.model.registers)


def test_the_process_serves_four_links() -> None:
    command = [sys.executable, "-m", "egse.fee.f_fee_sim", "start", "--port", "0", "--speed", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready, name, *endpoints = process.stdout.readline().split()
        assert (ready, name, len(endpoints)) == ("READY", "f_fee_sim", 4)
        links = [SpaceWireOverZeroMQ(endpoint, f"F-FEE-{n}") for n, endpoint in enumerate(endpoints, 1)]
        for link in links:
            link.connect()
        assert is_timecode(links[0].read_packet(5000)[1])
        registers = RegisterMap("F-FEE", "f-fee")
        registers.write(links[0], {"mode": "STANDBY_MODE"})
        registers.write(links[0], {"mode": "FULL_IMAGE_MODE", "transmit": 0b0010})
        while True:
            data = links[1].read_packet(5000)[1]
            assert data, "no image packets on link 2"
            if not is_timecode(data):
                break
        assert decode_headers([data])["ccd_number"] == 1
        with pytest.raises(SpaceWireLinkError), SpaceWireOverZeroMQ(endpoints[0], bind=True):
            pass
        for link in links:
            link.disconnect()
        process.terminate()
        assert process.wait(30) == 0


def test_windows_of_all_four_ccds() -> None:
    bench = Bench(seed=3)
    places = [(100, 10), (200, 500), (300, 2250), (2295 + 50, 20)]  # three on one side, one on the other
    bench.run(0.1)
    command = write_command(WINDOWING_ADDRESS, pack_windows(places), verify=False)
    (reply,) = bench.model.handle(command.encode(), bench.now)
    assert decode_reply(reply).status == 0
    windows: dict[str, int | str] = {}
    for ccd in range(1, 5):
        windows |= {
            f"ccd{ccd}_win_list_ptr": WINDOWING_ADDRESS, f"ccd{ccd}_win_list_length": len(places),
            f"ccd{ccd}_win_size_x": 6, f"ccd{ccd}_win_size_y": 5,
        }  # fmt: skip
    bench.write(mode="STANDBY_MODE", **windows)
    bench.write(mode="WINDOWING_MODE", transmit=15, sensor_sel="BOTH")
    bench.sent.clear()
    bench.run(2 * CYCLE - 0.01)
    assert bench.model.refused == 0, "more than two CCDs may send windows"
    for ccd in range(1, 5):
        packets = bench.images(link=ccd)
        headers = decode_headers(packets)
        assert headers["valid"].all()
        assert set(headers["ccd_number"].tolist()) == {ccd - 1}
        assert set(headers["mode"].tolist()) == {f_fee_mode.WINDOWING_MODE}
        assert sorted(zip(headers["ccd_side"].tolist(), headers["length"].tolist(), strict=True)) == [
            (0, 3 * 6 * 5 * 2), (1, 6 * 5 * 2),
        ]  # fmt: skip
        assert headers["last_packet"].all()
    bench.write(ccd2_win_size_y=63)
    bench.run(3 * CYCLE - 0.01)
    assert bench.model.error_flags == Y_OUTSIDE


def test_windows_of_the_pattern() -> None:
    bench = Bench()
    bench.run(0.1)
    command = write_command(WINDOWING_ADDRESS, pack_windows([(0, 0)]), verify=False)
    bench.model.handle(command.encode(), bench.now)
    bench.write(
        mode="WINDOWING_PATTERN_MODE", transmit=2, sensor_sel="E", ccd2_win_list_ptr=WINDOWING_ADDRESS,
        ccd2_win_list_length=1, ccd2_win_size_x=6, ccd2_win_size_y=6,
    )  # fmt: skip
    bench.run(2 * CYCLE - 0.01)
    sides = {int(side) for side in decode_headers(bench.images(link=2))["ccd_side"]}
    assert sides <= {1}
