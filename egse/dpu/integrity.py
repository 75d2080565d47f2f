"""Do the packets of a readout fit together? Packets of the N-FEE carry no CRC; their headers must agree with each other.

While a readout runs, only its headers are kept. The verdict comes at its end, on all of them at once, by majority: a header that is
broken cannot make the good ones after it suspect, as it could if each were compared with the one before. What a header says about
the readout (mode, frame, CCD) must be what most say; the sequence counters must rise; sides alternate, or are one; overscan follows
image; the last packet of a side says so.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from egse.fee.geometry import FrameLayout
from egse.spw import HEADER_SIZE, HK_PACKET_SIZE, PacketKind

LOGICAL_ADDRESS: Final = 0x50
MOST_LISTED: Final = 15_000
"""So many suspects of a frame are listed in its file (an attribute of HDF5 holds 64 kB)."""

CLEAR_MAJORITY: Final = 0.75
"""An order of the sides is believed when so many of the good packets keep it."""

SUPPORT: Final = 0.1
"""Housekeeping is believed when so many image packets say the same as it, for each of those that say what most say."""

REMEMBERED: Final = 6
"""So many earlier housekeeping headers are compared with."""

_CCD: Final = 0x30
_SIDE: Final = 6
_LAST: Final = 7

Booleans = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a readout.

    Attributes:
        suspects: image packets that do not fit, by their number in the order of arrival.
        housekeeping: True when the housekeeping packet does not fit.
        timecode: True when the timecode does not fit.
        missing: image packets that did not arrive at all.
    """

    suspects: list[int]
    housekeeping: bool = False
    timecode: bool = False
    missing: int = 0


class ReadoutCheck:
    """Collects the headers of one readout after the other.

    Attributes:
        count: image packets of the running readout.
    """

    def __init__(self) -> None:
        self._history = HousekeepingHistory()
        self._timecodes = TimecodeHistory()
        self.begin_frame(b"")

    def begin_frame(self, housekeeping: bytes, timecode: int | None = None) -> None:
        """A readout begins.

        Args:
            timecode: its timecode as received, with the two upper bits.
            housekeeping: its housekeeping packet; empty when that was lost.
        """
        self.count = 0
        self._housekeeping = housekeeping
        self._timecode = timecode
        self._headers = bytearray()
        self._sizes: list[int] = []
        self._places: list[int] = []
        self._cut: list[int] = []
        self._next_place = 0
        self._after_unknown = True

    def add(self, packet: bytes | memoryview, flags: int) -> None:
        """Takes an image packet as received; flags are not 0 when an error cut it (EEP)."""
        if flags:
            self._cut.append(self.count)
        header = packet[:HEADER_SIZE]
        if self._after_unknown or bytes(header) != self._headers[-HEADER_SIZE:]:
            self._next_place += 1  # else it was repeated, and has taken the place of no other
        self._after_unknown = False
        self._headers += header
        self._sizes.append(len(packet))
        self._places.append(self._next_place)
        self.count += 1

    def add_unknown(self, size: int) -> None:
        """Something arrived that cannot be told to be an image packet; if it is as large as those, it was one.

        Args:
            size: its size [byte].
        """
        if not self._sizes or size in self._sizes[-2:]:
            self._next_place += 1
            self._after_unknown = True

    def verdict(self, layout: FrameLayout | None = None) -> Verdict:
        """Returns what is wrong with the readout.

        Args:
            layout: how it is cut into packets, as far as that is known.
        """
        hk_head = int(_heads(_header_of(self._housekeeping))[0]) if self._housekeeping else None
        bad_hk = bool(self._housekeeping) and not (
            _is_hk_header(self._housekeeping) and self._history.fits(self._housekeeping, self._ccd())
        )
        if not self.count:
            missing = 0 if layout is None else layout.packets
            return Verdict([], bad_hk, self._is_bad_timecode(hk_head), missing)
        headers = np.frombuffer(bytes(self._headers), np.uint8).reshape(-1, HEADER_SIZE).astype(np.int64)
        good = _are_sound(headers, np.array(self._sizes))
        good[self._cut] = False
        head = _elect(_heads(headers)[good], hk_head)
        if head is not None:
            good &= _heads(headers) == head
            bad_hk = bad_hk or (hk_head is not None and hk_head != head)
        _keep_majority(good, headers[:, 5] & _CCD)
        missing = self._check_order(headers, good, layout)
        return Verdict(np.flatnonzero(~good).tolist(), bad_hk, self._is_bad_timecode(head), missing)

    def _is_bad_timecode(self, head: int | None) -> bool:
        if self._timecode is None:
            return False
        if head is None:
            return self._timecode > 0x3F  # there is nothing to compare it with
        return not self._timecodes.fits(self._timecode, head & 0xFFFF)

    def _ccd(self) -> int | None:
        """Returns the CCD that most image packets name, as its bits in the type word."""
        names = [byte & _CCD for byte in self._headers[5::HEADER_SIZE]]
        return max(set(names), key=names.count) if names else None

    def _check_order(self, headers: Numbers, good: Booleans, layout: FrameLayout | None) -> int:
        """Rules out what is not in its place; returns how many packets did not arrive."""
        sequence = headers[:, 8] << 8 | headers[:, 9]
        places = np.array(self._places)
        offsets = sequence - places
        good[1:] &= places[1:] != places[:-1]  # repeated
        if layout is not None and not _fits_layout(good, sequence, offsets, layout.packets):
            layout = None  # that is not what is being read
        if layout is not None and self._next_place >= layout.packets:
            _keep_majority(good, offsets)  # nothing is missing
        else:
            _keep_rising(good, sequence, offsets)
        if layout is None:
            _drop_lone_ends(good, offsets)
        alternates = _check_sides(good, headers, sequence, layout)
        _check_kinds(good, headers, sequence, layout)
        _check_last(good, headers, sequence, layout if alternates else None)
        if layout is not None:
            return max(0, layout.packets - self._next_place)
        kept = offsets[good]
        return int(kept[-1] - kept[0]) if kept.size else 0


