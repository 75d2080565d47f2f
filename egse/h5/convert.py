"""Turns raw files of format 2.6 into 3.0 and back, without loss: every dataset, attribute and packet, byte for byte.

The verdicts on packets go with them: `suspect_packets` as it is; a packet that is not any more what its CRC-32 in a 3.0 file says is named in
attributes of the 2.6 file (`spoiled_packets`, `spoiled_crcs`), from which the CRC comes back. What the ICD does not know (further groups, attributes) is copied as it is. The version number that a file had before is kept
in the attributes of `/versions/format_version` when it was another than 2.6, and comes back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from egse.files import create_file, fsync_folder
from egse.h5.names import FORMAT_VERSION, FORMAT_VERSIONS, PACKED_VERSION, SPOILED_CRCS, SPOILED_PACKETS
from egse.h5.packed import PackedPackets, PacketGroup, format_version
from egse.h5.reader import get_file, packets, spoiled_packets
from egse.h5.writer import PART_SUFFIX, PacketStore

_BEFORE = "version_before"
_VERSION = "versions/format_version"


class ConversionError(ValueError):
    """A raw file cannot be converted without loss."""


def convert_file(source: Path, target: Path, version: tuple[int, int]) -> Path:
    """Writes a raw file anew in another layout.

    Args:
        source: the raw file.
        target: the new file; written to `TARGET.part`, checked packet by packet against the source, synced and renamed.
        version: layout of the new file, (2, 6) or (3, 0).

    Returns:
        `target`.

    Raises:
        FileExistsError: when the target is there already.
        ConversionError: when the source holds something that the layout has no place for.
        OSError: when a file cannot be read or written.
    """
    if version not in FORMAT_VERSIONS:
        raise ValueError(f"there is no layout {version}; the layouts are {FORMAT_VERSIONS}")
    if target.exists():
        raise FileExistsError(f"{target} is there already; remove it or choose another name")
    part = target.with_name(target.name + PART_SUFFIX)
    part.unlink(missing_ok=True)
    descriptor = create_file(part)
    try:
        with get_file(source) as old:
            with h5py.File(part, "w") as new:
                _copy(old, new, version, descriptor)
            _compare(old, part)
        os.fsync(descriptor)
        os.rename(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    fsync_folder(target.parent)
    return target


def _copy(old: h5py.File, new: h5py.File, version: tuple[int, int], descriptor: int) -> None:
    _copy_attributes(old, new)
    for name in old:
        if name.isdigit():
            _copy_frame(old, new.create_group(name), int(name), version, descriptor)
        else:
            old.copy(name, new)
    _set_version(new, format_version(old), version)


def _copy_attributes(old: h5py.Group, new: h5py.Group) -> None:
    for name in old.attrs:
        if name in (SPOILED_PACKETS, SPOILED_CRCS):
            continue  # a matter of the packets
        attribute = old.attrs.get_id(name)
        new.attrs.create(name, old.attrs[name], shape=attribute.shape, dtype=attribute.dtype)


def _copy_frame(
    old: h5py.File, new: h5py.Group, number: int, version: tuple[int, int], descriptor: int
) -> None:
    frame = old[str(number)]
    _copy_attributes(frame, new)
    for name in frame:
        if name != "data":
            old.copy(f"{number}/{name}", new, name=name)
    if "data" in frame:
        data = new.create_group("data")
        _copy_attributes(frame["data"], data)
        _refuse_others(frame["data"])
        payloads = [packet.data for packet in packets(old, number)]
        spoiled = spoiled_packets(old, number)
        if version == PACKED_VERSION:
            packed = PackedPackets(data, descriptor)
            packed.append(payloads)
            packed.flush(spoiled)
        else:
            if spoiled:
                data.attrs[SPOILED_PACKETS] = np.fromiter(spoiled, np.uint32)
                data.attrs[SPOILED_CRCS] = np.fromiter(spoiled.values(), np.uint32)
            store = PacketStore()
            for index, payload in enumerate(payloads):
                store.write(data, str(index), payload)


def _refuse_others(data: h5py.Group) -> None:
    """Makes sure that a data group holds packets 0, 1, ... and nothing else."""
    if isinstance(data, PacketGroup):
        return
    for index in range(data.id.get_num_objs()):
        name = str(index)
        if name not in data:
            others = [other for other in data if not other.isdigit()] or sorted(data)[:5]
            raise ConversionError(f"{data.name} does not hold packets 0, 1, ...: it has {others}")
        item = h5py.h5o.open(data.id, name.encode("ascii"))
        if not isinstance(item, h5py.h5d.DatasetID) or item.dtype != "u1" or len(item.shape) != 1:
            raise ConversionError(f"{data.name}/{name} is no packet: a dataset uint8 of one dimension")
        if h5py.h5a.get_num_attrs(item):
            raise ConversionError(
                f"{data.name}/{name} has attributes, for which the other layout has no place"
            )


def _set_version(new: h5py.File, before: tuple[int, int], version: tuple[int, int]) -> None:
    attributes: dict[str, Any] = {}
    if _VERSION in new:
        attributes = dict(new[_VERSION].attrs)
        del new[_VERSION]
    numbers = version
    if version == PACKED_VERSION and before not in FORMAT_VERSIONS:
        attributes[_BEFORE] = "{}.{}".format(*before)
    elif version == FORMAT_VERSION and before == PACKED_VERSION and _BEFORE in attributes:
        major, minor = str(attributes.pop(_BEFORE)).split(".")
        numbers = int(major), int(minor)
    elif version == FORMAT_VERSION and before < FORMAT_VERSION:
        numbers = before  # the same layout as far as it goes
    item = new.create_dataset(_VERSION, data="{}.{}".format(*numbers), dtype=h5py.string_dtype("ascii"))
    for name, value in attributes.items():
        item.attrs[name] = value
    item.attrs["major_version"], item.attrs["minor_version"] = numbers


def _compare(old: h5py.File, path: Path) -> None:
    """Reads the new file and compares all packets with the old ones.

    Raises:
        OSError: when they differ.
    """
    with get_file(path) as new:
        for name in old:
            if name.isdigit():
                before, after = packets(old, int(name)), packets(new, int(name))
                same = len(before) == len(after) and all(
                    one.data == other.data for one, other in zip(before, after, strict=True)
                )
                if not same:
                    raise OSError(f"the packets of frame {name} in {path} are not those of {old.filename}")
