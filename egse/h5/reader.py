"""Reads the raw camera files: attributes, datasets, packets of a frame; shows what is inside.

The functions take an open file (`get_file`) and work on files of format 2.6, of 3.0, and of older versions as far as those have the
item asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from egse.fee.geometry import frame_layout
from egse.h5.extents import Extents, find_extents
from egse.h5.names import SPOILED_CRCS, SPOILED_PACKETS, SUSPECT_ITEMS, SUSPECT_PACKETS
from egse.h5.packed import PacketGroup, RawFile, is_packed
from egse.h5.table import data_packets, expected_packets, find_gaps, packet_crc, packet_table
from egse.spw import HEADER_SIZE
from egse.system import unix_time


def get_file(filename: str | Path, mode: str = "r") -> h5py.File:
    """Opens a raw file for reading, of format 2.6 or 3.0; the packets of a frame are at `/N/data/<i>` in both.

    Args:
        filename: path of the file.
        mode: as in h5py, "r" by default.

    Returns:
        The open file; use it with `with`.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it is no HDF5 file.
    """
    file = h5py.File(filename, mode)
    return RawFile(file.id) if is_packed(file) else file


def frame_numbers(file: h5py.File) -> list[int]:
    """Returns the numbers of the frames in the file, in order: 0..3 in external synchronisation, 0 in internal."""
    return sorted(int(name) for name in file if name.isdigit())


def get_data(item: h5py.Dataset) -> Any:
    """Returns the contents of a dataset: a numpy array, or a plain Python value when it is a scalar."""
    value = item[()]
    if isinstance(value, np.generic):
        return value.item()
    return value


def get_attribute_value(item: h5py.Dataset | h5py.Group, attribute: str) -> Any:
    """Returns one attribute as a plain Python value (int, str) or as an array.

    Raises:
        KeyError: when the item has no such attribute; names the item and what it has.
    """
    if attribute not in item.attrs:
        raise KeyError(f"{item.name} has no attribute {attribute!r}; it has {sorted(item.attrs)}")
    value = item.attrs[attribute]
    return value.item() if isinstance(value, np.generic) else value


def get_mode(file: h5py.File) -> str:
    """Returns in which mode a raw file was recorded, `operations` or `simulator`; empty in files of older releases."""
    return str(file.attrs.get("mode", ""))


def get_obsid(file: h5py.File) -> str:
    """Returns the full observation id SITE_SETUP_TEST, empty when no observation was running."""
    value = get_data(file["obsid"]) if "obsid" in file else b""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def get_timestamp(file: h5py.File, frame: int) -> float:
    """Returns when the timecode of a frame was received, Unix time [s].

    Raises:
        KeyError: when the frame has no timecode.
    """
    return unix_time(get_attribute_value(file[f"{frame}/timecode"], "timestamp"))


def get_attributes(file: h5py.File, frame: int) -> dict[str, int]:
    """Returns the register fields stored with the data of a frame (`egse.h5.names.DATA_ATTRIBUTES`)."""
    path = f"{frame}/data"
    if path not in file:
        return {}
    # Lists, such as the numbers of suspect packets, are no parameters of the readout.
    return {name: int(value) for name, value in file[path].attrs.items() if np.ndim(value) == 0}


def packet_count(file: h5py.File, frame: int) -> int:
    """Returns how many data and overscan packets a frame holds."""
    path = f"{frame}/data"
    return len(file[path]) if path in file else 0


Allocate = Callable[[int], NDArray[np.uint8]]
"""Gives memory of so many bytes."""


def _new_memory(size: int) -> NDArray[np.uint8]:
    return np.empty(size, dtype=np.uint8)


def packets(file: h5py.File, frame: int, allocate: Allocate = _new_memory) -> list[NDArray[np.uint8]]:
    """Returns the data and overscan packets of a frame, whole (with header), in the order of arrival.

    All packets are views of one buffer that is read once, so this is also the quick way to the pixels.

    Args:
        file: open raw file.
        frame: frame number 0..3.
        allocate: gives the memory of the buffer.

    Returns:
        One uint8 array per packet; empty when the frame has no data.
    """
    path = f"{frame}/data"
    if path not in file:
        return []
    extents = packet_extents(file, frame)
    if extents is None:
        data = file[path]
        return (
            _slices(data, allocate) if isinstance(data, PacketGroup) else _single_datasets(data.id, allocate)
        )
    buffer = allocate(int(extents.sizes.sum()))
    extents.read(buffer)
    stops = np.cumsum(extents.sizes)
    starts = stops - extents.sizes
    return [buffer[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]


def packet_extents(file: h5py.File, frame: int) -> Extents | None:
    """Returns where the packets of a frame lie in the file, so that they can be read without HDF5.

    Args:
        file: open raw file.
        frame: frame number 0..3.

    Returns:
        Their places; None when there are no packets, or when they can only be read through HDF5.
    """
    path = f"{frame}/data"
    if path not in file:
        return None
    data = file[path]
    return data.extents() if isinstance(data, PacketGroup) else find_extents(data)


def _single_datasets(group: Any, allocate: Allocate) -> list[NDArray[np.uint8]]:
    """Reads the packets of layout 2.6 one by one through HDF5."""
    datasets = [h5py.h5d.open(group, str(number).encode("ascii")) for number in range(group.get_num_objs())]
    lengths = [dataset.shape[0] for dataset in datasets]
    buffer = allocate(sum(lengths))
    views: list[NDArray[np.uint8]] = []
    position = 0
    for dataset, length in zip(datasets, lengths, strict=True):
        view = buffer[position : position + length]
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, view, h5py.h5t.NATIVE_UINT8)
        views.append(view)
        position += length
    return views


def _slices(data: PacketGroup, allocate: Allocate) -> list[NDArray[np.uint8]]:
    if not len(data):
        return []
    stored = data.stored("packets")
    buffer = allocate(stored.size)
    stored.id.read(h5py.h5s.ALL, h5py.h5s.ALL, buffer, h5py.h5t.NATIVE_UINT8)
    starts, sizes = data.table["offset"].tolist(), data.table["size"].tolist()
    return [buffer[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def packet_heads(file: h5py.File, frame: int, count: int) -> list[NDArray[np.uint8]]:
    """Returns the headers of the first packets of a frame.

    Args:
        file: open raw file.
        frame: frame number 0..3.
        count: of how many packets at most.

    Returns:
        One uint8 array of 10 bytes per packet, shorter for a packet that is.
    """
    data = file[f"{frame}/data"]
    return [np.asarray(data[str(number)][:HEADER_SIZE]) for number in range(min(count, len(data)))]


def packet_headers(file: h5py.File, frame: int) -> NDArray[Any]:
    """Returns the table of the packets of a frame (`egse.h5.table.PACKET_DTYPE`).

    Format 3.0 has it in the file; for 2.6 it is made from the packets, so that its CRC tells nothing about the past.
    """
    path = f"{frame}/data"
    data = file.get(path, None)
    if isinstance(data, PacketGroup):
        return data.table
    return packet_table([packet.data for packet in packets(file, frame)])


def packet_gaps(file: h5py.File, frame: int) -> NDArray[Any]:
    """Returns the runs of packets that did not arrive in a frame (`egse.h5.table.GAP_DTYPE`), for both formats."""
    attributes, table = get_attributes(file, frame), packet_headers(file, frame)
    if not len(table):
        return find_gaps(table["sequence_counter"], 0)
    known = "v_end" in attributes and "sensor_sel" in attributes
    expected = expected_packets(frame_layout(attributes), known, table)
    return find_gaps(data_packets(table)["sequence_counter"], expected)


def packet_verdicts(file: h5py.File, frame: int) -> NDArray[np.bool_]:
    """Returns for each packet of a frame whether it is good: its header and length, whether it fitted into its readout when it was
    received (`suspect_packets`), and whether it is still what was received (CRC-32).

    Args:
        file: open raw file.
        frame: frame number 0..3.
    """
    good: NDArray[np.bool_] = packet_headers(file, frame)["valid"] != 0
    for numbers in (suspect_packets(file, frame), list(spoiled_packets(file, frame))):
        good[[number for number in numbers if number < good.size]] = False
    return good


def suspect_packets(file: h5py.File, frame: int) -> list[int]:
    """Returns the numbers of the packets of a frame that did not fit into their readout when they were received."""
    path = f"{frame}/data"
    attributes = file[path].attrs if path in file else {}
    return [int(number) for number in attributes.get(SUSPECT_PACKETS, ())]


def suspect_items(file: h5py.File, frame: int) -> list[str]:
    """Returns which other items of a frame did not fit when they were received: `timecode`, `hk`."""
    path = f"{frame}/data"
    attributes = file[path].attrs if path in file else {}
    return [name.decode() for name in attributes.get(SUSPECT_ITEMS, ())]


def spoiled_packets(file: h5py.File, frame: int) -> dict[int, int]:
    """Returns the packets of a frame that are not any more what was received.

    Args:
        file: open raw file. Format 3.0 has a CRC-32 of each packet; format 2.6 only knows what a conversion from 3.0 found.
        frame: frame number 0..3.

    Returns:
        CRC-32 as received, by the number of the packet.
    """
    path = f"{frame}/data"
    if path not in file:
        return {}
    data = file[path]
    if isinstance(data, PacketGroup):
        stored = data.table["crc"].tolist()
        found = (packet_crc(packet.data) for packet in packets(file, frame))
        pairs = enumerate(zip(stored, found, strict=True))
        return {number: crc for number, (crc, now) in pairs if crc != now}
    numbers, crcs = data.attrs.get(SPOILED_PACKETS, ()), data.attrs.get(SPOILED_CRCS, ())
    return {int(number): int(crc) for number, crc in zip(numbers, crcs, strict=True)}


def show_groups(file: h5py.File, max_packets: int = 3) -> str:
    """Returns the tree of groups and datasets as text, with at most `max_packets` packets of each frame."""
    lines = [Path(file.filename).name]
    _show_members(file, lines, "  ", max_packets)
    return "\n".join(lines)


def _show_members(group: h5py.Group, lines: list[str], indent: str, limit: int) -> None:
    names = sorted(group, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))
    is_packet_group = group.name.rsplit("/", 1)[-1] == "data"
    for name in names[:limit] if is_packet_group else names:
        item = group[name]
        if isinstance(item, h5py.Group):
            lines.append(f"{indent}{name}/ ({len(item)})")
            _show_members(item, lines, indent + "  ", limit)
        else:
            shape = f"{item.dtype} {item.shape}" if item.shape else f"{item.dtype} scalar"
            lines.append(f"{indent}{name}: {shape}")
    if is_packet_group and len(names) > limit:
        lines.append(f"{indent}... {len(names) - limit} more packets")


def show_attributes(item: h5py.Dataset | h5py.Group) -> str:
    """Returns the attributes of an item as text, one per line."""
    return "\n".join(f"{name} = {get_attribute_value(item, name)!r}" for name in sorted(item.attrs))


def show_file(file: h5py.File) -> str:
    """Returns a summary as text: observation, counters, and for every frame its time, packets and register fields."""
    lines = [Path(file.filename).name, f"obsid      {get_obsid(file) or '-'}"]
    lines += (
        [f"{name:<10} {value}" for name, value in sorted(file["dpu"].attrs.items())] if "dpu" in file else []
    )
    for number in frame_numbers(file):
        frame = file[str(number)]
        when = get_attribute_value(frame["timecode"], "timestamp") if "timecode" in frame else "no timecode"
        fields = ", ".join(f"{name}={value}" for name, value in sorted(get_attributes(file, number).items()))
        suspects = len(suspect_packets(file, number))
        count = f"{packet_count(file, number)} packets" + (f" ({suspects} suspect)" if suspects else "")
        count += "".join(f", {item} suspect" for item in suspect_items(file, number))
        lines.append(f"frame {number}: {when}, {count}, {fields}")
    return "\n".join(lines)
