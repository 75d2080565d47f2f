"""Verdicts on readouts: every kind of broken header is found, and nothing else is accused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from egse.dpu.integrity import ReadoutCheck, TimecodeHistory, Verdict
from egse.fee.frame import Frame, plan_chunks
from egse.fee.geometry import FrameLayout
from egse.fee.image import TestPattern
from egse.fee.light import Exposure
from egse.spw import CCDSide, PacketKind, PacketType
from egse.spw.packets import encode_header

LAYOUT = FrameLayout(4490, 4519, h_end=24, packet_size=10 + 50)
"""20 image and 10 overscan rows, of both sides, one a packet."""
IMAGE, TOTAL = 40, 60


def readout(layout: FrameLayout = LAYOUT, counter: int = 700) -> list[bytearray]:
    frame = Frame(layout, 5, 2, counter, Exposure(3, 9, 20.0, 1.0), TestPattern())
    return [bytearray(packet) for chunk in plan_chunks(layout) for packet in frame.packets(chunk)]


def housekeeping(counter: int = 700) -> bytes:
    word = PacketType(5, True, CCDSide.E, 0, 2, PacketKind.HOUSEKEEPING).word
    return encode_header(144, word, counter, 0) + bytes(144)


def judge(packets: list[bytearray], hk: bytes = b"", layout: FrameLayout | None = LAYOUT) -> Verdict:
    check = ReadoutCheck()
    check.begin_frame(hk)
    for packet in packets:
        check.add(bytes(packet), 0)
    return check.verdict(layout)


KNOWN = [LAYOUT, None]


@pytest.mark.parametrize("layout", KNOWN, ids=["layout known", "unknown"])
@pytest.mark.parametrize("hk", [housekeeping(), b""], ids=["hk", "no hk"])
def test_a_good_readout(layout: FrameLayout | None, hk: bytes) -> None:
    assert judge(readout(), hk, layout) == Verdict([])


@pytest.mark.parametrize("position", [0, *range(2, 10)])
def test_every_bit_of_every_header_byte_counts(position: int) -> None:
    for index in (0, 1, 17, IMAGE - 2, IMAGE - 1, IMAGE, TOTAL - 2, TOTAL - 1):
        for bit in range(8):
            packets = readout()
            packets[index][position] ^= 1 << bit
            assert judge(packets, housekeeping()).suspects == [index], f"bit {bit} of packet {index}"


@pytest.mark.parametrize("side", [CCDSide.E, CCDSide.F])
def test_one_side_only(side: CCDSide) -> None:
    layout = replace(LAYOUT, sides=(side,))
    packets = readout(layout)
    assert judge(packets, housekeeping(), layout).suspects == []
    packets[7][5] ^= 0x40
    assert judge(packets, housekeeping(), layout).suspects == [7]


@pytest.mark.parametrize("layout", [replace(LAYOUT, v_end=4509), None], ids=["layout known", "unknown"])
def test_sides_one_after_the_other_accuse_nobody(layout: FrameLayout | None) -> None:
    packets = readout()
    for index, packet in enumerate(packets[:IMAGE]):
        packet[5] = packet[5] & 0x3F | (0x40 if index >= IMAGE // 2 else 0) | (index in (19, 39)) << 7
    assert judge(packets[:IMAGE], housekeeping(), layout).suspects == []


def test_windows_of_both_sides_come_as_they_are() -> None:
    packets = readout()[:IMAGE]
    for index, packet in enumerate(packets):
        packet[5] = packet[5] & 0x3F | (0x40 if index in (3, 11) else 0) | (index in (11, 39)) << 7
    assert judge(packets, housekeeping(), None).suspects == []


def test_lost_packets_are_counted_and_accuse_nobody() -> None:
    packets = readout()
    del packets[30:32], packets[11]
    assert judge(packets, housekeeping()) == Verdict([], missing=3)
    assert judge(packets, housekeeping(), None) == Verdict([], missing=3)


def test_a_repeated_packet_is_suspect_the_second_time() -> None:
    packets = readout()
    packets.insert(13, packets[12])
    assert judge(packets, housekeeping()) == Verdict([13])


def test_packets_cut_by_an_error() -> None:
    check = ReadoutCheck()
    check.begin_frame(housekeeping())
    for index, packet in enumerate(readout()):
        check.add(bytes(packet), int(index == 5))
    assert check.verdict(LAYOUT) == Verdict([5])


def test_what_is_not_recognised_takes_its_place() -> None:
    check = ReadoutCheck()
    check.begin_frame(housekeeping())
    for index, packet in enumerate(readout()):
        if index in (8, 9):
            check.add_unknown(len(packet))
        else:
            check.add(bytes(packet), 0)
    assert check.verdict(LAYOUT) == Verdict([])


def test_registers_that_are_not_those_of_the_camera_accuse_nobody() -> None:
    assert judge(readout(), housekeeping(), replace(LAYOUT, v_end=4510)).suspects == []


def break_byte(position: int, mask: int) -> Callable[[bytes], bytes]:
    return lambda packet: packet[:position] + bytes((packet[position] ^ mask,)) + packet[position + 1 :]


@pytest.mark.parametrize(("position", "mask"), [(0, 1), (3, 1), (4, 1), (4, 0x40), (5, 4), (6, 1), (7, 1)])
def test_broken_housekeeping_is_overruled(position: int, mask: int) -> None:
    verdict = judge(readout(), break_byte(position, mask)(housekeeping()))
    assert verdict == Verdict([], housekeeping=True)


@pytest.mark.parametrize(("position", "mask"), [(5, 0x80), (5, 0x40), (5, 0x10), (8, 1), (9, 1)])
def test_housekeeping_is_as_it_was_before(position: int, mask: int) -> None:
    check = ReadoutCheck()
    verdicts = []
    for number in range(8):
        hk = housekeeping(700 + number)
        check.begin_frame(break_byte(position, mask)(hk) if number == 5 else hk)
        for packet in readout(counter=700 + number):
            check.add(bytes(packet), 0)
        verdicts.append(check.verdict(LAYOUT))
    assert [verdict.housekeeping for verdict in verdicts] == [number == 5 for number in range(8)]
    assert not any(verdict.suspects for verdict in verdicts)


def test_two_readouts_without_a_timecode_between() -> None:
    packets = readout() + readout(counter=701)
    assert judge(packets, housekeeping()).suspects == list(range(TOTAL, 2 * TOTAL))


def test_timecodes_follow_the_frame_counter() -> None:
    history = TimecodeHistory()
    assert all(history.fits(code, 100 + code) for code in range(3))
    assert not history.fits(3 ^ 8, 103)
    assert not history.fits(4 | 0x40, 104)
    assert history.fits(9, 109)  # four pulses were not heard
    restarted = [history.fits(10 + number, number) for number in range(4)]
    assert restarted == [False, False, True, True]
