"""Packets of layout 2.6 are found in the file without HDF5, and only when that is certain to give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from egse.h5 import CycleWriter, get_file, packets
from egse.h5.extents import find_extents
from egse.h5.reader import packet_extents

Make = Callable[[h5py.Group, str, bytes], Any]
PACKETS = [bytes([number]) * (40 + 3 * number) for number in range(30)]


def write(path: Path, make: Make, **options: Any) -> Path:
    """Writes one frame with packets whose datasets `make` makes, in an order that is not theirs, with things between them."""
    with h5py.File(path, "w", **options) as file:
        data = file.create_group("0/data")
        for number in reversed(range(len(PACKETS))):
            make(data, str(number), PACKETS[number])
            file.create_dataset(f"between/{number}", data=np.arange(number + 1))
    return path


def plain(group: h5py.Group, name: str, packet: bytes) -> Any:
    return group.create_dataset(name, data=np.frombuffer(packet, np.uint8))


def timed(group: h5py.Group, name: str, packet: bytes) -> Any:
    return group.create_dataset(name, data=np.frombuffer(packet, np.uint8), track_times=True)


def chunked(group: h5py.Group, name: str, packet: bytes) -> Any:
    return group.create_dataset(name, data=np.frombuffer(packet, np.uint8), chunks=(16,))


def packed(group: h5py.Group, name: str, packet: bytes) -> Any:
    return group.create_dataset(name, data=np.frombuffer(packet, np.uint8), compression="gzip")


def mixed(group: h5py.Group, name: str, packet: bytes) -> Any:
    return (chunked if name == "17" else plain)(group, name, packet)


def remarked(group: h5py.Group, name: str, packet: bytes) -> Any:
    dataset = plain(group, name, packet)
    if name == "17":
        dataset.attrs["remark"] = "of another shape now"
    return dataset


def signed(group: h5py.Group, name: str, packet: bytes) -> Any:
    data = np.frombuffer(packet, np.int8 if name == "17" else np.uint8)
    return group.create_dataset(name, data=data)


def compact(group: h5py.Group, name: str, packet: bytes) -> Any:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((len(packet),))
    dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.NATIVE_UINT8, space, properties)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(packet, np.uint8))


def empty(group: h5py.Group, name: str, packet: bytes) -> Any:
    return group.create_dataset(name, data=np.empty(0, np.uint8))


@pytest.mark.parametrize(
    ("make", "options"),
    [(plain, {}), (timed, {}), (plain, {"userblock_size": 1024})],
    ids=["plain", "with times", "behind a user block"],
)
def test_contiguous_datasets_are_found(tmp_path: Path, make: Make, options: dict[str, Any]) -> None:
    path = write(tmp_path / "a.hdf5", make, **options)
    with get_file(path) as file:
        extents = packet_extents(file, 0)
        assert extents is not None
        for number, packet in enumerate(PACKETS):
            dataset = file[f"0/data/{number}"]
            place = (extents.offsets[number], extents.sizes[number])
            assert place == (dataset.id.get_offset(), len(packet))
        assert [packet.tobytes() for packet in packets(file, 0)] == PACKETS


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (chunked, {}),
        (packed, {}),
        (mixed, {}),
        (remarked, {}),
        (compact, {}),
        (plain, {"libver": "latest"}),
    ],
    ids=["chunked", "compressed", "one is chunked", "one has an attribute", "compact", "newest headers"],
)
def test_others_are_left_to_hdf5(tmp_path: Path, make: Make, options: dict[str, Any]) -> None:
    path = write(tmp_path / "a.hdf5", make, **options)
    with get_file(path) as file:
        assert find_extents(file["0/data"]) is None
        assert [packet.tobytes() for packet in packets(file, 0)] == PACKETS


@pytest.mark.parametrize("make", [signed, empty], ids=["one is signed", "empty"])
def test_what_is_no_packet_is_not_taken_for_one(tmp_path: Path, make: Make) -> None:
    with get_file(write(tmp_path / "a.hdf5", make)) as file:
        assert find_extents(file["0/data"]) is None


def test_a_member_that_is_no_packet(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", plain)
    with h5py.File(path, "r+") as file:
        assert find_extents(file["0/data"]) is None  # what was written may not be in the file yet
        file["0/data/index"] = 1
    with get_file(path) as file:
        assert find_extents(file["0/data"]) is None


@pytest.mark.parametrize("version", [(2, 6), (3, 0)])
def test_a_file_cut_short_is_an_error(tmp_path: Path, version: tuple[int, int]) -> None:
    path = tmp_path / "a.hdf5"
    with CycleWriter(path, version=version) as writer:
        writer.frame(0).packets(PACKETS)
    with get_file(path) as file:
        extents = packet_extents(file, 0)
        assert extents is not None
        with path.open("r+b") as raw:
            raw.truncate(int(extents.offsets[-1]) + 3)
        with pytest.raises(OSError, match="the file ends"):
            extents.read(np.empty(int(extents.sizes.sum()), np.uint8))
