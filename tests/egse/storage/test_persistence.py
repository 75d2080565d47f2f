"""What is acknowledged is in the file, and every file stays readable."""

from __future__ import annotations

import csv
import io
import itertools
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from egse.storage import CSV, HDF5, TXT, StorageError, persistence_class
from egse.storage.persistence.csvfile import MAX_WIDENINGS


def table(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text())))


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Makes every write beyond `size` bytes fail, as a full disk does, after a short write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)


def fill(file: CSV) -> None:
    for number in itertools.count():
        file.append([{"timestamp": f"t{number}", "value": "x" * 170}])


def test_header_once_and_columns_of_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for row in ({"timestamp": "t1", "a": 1, "b": 2.5}, {"timestamp": "t2", "b": 0.1, "a": None}):
        file = CSV(path)
        file.append([row])
        file.close()
    assert table(path) == [["timestamp", "a", "b"], ["t1", "1", "2.5"], ["t2", "", "0.1"]]


def test_prepared_columns_fix_the_header_before_the_first_row(tmp_path: Path) -> None:
    file = CSV(tmp_path / "a.csv", {"column_names": ["b", "a"]})
    file.open()
    assert table(file.path) == [["timestamp", "b", "a"]]
    file.append([{"a": 1, "timestamp": "t"}])
    file.close()
    assert table(file.path)[1] == ["t", "", "1"]


def test_a_new_column_widens_the_file_and_loses_nothing(tmp_path: Path) -> None:
    file = CSV(tmp_path / "a.csv")
    file.append([{"timestamp": "t1", "a": "x, y"}])
    file.append([{"timestamp": "t2", "a": "z", "new": 3}])
    file.append([{"timestamp": "t3"}])
    file.close()
    assert table(file.path) == [
        ["timestamp", "a", "new"],
        ["t1", "x, y", ""],
        ["t2", "z", "3"],
        ["t3", "", ""],
    ]
    assert list(tmp_path.iterdir()) == [file.path]
    frame = pd.read_csv(file.path)
    assert list(frame.columns) == ["timestamp", "a", "new"]


def test_a_producer_that_invents_columns_for_ever_is_refused(tmp_path: Path) -> None:
    file = CSV(tmp_path / "a.csv")
    for number in range(MAX_WIDENINGS + 1):
        file.append([{"timestamp": "t", f"c{number}": number}])
    with pytest.raises(StorageError, match="refused"):
        file.append([{"timestamp": "t", "one_more": 1}])
    file.close()
    assert len(table(file.path)) == MAX_WIDENINGS + 2


def test_values_as_text(tmp_path: Path) -> None:
    file = CSV(tmp_path / "a.csv")
    file.append(
        [
            {
                "timestamp": datetime(2023, 6, 20, 9, 58, 19, 42_900, UTC),
                "yes": True,
                "float": 0.1 + 0.2,
                "numpy": np.float64(1.5),
                "int": np.int16(-3),
                "nan": float("nan"),
                "text": 'a "quote", and\nlines\r\nmore',
                "list": [1, 2],
            }
        ]
    )
    file.close()
    rows = table(file.path)
    assert rows[1] == [
        "2023-06-20T09:58:19.042+0000",
        "True",
        "0.30000000000000004",
        "1.5",
        "-3",
        "nan",
        'a "quote", and\\nlines\\nmore',
        "[1, 2]",
    ]
    assert len(file.path.read_text().splitlines()) == 2
    parsed = pd.to_datetime(pd.read_csv(file.path)["timestamp"], format="%Y-%m-%dT%H:%M:%S.%f%z")
    assert parsed[0].year == 2023


def test_a_torn_tail_is_removed_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("timestamp,a\nt1,1\nt2,")
    file = CSV(path)
    file.append([{"timestamp": "t3", "a": 3}])
    file.close()
    assert table(path) == [["timestamp", "a"], ["t1", "1"], ["t3", "3"]]
    path.write_text("timesta")
    file.append([{"timestamp": "t1", "b": 1}])
    file.close()
    assert table(path) == [["timestamp", "b"], ["t1", "1"]]


