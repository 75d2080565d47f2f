"""FITS, SQLite and HDF5: what is stored is read back, by us and by the ordinary readers of each format."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits

from egse.mode import set_mode
from egse.storage import CSV, FITS, HDF5, TXT, SQLite, StorageError, persistence_class
from egse.storage.persistence import format_name


def test_classes_by_name_and_by_class() -> None:
    for kind in (CSV, HDF5, FITS, TXT, SQLite):
        assert persistence_class(kind.__name__) is kind
        assert format_name(kind) == kind.__name__
    assert persistence_class("sqlite") is SQLite
    for wrong in (int, "csv2", None):
        with pytest.raises(StorageError, match="unknown persistence class"):
            format_name(wrong)


# -- SQLite ----------------------------------------------------------------------------------------------------------


def table(path: Path, name: str = "data") -> list[tuple[Any, ...]]:
    base = sqlite3.connect(path)
    try:
        return base.execute(f"SELECT * FROM {name}").fetchall()
    finally:
        base.close()


def test_sqlite_rows_in_their_own_types(tmp_path: Path) -> None:
    file = SQLite(tmp_path / "a.sqlite")
    assert file.read() == []
    rows = [
        {"timestamp": "t1", "int": np.int16(-3), "float": 0.1 + 0.2, "yes": True, "raw": b"\x00\x01"},
        {"timestamp": "t2", "new": [1, 2], "float": None, "when": datetime(2026, 1, 1, tzinfo=UTC)},
    ]
    assert file.append(rows) == 2
    assert table(file.path) == [
        ("t1", -3, 0.1 + 0.2, 1, b"\x00\x01", None, None),
        ("t2", None, None, None, None, "[1,2]", "2026-01-01T00:00:00.000+0000"),
    ], "a reader finds them while the file is in use"
    assert file.read({"columns": ["int"], "start": "t1", "end": "t2"}) == [{"int": -3}]
    assert file.read({"last": 1, "columns": ["timestamp", "new"]}) == [{"timestamp": "t2", "new": "[1,2]"}]
    with pytest.raises(StorageError, match="no column wrong"):
        file.read({"columns": ["wrong"]})
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.sqlite"]
    assert file.path.stat().st_mode & 0o777 == 0o640
    assert file.path.read_bytes()[18:20] == b"\x01\x01", (
        "a finished file needs no log, so that it can be read only"
    )


def test_sqlite_names_are_data(tmp_path: Path) -> None:
    file = SQLite(tmp_path / "a.sqlite", {"table": 'x"; DROP TABLE y; --', "column_names": ['a "b"', "A B"]})
    file.append([{'a "b"': 1, "A B": 2}, {"a b": 3}])
    assert file.read() == [{'a "b"': 1, "A B": 2}, {'a "b"': None, "A B": 3}]
    file.close()
    with pytest.raises(StorageError, match="64 bits"):
        file.append([{"a": 2**63}])
    with pytest.raises(StorageError, match="mapping"):
        file.append(["text"])
    file.close()


def test_sqlite_all_rows_or_none(tmp_path: Path) -> None:
    file = SQLite(tmp_path / "a.sqlite")
    file.append([{"a": 1}])
    with pytest.raises(StorageError, match="go into a database"):
        file.append([{"a": 2}, {"a": object()}])
    assert file.position() == 1
    file.append([{"a": 3, "b": 4}])
    file.rollback(1)
    assert file.read({"columns": ["a"]}) == [{"a": 1}]
    file.append([{"a": 5}])
    file.close()
    assert [row[0] for row in table(file.path)] == [1, 5]


def test_a_damaged_database_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database at all" * 100)
    file = SQLite(tmp_path / "a.sqlite")
    file.append([{"a": 1}])
    file.close()
    assert table(file.path) == [(1,)]
    assert (tmp_path / "a.sqlite.damaged").read_bytes().startswith(b"no database")


# -- FITS ------------------------------------------------------------------------------------------------------------


def test_fits_images_one_by_one(tmp_path: Path) -> None:
    file = FITS(tmp_path / "a.fits", {"header": {"TELESCOP": "PLATO", "CCD_READOUT_ORDER": "[1, 2]"}})
    image = np.arange(6, dtype=np.uint16).reshape(2, 3) + 65_500
    file.append([{"name": "IMAGE_1_E", "data": image, "header": {"CCD_ID": 1, "EXPOSURE": 25.0}}])
    file.append([np.full((4, 1), -1.5, np.float32), {"name": "IMAGE_1_E", "data": image.astype(">i4")}])
    assert file.read({"last": 1, "names": ["IMAGE_1_E"]})[0]["data"].tolist() == image.tolist()
    file.close()
    with fits.open(tmp_path / "a.fits", checksum=True) as units:
        units.verify("exception")
        assert units[0].header["TELESCOP"] == "PLATO"
        assert units[0].header["CCD_READOUT_ORDER"] == "[1, 2]"
        assert (units[1].name, units[1].header["CCD_ID"], units[1].data.tolist()) == (
            "IMAGE_1_E",
            1,
            image.tolist(),
        )
        assert units[2].data.dtype.name == "float32"
        assert len(units) == 4
    assert file.read()[0]["header"]["EXPOSURE"] == 25.0


@pytest.mark.parametrize("row", ["text", {"data": None}, np.array(3), np.array(["a"]), np.zeros((1,) * 6)])
def test_fits_refuses_what_is_no_image(tmp_path: Path, row: Any) -> None:
    file = FITS(tmp_path / "a.fits")
    with pytest.raises(StorageError, match="array of numbers"):
        file.append([row])
    with pytest.raises(StorageError, match=r"a\.fits"):
        file.append([{"data": np.zeros(3), "header": {"WRONG": object()}}])
    file.close()


def test_a_torn_image_is_removed_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    whole = FITS(path)
    whole.append([np.ones((100, 100)), np.ones((100, 100))])
    whole.close()
    size = path.stat().st_size
    for cut in (1, 2880, 81_000, size - 2879):
        data = path.read_bytes()
        path.write_bytes(data[: size - cut])
        file = FITS(path)
        file.append([np.zeros(5)] if cut > size - 2880 else [np.ones((100, 100))])
        file.close()
        with fits.open(path) as units:
            units.verify("exception")
            assert 1 < len(units) <= 3
        path.write_bytes(data)


def test_what_is_no_fits_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"nonsense" * 1000)
    file = FITS(tmp_path / "a.fits")
    file.append([np.zeros(3)])
    file.close()
    with fits.open(file.path) as units:
        assert len(units) == 2
    assert (tmp_path / "a.fits.damaged").exists()


# -- HDF5 and text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["operations", "simulator"])
def test_the_mode_stands_in_the_headers(tmp_path: Path, mode: str) -> None:
    set_mode(mode)
    try:
        for file in (FITS(tmp_path / "a.fits"), HDF5(tmp_path / "a.hdf5")):
            file.append([{"name": "IMAGE", "data": np.zeros((2, 2))}])
            file.close()
    finally:
        set_mode("")
    assert fits.getheader(tmp_path / "a.fits")["RUNMODE"] == mode
    with h5py.File(tmp_path / "a.hdf5") as reader:
        assert reader.attrs["mode"] == mode


def test_hdf5_is_readable_while_it_is_in_use(tmp_path: Path) -> None:
    file = HDF5(tmp_path / "a.hdf5", {"attributes": {"site": "CSL1"}})
    for number in range(50):
        file.append([{"n": number, "frame": np.full((3, 4), number, np.uint8), "text": f"row {number}"}])
        if number % 10 == 0:
            with h5py.File(file.path, "r") as reader:
                assert reader["n"][:].tolist() == list(range(number + 1))
                assert reader.attrs["site"] == "CSL1"
    assert file.read({"names": ["n"], "last": 2})["n"].tolist() == [48, 49]
    assert file.position() == 50
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.hdf5"]


def test_hdf5_a_row_that_fails_half_way_leaves_no_trace(tmp_path: Path) -> None:
    file = HDF5(tmp_path / "a.hdf5")
    file.append([{"a": 1, "b": 1}])
    with pytest.raises((StorageError, TypeError, ValueError)):
        file.append([{"a": 2, "b/c": 2}])  # `b` is a dataset, no group
    assert file.read()["a"].tolist() == [1]
    with pytest.raises(StorageError, match="agree in shape"):
        file.append([{"new": np.zeros(2)}, {"new": np.zeros(3)}])
    file.append([{"a": 3}])
    assert file.read()["a"].tolist() == [1, 3]
    file.close()


def test_text_without_newlines_is_not_repaired_away(tmp_path: Path) -> None:
    file = TXT(tmp_path / "a.txt", {"ending": ";"})
    file.append(["one", "two;"])
    file.close()
    file.append(["three"])
    file.close()
    assert file.path.read_text() == "one;two;three;"


def test_a_file_that_somebody_removes_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "20260101"
    folder.mkdir()
    file = CSV(folder / "a.csv")
    file.append([{"timestamp": "t1", "a": 1}])
    os.unlink(file.path)
    folder.rmdir()
    file.append([{"timestamp": "t2", "a": 2}])
    file.close()
    assert file.path.read_text() == "timestamp,a\nt2,2\n"


def test_plain_and_special_cells_are_written_alike(tmp_path: Path) -> None:
    plain = {"timestamp": "t", "a": 0.1, "b": True, "c": None, "d": 'x,"y"', "e": -3}
    file = CSV(tmp_path / "a.csv", {"column_names": list(plain)})
    file.append([plain])
    file.append([{**plain, "a": np.float64(0.1)}])
    file.append([{**plain, "d": "two\nlines"}])
    file.append([plain, dict(reversed(plain.items()))])
    file.close()
    lines = file.path.read_text().splitlines()
    assert lines[1] == lines[2] == lines[4] == lines[5] == 't,0.1,True,,"x,""y""",-3'
    assert lines[3] == "t,0.1,True,,two\\nlines,-3"
