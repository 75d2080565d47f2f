"""Format 3.0: the same content through the same calls, and conversion both ways bit for bit."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from egse.cli.h5 import h5
from egse.h5 import (
    PACKED_VERSION,
    CycleWriter,
    Kind,
    SpoolWriter,
    format_version,
    get_attribute_value,
    get_data,
    get_file,
    packet_count,
    packet_gaps,
    packet_headers,
    packet_verdicts,
    packets,
    parse_format,
    read_images,
    recover_spools,
    show_file,
    show_groups,
    spoiled_packets,
    suspect_packets,
)
from egse.h5.check import check_hdf5_file
from egse.h5.convert import ConversionError, convert_file
from egse.h5.table import packet_crc

T0 = 1_700_000_000.25
BOTH = ((2, 6), (3, 0))


def write(path: Path, attributes: dict[str, int], data: list[bytes], version: tuple[int, int]) -> Path:
    with CycleWriter(path, version=version) as writer:
        writer.obsid, writer.num_cycles, writer.register = "CSL1_00084_01151", 3, bytes(range(256)) * 8
        for number in range(3):
            frame = writer.frame(number)
            frame.attributes(attributes)
            frame.timecode(10 + number, T0 + 6.25 * number)
            frame.hk(bytes(range(154)))
            frame.packets(data[:5] if number < 2 else [])
            frame.packets(data[5:] if number < 2 else [])
            frame.hk_data(bytes(range(144)))
        frame.command("n_fee_set_dump_mode", b"\x51\x01\x7c\xd1", T0 + 23)
    return path


@pytest.fixture
def data(make_side: Callable[..., list[bytes]]) -> list[bytes]:
    """Both sides of 10 image rows and 10 overscan rows, alternating as on the link."""
    generator = np.random.default_rng(1)
    sides = [
        make_side(generator.integers(0, 65536, (20, 2295), dtype=np.uint16), 10, 2, side, 0)
        for side in (0, 1)
    ]
    return [packet for pair in zip(*sides, strict=True) for packet in pair]


def contents(file: h5py.Group) -> dict[str, object]:
    """Every dataset (type, shape, bytes) and every attribute of a file, by path; the version number aside."""
    found: dict[str, object] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if name == "versions/format_version":
            return
        for key in item.attrs:
            ident = item.attrs.get_id(key)
            found[f"{name}@{key}"] = (str(ident.dtype), ident.shape, np.asarray(item.attrs[key]).tobytes())
        if isinstance(item, h5py.Dataset):
            value = item[()]
            found[name] = (
                str(item.dtype),
                item.shape,
                value if isinstance(value, bytes) else value.tobytes(),
            )

    file.visititems(visit)
    return found


def test_layout(tmp_path: Path, attributes: dict[str, int], data: list[bytes]) -> None:
    path = write(tmp_path / "x.hdf5", attributes, data, (3, 0))
    with h5py.File(path) as file:
        assert dict(file["versions/format_version"].attrs) == {"major_version": 3, "minor_version": 0}
        assert set(file["0/data"]) == {"packets", "headers", "gaps"}
        assert set(file["2/data"]) == set()
        assert file["0/data/packets"][()].tobytes() == b"".join(data)
        rows = file["0/data/headers"][()]
        assert rows["crc"].tolist() == [zlib.crc32(packet) for packet in data]
        assert rows["size"].tolist() == [len(packet) for packet in data]
        assert rows["sequence_counter"].tolist() == list(range(len(data)))
        assert rows["valid"].all()
        assert len(file["0/data/gaps"]) == 0
        assert {name: int(value) for name, value in file["2/data"].attrs.items()} == attributes


def test_same_calls_for_both(tmp_path: Path, attributes: dict[str, int], data: list[bytes]) -> None:
    seen = []
    for version in BOTH:
        path = write(tmp_path / "{}.{}".format(*version) / "x.hdf5", attributes, data, version)
        with get_file(path) as file:
            assert format_version(file) == version
            item = file["/0/data/3"]
            assert (item.dtype, item.shape, item.name) == (np.uint8, (len(data[3]),), "/0/data/3")
            assert bytes(get_data(file["0"]["data"]["3"])) == bytes(get_data(item)) == data[3]
            assert get_attribute_value(file["/0/data"], "v_end") == 4519
            assert list(file["0/data"]) == sorted(map(str, range(len(data))), key=int)[: len(data)]
            assert ("0/data/7" in file, "0/data/8" in file, "7" in file["0/data"]) == (True, False, True)
            assert bytes(file.get("0/data/3")[()]) == data[3]
            assert [bytes(item[()]) for item in file["0/data"].values()] == data
            assert file.get("0/data/8") is None
            with pytest.raises(KeyError):
                file["0/data/8"]
            seen.append(
                (
                    [packet.tobytes() for packet in packets(file, 0)],
                    [packet_count(file, frame) for frame in range(3)],
                    [(image.ccd, image.side, image.pixels.tobytes()) for image in read_images(file, 0)],
                    packet_gaps(file, 0).tolist(),
                    packet_headers(file, 0).tolist(),
                    packet_verdicts(file, 0).tolist(),
                    show_file(file),
                    show_groups(file),
                )
            )
    assert seen[0] == seen[1]


def test_lost_and_spoiled_packets(tmp_path: Path, attributes: dict[str, int], data: list[bytes]) -> None:
    spoiled = [*data[:3], data[5], b"\x50\xf0\x00", *data[6:]]
    for version in BOTH:
        with get_file(write(tmp_path / f"{version[0]}" / "x", attributes, spoiled, version)) as file:
            assert packet_gaps(file, 1).tolist() == [(3, 2)]
            verdicts = packet_verdicts(file, 1).tolist()
            assert [number for number, good in enumerate(verdicts) if not good] == [4]
    path = tmp_path / "3" / "x"
    with h5py.File(path, "r+") as file:
        assert file["0/data/gaps"][()].tolist() == [(3, 2)]
        file["1/data/packets"][12345] ^= 1
    with get_file(path) as file:
        assert packet_verdicts(file, 0).tolist().count(False) == 1
        assert packet_verdicts(file, 1).tolist()[:2] == [False, True]


def test_packets_that_come_after_the_next_frame(
    tmp_path: Path, attributes: dict[str, int], data: list[bytes]
) -> None:
    with CycleWriter(tmp_path / "x", version=PACKED_VERSION) as writer:
        first = writer.frame(0)
        first.attributes(attributes)
        first.packets(data[:-1])
        writer.frame(1)
        first.packets(data[-1:])
    with get_file(tmp_path / "x") as file:
        assert [packet.tobytes() for packet in packets(file, 0)] == data
        assert len(packet_gaps(file, 0)) == 0


def test_conversion_both_ways_bit_for_bit(
    tmp_path: Path, attributes: dict[str, int], data: list[bytes]
) -> None:
    for version, other in (BOTH, BOTH[::-1]):
        folder = tmp_path / "{}{}".format(*version)
        path = write(folder / "x.hdf5", attributes, data, version)
        there = convert_file(path, folder / "there.hdf5", other)
        back = convert_file(there, folder / "back.hdf5", version)
        straight = write(folder / "straight.hdf5", attributes, data, other)
        with h5py.File(path) as one, h5py.File(back) as two:
            assert contents(one) == contents(two)
            assert dict(one["versions/format_version"].attrs) == dict(two["versions/format_version"].attrs)
        with h5py.File(there) as one, h5py.File(straight) as two:
            assert contents(one) == contents(two)
        assert there.stat().st_mode & 0o777 == 0o640


def test_verdicts_survive_conversion(tmp_path: Path, attributes: dict[str, int], data: list[bytes]) -> None:
    path = tmp_path / "x.hdf5"
    with CycleWriter(path, version=PACKED_VERSION) as writer:
        frame = writer.frame(0)
        frame.attributes(attributes)
        frame.packets(data)
        frame.attributes({"suspect_packets": [2, 5]})
    with h5py.File(path, "r+") as file:
        file["0/data/packets"][len(data[0]) + 4000] ^= 1  # packet 1 is not any more what was received
        contents_before = contents(file)
    older = convert_file(path, tmp_path / "older", (2, 6))
    for one in (path, older, convert_file(older, tmp_path / "same", (2, 6))):
        with get_file(one) as file:
            assert suspect_packets(file, 0) == [2, 5]
            assert spoiled_packets(file, 0) == {1: packet_crc(data[1])}
            verdicts = packet_verdicts(file, 0).tolist()
            assert [number for number, good in enumerate(verdicts) if not good] == [1, 2, 5]
            assert "(2 suspect)" in show_file(file)
        report = check_hdf5_file(one)
        found = {finding.what for finding in report.findings if finding.where == "/0/data"}
        assert "2 packets did not fit into their readout on arrival: 2, 5" in found
        assert "1 packets are spoiled (header, length or CRC): 1" in found
    for copy in (
        convert_file(older, tmp_path / "back", (3, 0)),
        convert_file(path, tmp_path / "copy", (3, 0)),
    ):
        with h5py.File(copy) as file:
            assert contents(file) == contents_before


def test_conversion_of_older_and_richer_files(
    tmp_path: Path, attributes: dict[str, int], data: list[bytes]
) -> None:
    path = write(tmp_path / "x.hdf5", attributes, data, (2, 6))
    with h5py.File(path, "r+") as file:
        file["versions/format_version"].attrs["minor_version"] = 4
        file["0/hk"].attrs["note"] = np.float32(1.5)
        file.create_dataset("0/extra/more", data=np.arange(3))
    back = convert_file(convert_file(path, tmp_path / "y", (3, 0)), tmp_path / "z", (2, 6))
    with h5py.File(path) as one, h5py.File(back) as two:
        assert contents(one) == contents(two)
        assert dict(two["versions/format_version"].attrs) == {"major_version": 2, "minor_version": 4}
    with h5py.File(path, "r+") as file:
        file["0/data/3"].attrs["note"] = 1
    with pytest.raises(ConversionError, match="/0/data/3 has attributes"):
        convert_file(path, tmp_path / "w", (3, 0))
    assert not list(tmp_path.glob("w*"))
    with pytest.raises(FileExistsError):
        convert_file(path, back, (3, 0))


def test_command_line(tmp_path: Path, attributes: dict[str, int], data: list[bytes]) -> None:
    path = write(tmp_path / "x.hdf5", attributes, data, (2, 6))
    result = CliRunner().invoke(h5, ["convert", str(path), "--folder", str(tmp_path / "new")])
    assert (result.exit_code, result.output.strip()) == (0, str(tmp_path / "new" / "x.hdf5"))
    with get_file(tmp_path / "new" / "x.hdf5") as file:
        assert format_version(file) == (3, 0)
    result = CliRunner().invoke(h5, ["convert", str(path), "--to", "2.7", "--folder", str(tmp_path / "new")])
    assert result.exit_code == 1
    assert "2.6, 3.0" in result.output
    assert "frame 0" in CliRunner().invoke(h5, ["show", str(path)]).output


def test_spool_is_recovered_in_the_format_asked_for(
    tmp_path: Path, attributes: dict[str, int], data: list[bytes]
) -> None:
    spool = tmp_path / "spool" / "20231114_LAB_N-FEE_SPW_00001.spool"
    with SpoolWriter(spool) as writer:
        writer.append_map(Kind.CYCLE, {"obsid": "LAB_00001_00002"}, T0)
        writer.append_map(Kind.FRAME, {"frame": 0, "attributes": attributes}, T0)
        for packet in data:
            writer.append(Kind.DATA, packet, T0)
    with spool.open("ab") as torn:
        torn.write(b"PS\x05")
    ((path, _),) = recover_spools([spool], tmp_path, PACKED_VERSION)
    with get_file(path) as file:
        assert format_version(file) == PACKED_VERSION
        assert [packet.tobytes() for packet in packets(file, 0)] == data


def test_formats_and_crc() -> None:
    assert (parse_format("3.0"), parse_format(2.6)) == ((3, 0), (2, 6))
    with pytest.raises(ValueError, match=r"2\.6, 3\.0"):
        parse_format("2.5")
    assert packet_crc(b"123456789") == 0xCBF43926
    with pytest.raises(ValueError, match="no layout"):
        CycleWriter(Path("x"), version=(2, 5))
