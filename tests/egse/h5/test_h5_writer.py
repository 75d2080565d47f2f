"""The files in the ICD's layout, looked at with plain h5py."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from egse.h5 import CycleWriter, get_attribute_value, get_file, packets, show_file, show_groups
from egse.h5.names import daily_path, file_name, highest_number, parse_file_name
from egse.mode import set_mode

T0 = 1_700_000_000.25


def write_cycle(path: Path, attributes: dict[str, int], data: list[bytes]) -> Path:
    with CycleWriter(path) as writer:
        writer.obsid = "CSL1_00084_01151"
        writer.num_cycles = 3
        writer.register = bytes(range(256)) * 8
        for number in range(4):
            frame = writer.frame(number)
            frame.attributes(attributes)
            frame.timecode(10 + number, T0 + 6.25 * number)
            frame.hk(bytes(154))
            frame.packets(data)
            frame.hk_data(bytes(range(144)))
        frame.command("n_fee_set_dump_mode", b"\x51\x01\x7c\xd1", T0 + 23)
    return path


def test_layout_of_the_icd(tmp_path: Path, attributes: dict[str, int]) -> None:
    data = [bytes([n % 256]) * (20 + n) for n in range(12)]
    path = write_cycle(tmp_path / "x.hdf5", attributes, data)
    with h5py.File(path, "r") as file:
        assert set(file) == {"0", "1", "2", "3", "dpu", "fee", "obsid", "register", "versions"}
        assert set(file["2"]) == {"timecode", "hk", "hk_data", "data"}
        assert file["2/timecode"].dtype == np.int64
        assert file["2/timecode"].shape == ()
        assert file["2/timecode"][()] == 12
        assert file["2/timecode"].attrs["timestamp"] == "2023-11-14T22:13:32.750+0000"
        assert (file["2/hk"].dtype, file["2/hk"].shape) == (np.uint8, (154,))
        assert bytes(file["2/hk_data"][()]) == bytes(range(144))
        assert not file["2/hk"].attrs
        assert {name: int(value) for name, value in file["2/data"].attrs.items()} == attributes
        assert set(file["2/data"]) == {str(n) for n in range(12)}
        assert all(bytes(file[f"2/data/{n}"][()]) == data[n] for n in range(12))
        assert (file["register"].dtype, file["register"].shape) == (np.uint8, (2048,))
        assert file["obsid"][()] == b"CSL1_00084_01151"
        assert dict(file["dpu"].attrs) == {"num_cycles": 3, "slicing_num_cycles": 0}
        assert file["fee"].attrs["type"] == "N-FEE"
        assert dict(file["versions/format_version"].attrs) == {"major_version": 2, "minor_version": 6}
        assert "commands" not in file["0"]
        assert bytes(file["3/commands/0"][()]) == b"\x51\x01\x7c\xd1"
        assert file["3/commands/0"].attrs["name"] == "n_fee_set_dump_mode"


@pytest.mark.parametrize("mode", ["operations", "simulator"])
def test_the_mode_stands_in_the_file(tmp_path: Path, attributes: dict[str, int], mode: str) -> None:
    set_mode(mode)
    try:
        path = write_cycle(tmp_path / "x.hdf5", attributes, [])
    finally:
        set_mode("")
    with h5py.File(path, "r") as file:
        assert file.attrs["mode"] == mode


@pytest.mark.parametrize("umask", [0, 0o077])
def test_unfinished_and_finished_file_are_for_owner_and_group(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "daily" / "20231114" / "x.hdf5"
    part = path.with_name("x.hdf5.part")
    path.parent.mkdir(parents=True)
    part.write_bytes(b"left by somebody who died")
    part.chmod(0o666)
    before = os.umask(umask)
    try:
        with CycleWriter(path):
            assert part.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_obsid_is_empty_bytes_without_observation(tmp_path: Path) -> None:
    with CycleWriter(tmp_path / "x.hdf5"):
        pass
    with h5py.File(tmp_path / "x.hdf5", "r") as file:
        assert file["obsid"][()] == b""
        assert not file["register"][()].any()


def test_file_appears_under_its_name_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "daily" / "20240101" / "x.hdf5"
    writer = CycleWriter(path)
    writer.frame(0).packets([b"abc"])
    assert not path.exists()
    assert writer.part.name == "x.hdf5.part"
    assert writer.part.exists()
    assert writer.close() == path
    assert path.exists()
    assert not writer.part.exists()
    with pytest.raises(ValueError, match="closed"):
        writer.frame(1)


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), CycleWriter(tmp_path / "x.hdf5"):
        raise RuntimeError("no")
    assert list(tmp_path.iterdir()) == []


def test_reading_back(tmp_path: Path, attributes: dict[str, int]) -> None:
    data = [bytes([n % 256]) * 300 for n in range(30)]
    path = write_cycle(tmp_path / "x.hdf5", attributes, data)
    with get_file(path) as file:
        assert [bytes(packet) for packet in packets(file, 1)] == data
        assert get_attribute_value(file["dpu"], "num_cycles") == 3
        with pytest.raises(KeyError, match="slicing_num_cycles"):
            get_attribute_value(file["dpu"], "nonsense")
        assert "27 more packets" in show_groups(file)
        assert "obsid      CSL1_00084_01151" in show_file(file)
        assert "frame 3: 2023-11-14T22:13:39.000+0000, 30 packets" in show_file(file)


def test_names(tmp_path: Path) -> None:
    name = file_name(T0, "CSL2", 17)
    assert name == "20231114_CSL2_N-FEE_SPW_00017.hdf5"
    assert parse_file_name(name) == ("20231114", "CSL2", 17)
    assert parse_file_name("20231114_CSL2_PUNA.csv") is None
    path = daily_path(tmp_path, name)
    assert path == tmp_path / "daily" / "20231114" / name
    assert highest_number(path.parent) == 0
    path.parent.mkdir(parents=True)
    path.with_name(name + ".part").touch()
    assert highest_number(path.parent) == 17
