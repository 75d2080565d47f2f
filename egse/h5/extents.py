"""Where the packets of a frame in layout 2.6 lie in their file, found in bulk.

Layout 2.6 keeps one dataset per packet. HDF5 takes longer to open and to close each of them than to read its bytes, so the object
headers are read here: those of a frame are alike but for the address and the size of their data. The first dataset is opened
through HDF5; what its header means is checked against what HDF5 says of it, and a header that differs from it in anything but
these two numbers (or a modification time) is not interpreted: the whole frame is read through HDF5 then.

Source: HDF5 File Format Specification, version 3.0, IV.A.1.a (version 1 data object header), IV.A.2.b (dataspace), IV.A.2.i
(data layout version 3, contiguous), IV.A.2.s (modification time).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_PREFIX = struct.Struct("<BxHIIxxxx")  # version, number of messages, reference count, size of the messages
_MESSAGE = struct.Struct("<HHBxxx")  # type, size, flags
_NIL, _SPACE, _LAYOUT, _FILTERS, _TIME_OLD, _CONTINUATION, _TIME = 0x0, 0x1, 0x8, 0xB, 0xE, 0x10, 0x12
_LARGEST = 4096


@dataclass(frozen=True)
class Extents:
    """Where packets lie in a file that is open.

    Attributes:
        descriptor: of the file, HDF5's own.
        offsets: of the first byte of each packet [bytes], in the order of their numbers.
        sizes: of each packet [bytes].
    """

    descriptor: int
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def read(self, buffer: NDArray[np.uint8]) -> None:
        """Reads all packets, one after the other; those that lie together are read together.

        Args:
            buffer: as many bytes as they have.

        Raises:
            OSError: when the file ends before.
        """
        ends = self.offsets + self.sizes
        breaks = np.flatnonzero(self.offsets[1:] != ends[:-1]) + 1
        firsts, lasts = np.concatenate(([0], breaks)), np.concatenate((breaks, [len(self.sizes)]))
        places = np.concatenate(([0], np.cumsum(self.sizes)))
        runs = zip(
            self.offsets[firsts].tolist(), places[firsts].tolist(), places[lasts].tolist(), strict=True
        )
        for offset, start, stop in runs:
            _read_all(self.descriptor, buffer[start:stop], offset)

    def read_into(self, number: int, start: int, buffer: NDArray[np.uint8]) -> None:
        """Reads bytes of one packet, from its byte `start`, until the buffer is full.

        Raises:
            OSError: when the file ends before.
        """
        _read_all(self.descriptor, buffer, int(self.offsets[number]) + start)

    def heads(self, size: int) -> NDArray[np.uint8]:
        """Returns the first bytes of all packets, shape (packets, size); none may be shorter."""
        heads = b"".join([os.pread(self.descriptor, size, place) for place in self.offsets.tolist()])
        return np.frombuffer(heads, np.uint8).reshape(-1, size)


def find_extents(group: h5py.Group) -> Extents | None:
    """Finds the packets "0", "1", ... of a data group of layout 2.6.

    Args:
        group: `/N/data` of a file that is open for reading only.

    Returns:
        Where they lie; None when they can only be read through HDF5 (other members, compressed or chunked datasets, headers of
        another version, a file in memory or open for writing).
    """
    file = group.file
    if file.mode != "r" or file.driver != "sec2" or not group.id.get_num_objs():
        return None
    addresses = _addresses(group)
    if addresses is None:
        return None
    first = h5py.h5o.open(group.id, b"0")
    if not isinstance(first, h5py.h5d.DatasetID):
        return None
    descriptor = file.id.get_vfd_handle()
    base = file.userblock_size
    template = _Template.of(first, descriptor, base + int(addresses[0]), base)
    return None if template is None else template.apply(descriptor, addresses + base)


def _read_all(descriptor: int, buffer: NDArray[np.uint8], offset: int) -> None:
    rest = buffer.data
    while rest:
        count = os.preadv(descriptor, [rest], offset)
        if not count:
            raise OSError(f"the file ends at byte {offset}, {len(rest)} bytes before the end of a packet")
        offset += count
        rest = rest[count:]


def _addresses(group: h5py.Group) -> NDArray[np.int64] | None:
    """Returns the addresses of the object headers of the members 0, 1, ...; None when there are others, or links elsewhere."""
    found: dict[bytes, int] = {}

    def note(name: bytes, info: Any) -> None:
        if info.type == h5py.h5l.TYPE_HARD:
            found[name] = info.u

    group.id.links.iterate(note, info=True)
    names = (b"%d" % number for number in range(group.id.get_num_objs()))
    try:
        return np.fromiter((found[name] for name in names), np.int64, count=group.id.get_num_objs())
    except KeyError:
        return None


@dataclass(frozen=True)
class _Template:
    """The object header that the packets of a frame have in common.

    Attributes:
        header: its bytes.
        matters: for each byte whether it must be the same in all of them.
        size_at: where the size stands that both the dataspace and the layout message give, as 64-bit numbers.
        address_at: where the address stands.
        base: address 0 in the file (after a user block).
    """

    header: NDArray[np.uint8]
    matters: NDArray[np.bool_]
    size_at: tuple[int, int]
    address_at: int
    base: int

    @classmethod
    def of(cls, dataset: Any, descriptor: int, place: int, base: int) -> _Template | None:
        """Takes the header of a dataset apart; None when it is of a kind that is not known here."""
        version, count, _, size = _PREFIX.unpack(os.pread(descriptor, _PREFIX.size, place))
        if version != 1 or size > _LARGEST or dataset.dtype != np.uint8 or len(dataset.shape) != 1:
            return None
        raw = os.pread(descriptor, _PREFIX.size + size, place)
        matters = np.ones(len(raw), np.bool_)
        at, space, layout = _PREFIX.size, -1, -1
        for _ in range(count):
            kind, length, _flags = _MESSAGE.unpack_from(raw, at)
            body = at + _MESSAGE.size
            if kind in (_FILTERS, _CONTINUATION):
                return None
            if kind in (_NIL, _TIME, _TIME_OLD):
                matters[body : body + length] = False
            elif kind == _SPACE:
                space = body
            elif kind == _LAYOUT:
                layout = body
            at = body + length
        matters[at:] = False  # left free by HDF5
        if (
            space < 0
            or layout < 0
            or raw[space : space + 2] != b"\1\1"
            or raw[layout : layout + 2] != b"\3\1"
        ):
            return None
        sizes, address = (space + 8, layout + 10), layout + 2
        stop = sizes[0] + 8 * (1 + (raw[space + 2] & 1))  # the largest size follows, where there is one
        matters[sizes[0] : stop] = matters[address : address + 16] = False
        if raw[space + 2] & 2:  # a permuted dataspace, which nobody writes
            return None
        template = cls(np.frombuffer(raw, np.uint8), matters, sizes, address, base)
        known = template.apply(descriptor, np.array([place]))
        same = known and (known.offsets[0], known.sizes[0]) == (dataset.get_offset(), dataset.shape[0])
        return template if same else None

    def apply(self, descriptor: int, places: NDArray[np.int64]) -> Extents | None:
        """Reads the headers at `places`; None when one of them is of another kind."""
        length = len(self.header)
        raw = b"".join([os.pread(descriptor, length, place) for place in places.tolist()])
        if len(raw) != length * len(places):
            return None
        headers = np.frombuffer(raw, np.uint8).reshape(-1, length)
        if not np.array_equal(
            headers[:, self.matters],
            np.broadcast_to(self.header[self.matters], (len(headers), int(self.matters.sum()))),
        ):
            return None
        sizes, stored = (self._numbers(headers, at) for at in self.size_at)
        addresses = self._numbers(headers, self.address_at)
        if not np.array_equal(sizes, stored) or (sizes <= 0).any() or (addresses < 0).any():
            return None  # an empty one has no address
        return Extents(descriptor, addresses + self.base, sizes)

    @staticmethod
    def _numbers(headers: NDArray[np.uint8], at: int) -> NDArray[np.int64]:
        return np.ascontiguousarray(headers[:, at : at + 8]).view("<i8").reshape(-1)