class TimecodeHistory:
    """Timecodes and frame counters count the same pulses: their difference stays, also when pulses are not heard.

    After the FEE has begun anew it is another one; that is believed the third time.
    """

    def __init__(self) -> None:
        self._differences: deque[int] = deque(maxlen=REMEMBERED)

    def fits(self, timecode: int, frame_counter: int) -> bool:
        """Returns False when the timecode of a readout is another than its frame counter tells.

        Args:
            timecode: as received, with the two upper bits, which are 0.
            frame_counter: of the readout.
        """
        difference, past = (timecode - frame_counter) & 0x3F, self._differences
        known = not past or past.count(difference) > 1 or (len(past) < 3 and difference == past[-1])
        past.append(difference)
        return known and timecode < 0x40


class HousekeepingHistory:
    """Compares the parts of housekeeping headers that no source explains with those of the housekeeping before.

    Side, last-packet flag and CCD are as the last time in this frame of the cycle, or as twice
    before, but the CCD may also be that which is read out, if it was so before.
    """

    def __init__(self) -> None:
        self._sequences: deque[int] = deque(maxlen=REMEMBERED)
        self._bits: dict[int, deque[tuple[int, bool]]] = {}

    def fits(self, packet: bytes, ccd: int | None) -> bool:
        """Returns False when the housekeeping packet of a readout differs.

        Args:
            packet: the packet.
            ccd: bits of the CCD in the type words of its image packets, None without any.
        """
        sequence, bits = int.from_bytes(packet[8:10], "big"), packet[5] & 0xF0
        follows = self._follows(sequence)
        seen = self._bits.setdefault(packet[5] & 0x0C, deque(maxlen=REMEMBERED))
        before = [past for past, _ in seen]
        same = not seen or bits == before[-1] or before.count(bits) > 1
        if not same and bits & _CCD == ccd:
            same = any(was_read and not (bits ^ past) & ~_CCD for past, was_read in seen)
        self._sequences.append(sequence)
        seen.append((bits, bits & _CCD == ccd))
        return follows and same

    def _follows(self, sequence: int) -> bool:
        """Sequence counters either stay or count up, as they did before."""
        past = list(self._sequences)
        if len(past) < 3:
            return not past or (sequence - past[-1]) & 0xFFFF <= 1
        if past.count(sequence) > 1:
            return True
        counts = any((after - before) & 0xFFFF == 1 for before, after in pairwise(past))
        return counts and any((sequence - before) & 0xFFFF == ago for ago, before in enumerate(past[::-1], 1))


def _header_of(packet: bytes) -> Numbers:
    return np.frombuffer(packet[:HEADER_SIZE], np.uint8).reshape(1, HEADER_SIZE).astype(np.int64)


def _is_hk_header(packet: bytes) -> bool:
    """True when what does not depend on the readout is as it must be."""
    length = int.from_bytes(packet[2:4], "big")
    kind = packet[5] & 3
    return (
        packet[0] == LOGICAL_ADDRESS
        and length == HK_PACKET_SIZE - HEADER_SIZE
        and packet[4] < 0x10
        and kind == PacketKind.HOUSEKEEPING
    )


def _are_sound(headers: Numbers, sizes: Numbers) -> Booleans:
    kinds = headers[:, 5] & 3
    length = headers[:, 2] << 8 | headers[:, 3]
    is_image = (kinds == PacketKind.DATA) | (kinds == PacketKind.OVERSCAN)
    sound: Booleans = (headers[:, 0] == LOGICAL_ADDRESS) & (headers[:, 4] < 0x10) & is_image
    sound &= length == sizes - HEADER_SIZE
    return sound


def _heads(headers: Numbers) -> Numbers:
    """Mode, frame number and frame counter in one number: the same for all packets of a readout."""
    head: Numbers = (
        (headers[:, 4] & 0x0F) << 24 | (headers[:, 5] & 0x0C) << 16 | headers[:, 6] << 8 | headers[:, 7]
    )
    return head