def test_a_full_disk_leaves_only_whole_rows_and_recovers(tmp_path: Path) -> None:
    file = CSV(tmp_path / "a.csv")
    with file_size_limit(10_000), pytest.raises(OSError, match="File too large"):
        fill(file)
    text = file.path.read_text()
    assert text.endswith("\n")
    assert 9_700 < len(text) <= 10_000
    assert [row[0] for row in table(file.path)[1:]] == [
        f"t{number}" for number in range(len(table(file.path)) - 1)
    ]
    file.append([{"timestamp": "after", "value": "y"}])
    file.close()
    assert table(file.path)[-1] == ["after", "y"]
    assert all(len(row) == 2 for row in table(file.path))


def test_rows_that_are_no_mappings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="mapping"):
        CSV(tmp_path / "a.csv").append(["text"])


def test_reading_with_select(tmp_path: Path) -> None:
    file = CSV(tmp_path / "a.csv")
    assert file.read() == []
    file.append([{"timestamp": f"2026-01-01T00:00:0{n}.000+0000", "a": n, "b": -n} for n in range(6)])
    assert file.read({"last": 1, "columns": ["b"]}) == [{"b": "-5"}]
    chosen = file.read({"start": "2026-01-01T00:00:02", "end": "2026-01-01T00:00:04"})
    assert [row["a"] for row in chosen] == ["2", "3"]
    file.close()


def test_text_lines(tmp_path: Path) -> None:
    file = TXT(tmp_path / "a.txt")
    assert file.read() == []
    file.append(["one", "two\n"])
    file.close()
    with file.path.open("a") as torn:
        torn.write("thr")
    file.append(["three"])
    file.close()
    assert file.read() == ["one", "two", "three"]
    assert file.read({"last": 1}) == ["three"]
    assert os.stat(file.path).st_mode & 0o777 == 0o640


def test_hdf5_values_grow_along_the_first_axis(tmp_path: Path) -> None:
    file = HDF5(tmp_path / "a.hdf5", {"attributes": {"site": "CSL1"}})
    file.open()
    file.append([{"hk/T": 1.5, "frame": np.arange(6, dtype=np.uint16).reshape(2, 3), "name": "a"}])
    file.append([{"hk/T": 2, "frame": np.zeros((2, 3), np.uint16), "name": "bb"}, {"hk/T": 3}])
    content = file.read()
    assert content["hk/T"].tolist() == [1.5, 2.0, 3.0]
    assert content["frame"].shape == (2, 2, 3)
    assert content["frame"].dtype == np.uint16
    assert content["name"] == ["a", "bb"]
    assert set(file.read({"names": ["name"]})) == {"name"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"a": np.zeros(4)}, "shape"),
        ({"a": "text"}, "shape|text"),
        ({"b": 1.5}, "loss"),
        ({"c": object()}, "go into"),
    ],
)
def test_hdf5_refuses_what_does_not_fit_before_it_writes(
    tmp_path: Path, row: dict[str, object], reason: str
) -> None:
    file = HDF5(tmp_path / "a.hdf5")
    file.append([{"a": np.zeros(3), "b": 1}])
    with pytest.raises(StorageError, match=reason):
        file.append([{"b": 2}, row])
    assert file.read()["b"].tolist() == [1]


def test_a_damaged_hdf5_file_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    path.write_bytes(b"no hdf5")
    file = HDF5(path)
    file.open()
    file.append([{"a": 1}])
    assert (tmp_path / "a.hdf5.damaged").read_bytes() == b"no hdf5"
    assert file.read()["a"].tolist() == [1]


def test_unknown_class_names_the_known_ones() -> None:
    assert persistence_class("CSV") is CSV
    with pytest.raises(StorageError, match="CSV"):
        persistence_class("csv2")
