"""The packets of a frame as format 3.0 keeps them: written as one array, and seen as single packets again.

`RawFile` shows the packets of a 3.0 file where format 2.6 has them: `file["0/data/17"]`, `len(file["0/data"])` and the like work
for both, whatever lies below.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from egse.fee.geometry import frame_layout
from egse.h5.extents import Extents
from egse.h5.names import PACKED_VERSION
from egse.h5.table import data_packets, expected_packets, find_gaps, packet_table

Buffer: TypeAlias = bytes | bytearray | memoryview

_MAX_BUFFERS = os.sysconf("SC_IOV_MAX")


class PackedPackets:
    """The packets of one frame in layout 3.0: kept (as views, not copied) until `flush`, then written as one array.

    HDF5 is asked to give the array its place in the file; the packets are written there straight from where they are, so
    that nothing is joined or copied. It is closed to HDF5's own caches: nothing else touches a contiguous array that is
    not read or written through HDF5.

    Args:
        data: group `/N/data`.
        descriptor: the file, open for reading and writing.
    """

    def __init__(self, data: h5py.Group, descriptor: int) -> None:
        self._data = data
        self._descriptor = descriptor
        self._pending: list[memoryview] = []

    def append(self, payloads: Sequence[Buffer]) -> None:
        """Takes packets; they must not change before `flush`."""
        self._pending += [memoryview(payload).cast("B") for payload in payloads]

    def flush(self, crcs: Mapping[int, int] | None = None) -> None:
        """Writes what was taken since the last time, behind what is there already.

        Args:
            crcs: CRC-32 of packets, by their numbers, that are not any more what was received.
        """
        if not self._pending:
            return
        payloads = self._earlier() + self._pending
        table = packet_table(payloads)
        for number, crc in (crcs or {}).items():
            table["crc"][number] = crc
        self._write(payloads, int(table["size"].sum()))
        self._data.create_dataset("headers", data=table)
        attributes = {name: int(value) for name, value in self._data.attrs.items() if np.ndim(value) == 0}
        layout = frame_layout(attributes)
        expected = expected_packets(layout, "v_end" in attributes and "sensor_sel" in attributes, table)
        self._data.create_dataset("gaps", data=find_gaps(data_packets(table)["sequence_counter"], expected))
        self._pending = []

    def _earlier(self) -> list[memoryview]:
        """Takes out packets written before (a packet that came after the next frame had begun)."""
        if "packets" not in self._data:
            return []
        whole = memoryview(self._data["packets"][()])
        rows = self._data["headers"][()]
        for name in ("packets", "headers", "gaps"):
            del self._data[name]
        starts, sizes = rows["offset"].tolist(), rows["size"].tolist()
        return [whole[start : start + size] for start, size in zip(starts, sizes, strict=True)]

    def _write(self, payloads: list[memoryview], size: int) -> None:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_obj_track_times(False)
        space = h5py.h5s.create_simple((size,))
        dataset = h5py.h5d.create(self._data.id, b"packets", h5py.h5t.NATIVE_UINT8, space, properties)
        position = dataset.get_offset() if size else 0
        filled = [payload for payload in payloads if len(payload)]
        for start in range(0, len(filled), _MAX_BUFFERS):
            position = _write_all(self._descriptor, filled[start : start + _MAX_BUFFERS], position)


def _write_all(descriptor: int, buffers: list[memoryview], position: int) -> int:
    """Writes buffers one after the other; returns the position behind them."""
    while buffers:
        written = os.pwritev(descriptor, buffers, position)
        position += written
        while buffers and written >= len(buffers[0]):
            written -= len(buffers.pop(0))
        if buffers and written:
            buffers[0] = buffers[0][written:]
    return position


# -- reading ------------------------------------------------------------------------------------------------------------


class PacketItem:
    """One packet of a 3.0 file, as the dataset that it is in format 2.6."""

    def __init__(self, group: PacketGroup, number: int) -> None:
        self._group = group
        self._number = number
        self.name = f"{group.name}/{number}"
        self.attrs: dict[str, Any] = {}
        self.dtype = np.dtype(np.uint8)
        self.shape = (int(group.table["size"][number]),)
        self.ndim = 1
        self.size = self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        start = int(self._group.table["offset"][self._number])
        return self._group.stored("packets")[start : start + self.size][key]

    def __len__(self) -> int:
        return self.size

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[()], dtype=dtype)

    def __repr__(self) -> str:
        return f'<packet "{self._number}" of "{self._group.name}": {self.size} bytes>'


class _Presenting:
    """What `h5py.Group` has shortcuts for: `get`, and with it `values` and `items`, go by `__getitem__`."""

    def get(self, name: Any, default: Any = None, getclass: bool = False, getlink: bool = False) -> Any:
        """Returns a member, `default` when there is none; as in h5py."""
        if getclass or getlink:
            return super().get(name, default, getclass, getlink)  # type: ignore[misc]
        try:
            return self[name]  # type: ignore[index]
        except KeyError:
            return default


class PacketGroup(_Presenting, h5py.Group):  # type: ignore[misc]
    """`/N/data` of a 3.0 file: its members are the packets "0", "1", ...; `stored` gives what is really there.

    Attributes:
        table: the header table (`egse.h5.table.PACKET_DTYPE`); empty when no packet arrived.
    """

    def __init__(self, group: h5py.Group) -> None:
        super().__init__(group.id)
        self.table: NDArray[Any] = self.stored("headers")[()] if self._has("headers") else packet_table([])

    def _has(self, name: str) -> bool:
        return bool(super().__contains__(name))

    def stored(self, name: str) -> h5py.Dataset:
        """Returns the dataset `packets`, `headers` or `gaps`."""
        return super().__getitem__(name)

    def extents(self) -> Extents | None:
        """Returns where the packets lie in the file; None when there are none, or when they can only be read through HDF5."""
        stored = self.stored("packets") if self._has("packets") and len(self.table) else None
        if stored is None or self.file.mode != "r" or self.file.driver != "sec2":
            return None
        start, size = stored.id.get_offset(), stored.id.get_storage_size()
        offsets, sizes = self.table["offset"].astype(np.int64), self.table["size"].astype(np.int64)
        if start is None or size != stored.size or stored.dtype != np.uint8 or stored.compression is not None:
            return None
        if int((offsets + sizes).max()) > size:
            raise OSError(f"{self.name}: the table of headers points beyond the packets")
        return Extents(self.file.id.get_vfd_handle(), start + offsets, sizes)

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[str]:
        return map(str, range(len(self.table)))

    def __contains__(self, name: object) -> bool:
        return _packet_number(name, len(self.table)) is not None or self._has(str(name))

    def __getitem__(self, name: Any) -> Any:
        number = _packet_number(name, len(self.table))
        return super().__getitem__(name) if number is None else PacketItem(self, number)


class FrameGroup(_Presenting, h5py.Group):  # type: ignore[misc]
    """`/N` of a 3.0 file."""

    def __getitem__(self, name: Any) -> Any:
        return _find(self, name, super().__getitem__)

    def __contains__(self, name: object) -> bool:
        return _is_there(self, name, super().__contains__)


class RawFile(_Presenting, h5py.File):  # type: ignore[misc]
    """A raw file of format 3.0, with the packets where format 2.6 has them."""

    def __getitem__(self, name: Any) -> Any:
        return _find(self, name, super().__getitem__)

    def __contains__(self, name: object) -> bool:
        return _is_there(self, name, super().__contains__)


_PLACE = re.compile(r"(?P<frame>/\d+)(?P<data>/data(?:/(?P<packet>\d+))?)?")


def _find(group: h5py.Group, name: Any, ordinary: Any) -> Any:
    if not isinstance(name, str):
        return ordinary(name)
    place = _PLACE.fullmatch(posixpath.normpath(posixpath.join(group.name, name)))
    if place is None:
        return ordinary(name)
    if place["data"] is None:
        return FrameGroup(ordinary(name).id)
    data = PacketGroup(ordinary(place["frame"] + "/data"))
    return data if place["packet"] is None else data[place["packet"]]


def _is_there(group: h5py.Group, name: object, ordinary: Any) -> bool:
    if isinstance(name, str):
        place = _PLACE.fullmatch(posixpath.normpath(posixpath.join(group.name, name)))
        if place is not None and place["packet"] is not None:
            data = place["frame"] + "/data"
            return bool(ordinary(data)) and place["packet"] in PacketGroup(
                _find(group, data, group.__getitem__)
            )
    return bool(ordinary(name))


def _packet_number(name: object, count: int) -> int | None:
    if not isinstance(name, str) or not name.isdigit() or not int(name) < count or name != str(int(name)):
        return None
    return int(name)


def format_version(file: h5py.Group) -> tuple[int, int]:
    """Returns major and minor number of the layout of a file; (1, 0) for one from before there were numbers."""
    if "versions/format_version" not in file:
        return 1, 0
    numbers = file["versions/format_version"].attrs
    return int(numbers.get("major_version", 1)), int(numbers.get("minor_version", 0))


def is_packed(file: h5py.Group) -> bool:
    """Returns True for a file of format 3.0."""
    return format_version(file) >= PACKED_VERSION