def _elect(heads: Numbers, housekeeping: int | None) -> int | None:
    """Returns what most packets say; the housekeeping is overruled by two image packets, not by one."""
    if not heads.size:
        return housekeeping
    values, votes = np.unique(heads, return_counts=True)
    best = int(votes.argmax())
    if housekeeping is None:
        return int(values[best])
    support = int(votes[values == housekeeping].sum())
    if votes[best] <= support + 1 or support >= SUPPORT * votes[best]:
        return housekeeping  # as many may be of a next readout whose timecode was lost
    return int(values[best])


def _keep_majority(good: Booleans, values: Numbers) -> None:
    if good.any():
        found, votes = np.unique(values[good], return_counts=True)
        good &= values == found[votes.argmax()]


def _keep_rising(good: Booleans, sequence: Numbers, offsets: Numbers) -> None:
    """Keeps the longest series of packets whose sequence counters rise.

    A counter that rises by more than the places in which something arrived tells that packets are missing; one that rises by less is
    wrong. Where that contradicts too many (repeated packets), rising is enough.
    """
    numbers = np.flatnonzero(good)
    if not numbers.size or (offsets[numbers] == offsets[numbers[0]]).all():
        return
    by_place = _longest(offsets[numbers].tolist(), strict=False)
    rising = _longest(sequence[numbers].tolist(), strict=True)
    kept = by_place if len(by_place) + 1 >= 0.95 * len(rising) else rising
    good[:] = False
    good[numbers[kept]] = True


def _longest(values: list[int], strict: bool) -> list[int]:
    """Returns the places of the longest series that rises (or, if not strict, never falls)."""
    tops: list[int] = []
    places: list[int] = []
    before: list[int] = []
    find = bisect_left if strict else bisect_right
    for place, value in enumerate(values):
        length = find(tops, value)
        if tops[length : length + 1] != [value]:  # of equal ones the first is believed
            tops[length : length + 1] = [value]
            places[length : length + 1] = [place]
        before.append(places[length - 1] if length else -1)
    series = []
    place = places[-1] if places else -1
    while place >= 0:
        series.append(place)
        place = before[place]
    return series[::-1]


def _fits_layout(good: Booleans, sequence: Numbers, offsets: Numbers, total: int) -> bool:
    """Rules out counters beyond the last packet; returns False when packets beyond it go on as those before did."""
    if not total or not good.any():
        return bool(total)
    values, votes = np.unique(offsets[good], return_counts=True)
    beyond = sequence >= total
    if int((good & beyond & (offsets == values[votes.argmax()])).sum()) > 1:
        return False
    good &= ~beyond
    return True


def _drop_lone_ends(good: Booleans, offsets: Numbers) -> None:
    """Counters that jump at the very end are believed only when it is known how many packets there are."""
    numbers = np.flatnonzero(good)
    while numbers.size > 2 and offsets[numbers[-1]] != offsets[numbers[-2]]:
        good[numbers[-1]] = False
        numbers = numbers[:-1]


def _check_sides(good: Booleans, headers: Numbers, sequence: Numbers, layout: FrameLayout | None) -> bool:
    """Both sides alternate, or there is only one; returns True when that is so. Windows come as they are: nothing is known of them."""
    if layout is None or not good.any():
        return False
    side = headers[:, 5] >> _SIDE & 1
    value = side if len(layout.sides) == 1 else side ^ sequence & 1
    count, ones = int(good.sum()), int(value[good].sum())
    if max(ones, count - ones) < CLEAR_MAJORITY * count:
        return False
    good &= value == int(2 * ones > count)
    return True


def _check_kinds(good: Booleans, headers: Numbers, sequence: Numbers, layout: FrameLayout | None) -> None:
    """Overscan packets come after the image packets."""
    overscan = (headers[:, 5] & 3) == PacketKind.OVERSCAN
    if layout is not None:
        image = sum(group.packets for group in layout.groups() if group.kind is PacketKind.DATA)
        fits = overscan == (sequence >= image)
        if int((good & ~fits).sum()) <= (1 - CLEAR_MAJORITY) * int(good.sum()):
            good &= fits
            return
    numbers = np.flatnonzero(good)
    kinds = overscan[numbers]
    # misfits when the overscan begins at packet k: overscan packets before, image packets after
    misfits = np.concatenate(([0], np.cumsum(kinds))) + (~kinds).sum()
    misfits -= np.concatenate(([0], np.cumsum(~kinds)))
    good[numbers[kinds != (np.arange(kinds.size) >= misfits.argmin())]] = False


def _check_last(good: Booleans, headers: Numbers, sequence: Numbers, layout: FrameLayout | None) -> None:
    """The last packet of each side and kind says so, and no other does."""
    last = headers[:, 5] >> _LAST & 1
    if layout is not None:
        expected = np.zeros(last.size, np.int64)
        end = 0
        for kind in (PacketKind.DATA, PacketKind.OVERSCAN):
            counts = [group.packets for group in layout.groups() if group.kind is kind]
            end += sum(counts)
            expected |= (sequence < end) & (sequence >= end - len(counts))
        good &= last == expected
        return
    groups = headers[:, 5] & (1 << _SIDE | 3)
    for group in np.unique(groups[good]):
        members = np.flatnonzero(good & (groups == group))
        good[members[:-1][last[members[:-1]] != 0]] = False
