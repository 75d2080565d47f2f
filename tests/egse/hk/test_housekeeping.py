"""Housekeeping by the name of a parameter: the same as pandas would read, from whatever the files look like."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from egse.hk import cache as module
from egse.hk import get_housekeeping, get_housekeeping_frame
from egse.hk.cache import ColumnCache, user_cache
from egse.setup import Setup
from egse.storage.naming import utc_text
from egse.storage.persistence import CSV
from egse.system import format_datetime, unix_time

DAY = "20260101"
T0 = unix_time("2026-01-01T00:00:00")


def daily(site: Path, mnemonic: str = "PUNA", day: str = DAY) -> Path:
    folder = site / "daily" / day
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{day}_CSL1_{mnemonic}.csv"


def write(path: Path, rows: list[dict[str, Any]], start: float = T0, step: float = 1.0) -> Path:
    """Writes rows as the storage manager does."""
    file = CSV(path)
    file.append([{"timestamp": utc_text(start + step * i), **row} for i, row in enumerate(rows)])
    file.close()
    return path


def with_pandas(path: Path, name: str) -> tuple[Any, Any]:
    table = pd.read_csv(path, usecols=["timestamp", name])
    moments = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601")
    times = moments.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64) / 1e6
    return times, table[name].to_numpy()


def same(values: Any, expected: Any) -> bool:
    if len(values) != len(expected):
        return False
    return all((a == b) or (a != a and b != b) for a, b in zip(values.tolist(), expected.tolist()))


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns a list to which the name of every housekeeping file that is opened is added."""
    names: list[str] = []
    original = Path.open

    def counting(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.suffix == ".csv":
            names.append(self.name)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", counting)
    return names


COLUMNS: dict[str, list[Any]] = {
    "INTEGERS": [1, -2, 3, 0, 12345678901234],
    "FLOATS": [1.5, -2.25e-11, 3.0, 1e300, 0.1],
    "MIXED_NUMBERS": [1, 2.5, 3, 4, 5],
    "WITH_NAN": [1.5, float("nan"), 2.5, float("inf"), 3.5],
    "WITH_GAPS": [1, None, 3, None, 5],
    "BOOLEANS": [True, False, True, True, False],
    "BOOLEANS_WITH_GAPS": [True, None, False, None, True],
    "TEXTS": ["RUNNING", "IDLE", "RUNNING", "ärger", "x" * 300],
    "TEXTS_WITH_GAPS": ["A", None, "B", None, "A"],
    "QUOTED": ["a,b", 'say "no"', "[1, 2]", "plain", "two\nlines"],
    "EMPTY": [None] * 5,
    "NUMBERS_AND_TEXTS": [1, "two", 3, "four", 5.5],
    "BOOLEANS_AND_TEXTS": [True, "maybe", False, "no", True],
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("block", [1 << 25, 64])
def test_values_are_those_that_pandas_reads(
    tmp_path: Path, name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    kinds = ("QUOTED", "NUMBERS_AND_TEXTS", "BOOLEANS_AND_TEXTS")
    columns = (
        COLUMNS if name == "QUOTED" else {key: value for key, value in COLUMNS.items() if key != "QUOTED"}
    )
    rows = [{key: values[i] for key, values in columns.items()} for i in range(5)]
    path = write(daily(tmp_path), rows)
    for _ in ("read", "kept"):
        times, values = get_housekeeping(name, od=DAY, data_dir=tmp_path)
        assert times.tolist() == [T0 + i for i in range(5)]
        expected_times, expected = with_pandas(path, name)
        assert times.tolist() == expected_times.tolist()
        assert same(values, expected.astype(str) if name in kinds else expected), (values, expected)
        if name in ("INTEGERS", "FLOATS", "BOOLEANS", "WITH_GAPS"):
            assert values.dtype == expected.dtype


def test_a_growing_file_is_read_on_from_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(daily(tmp_path), [{"X": i, "Y": -i} for i in range(10)])
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == list(range(10))
    read: list[tuple[int, int]] = []
    original = os.pread
    monkeypatch.setattr(module.os, "pread", lambda *a: read.append(a[1:]) or original(*a))
    names = opened(monkeypatch)
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == list(range(10))
    assert names == []  # unchanged: not even opened
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"2026-01-01T00:00:10.000+0000,10,-10\n2026-01-01T00:00:11.000+0000,1")
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == list(range(11))
    assert min(place for length, place in read if length > module.TAIL) == size
    with path.open("ab") as file:
        file.write(b"1,-11\n")
    times, values = get_housekeeping("X", od=DAY, data_dir=tmp_path)
    assert values.tolist() == list(range(12))
    assert times[-1] == T0 + 11
    # Another parameter joins the times that are kept already.
    assert get_housekeeping("Y", od=DAY, data_dir=tmp_path)[1].tolist() == [-i for i in range(12)]


def test_a_torn_last_line_is_none(tmp_path: Path) -> None:
    path = write(daily(tmp_path), [{"X": i, "Y": "text"} for i in range(10)])
    data = path.read_bytes()
    for cut in range(1, len(b"2026-01-01T00:00:09.000+0000,9,text\n")):
        path.write_bytes(data[:-cut])
        assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == list(range(9)), cut
    path.write_bytes(data)
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == list(range(10))


def test_a_widened_file(tmp_path: Path) -> None:
    path = write(daily(tmp_path), [{"X": 1}, {"X": 2}])
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == [1, 2]
    with pytest.raises(LookupError, match="NEW"):
        get_housekeeping("NEW", od=DAY, data_dir=tmp_path)
    write(path, [{"X": 3, "NEW": True}], start=T0 + 2)
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == [1, 2, 3]
    values = get_housekeeping("NEW", od=DAY, data_dir=tmp_path)[1]
    assert same(values, np.array([np.nan, np.nan, True], dtype=object))


def alter_at_the_end(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b",3\n", b",7\n") + b"2026-01-01T00:00:04.000+0000,4\n")


def cut_off(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))


def replace_by_another(path: Path) -> None:
    path.unlink()
    write(path, [{"Z": 0, "X": 8}, {"Z": 0, "X": 9}])


@pytest.mark.parametrize(
    ("change", "expected"),
    [(alter_at_the_end, [0, 1, 2, 7, 4]), (cut_off, [0, 1]), (replace_by_another, [8, 9])],
)
def test_a_file_that_is_another_one_now(
    tmp_path: Path, change: Callable[[Path], None], expected: list[int]
) -> None:
    path = write(daily(tmp_path), [{"X": i} for i in range(4)])
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == [0, 1, 2, 3]
    change(path)
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == expected


def test_a_column_may_change_its_kind(tmp_path: Path) -> None:
    path = write(daily(tmp_path), [{"X": 1}, {"X": 2}])
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].dtype == np.int64
    write(path, [{"X": 2.5}], start=T0 + 2)
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == [1.0, 2.0, 2.5]
    write(path, [{"X": "OFF"}], start=T0 + 3)
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == ["1", "2", "2.5", "OFF"]


@pytest.mark.parametrize(
    "content",
    [
        b"timestamp,X\r\n2026-01-01T00:00:00.000+0000,1\r\n2026-01-01T00:00:01.000+0000,2\r\n",
        b"\xef\xbb\xbftimestamp,X\n2026-01-01T00:00:00Z,1\n\n2026-01-01T00:00:01.000000+00:00,2\n",
        b"X,timestamp\n1,2026-01-01 00:00:00\n2,2026-01-01T02:00:01.0+0200\n",
        b"timestamp,X,Y\n2026-01-01T00:00:00.000+0000,1\n2026-01-01T00:00:01.000+0000,2,3,4\n",
        b'timestamp,X,Y\n2026-01-01T00:00:00.000+0000,1,"a,b"\n"2026-01-01T00:00:01.000+0000","2",c\n',
        b"timestamp,X\n2026-01-01T00:00:00.000+0000,1\nyesterday,5\n2026-13-01T00:00:00.000+0000,5\n"
        b"2026-01-01T00:00:01.000+0000,2\n",
    ],
    ids=["crlf", "bom-and-blank-lines", "other-order-and-zone", "ragged", "quoted", "bad-timestamps"],
)
def test_files_of_other_programs(tmp_path: Path, content: bytes) -> None:
    daily(tmp_path).write_bytes(content)
    times, values = get_housekeeping("X", od=DAY, data_dir=tmp_path)
    assert (times.tolist(), values.tolist()) == ([T0, T0 + 1], [1, 2])


@pytest.mark.parametrize("content", [b"", b"timestamp,X", b"A,X\n1,2\n", b"timestamp,Y\n"])
def test_files_without_the_parameter_or_without_times(tmp_path: Path, content: bytes) -> None:
    daily(tmp_path).write_bytes(content)
    with pytest.raises(LookupError, match=f"no housekeeping file of {DAY}.*'X'"):
        get_housekeeping("X", od=DAY, data_dir=tmp_path)
    daily(tmp_path).write_bytes(b"timestamp,X\n")
    times, values = get_housekeeping("X", od=DAY, data_dir=tmp_path)
    assert (len(times), len(values)) == (0, 0)


# -- which files ---------------------------------------------------------------------------------------------------------


def test_times_over_days_are_in_order_and_once(tmp_path: Path) -> None:
    for number in range(3):
        write(
            daily(tmp_path, day=f"2026010{number + 1}"),
            [{"X": 10 * number + i} for i in range(4)],
            T0 + 86_400 * number,
        )
    window = ("2026-01-01T00:00:02", datetime(2026, 1, 3, 0, 0, 2, tzinfo=UTC))
    times, values = get_housekeeping("X", time_window=window, data_dir=tmp_path)
    assert values.tolist() == [2, 3, 10, 11, 12, 13, 20, 21]
    assert np.all(np.diff(times) > 0)
    assert get_housekeeping("X", time_window=(T0 + 1, T0 + 3), data_dir=tmp_path)[1].tolist() == [1, 2]
    with pytest.raises(ValueError, match="ends before it starts"):
        get_housekeeping("X", time_window=(T0 + 1, T0), data_dir=tmp_path)
    with pytest.raises(ValueError, match="no UTC day"):
        get_housekeeping("X", od="2026-01-01T10:00", data_dir=tmp_path)


def test_the_last_seconds_and_today(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for day in (now - timedelta(days=1), now):
        file = daily(tmp_path, day=f"{day:%Y%m%d}")
        rows = [{"X": i} for i in range(3)]
        start = now.timestamp() - 2.5 if day is now else day.timestamp() - 600
        write(file, rows, start=start)
    assert get_housekeeping("X", time_window=1.0, data_dir=tmp_path)[1].tolist() == [2]
    assert len(get_housekeeping("X", time_window=90_000.0, data_dir=tmp_path)[0]) == 6
    assert format_datetime("today") in str(daily(tmp_path, day=f"{now:%Y%m%d}"))


def test_clock_steps_and_doubled_rows(tmp_path: Path) -> None:
    rows = "".join(
        f"2026-01-01T00:00:{s:02d}.000+0000,{x}\n"
        for s, x in [(5, 1), (6, 2), (3, 9), (6, 2), (6, 4), (6, 2)]
    )
    daily(tmp_path).write_text("timestamp,X\n" + rows)
    times, values = get_housekeeping("X", od=DAY, data_dir=tmp_path)
    assert [(t - T0, x) for t, x in zip(times.tolist(), values.tolist())] == [(3, 9), (5, 1), (6, 2), (6, 4)]


def observation_file(site: Path, number: int, mnemonic: str = "PUNA", stamp: str = "20260101_000000") -> Path:
    folder = site / "obs" / f"{number:05d}_CSL1_chimay"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{folder.name}_{mnemonic}_{stamp}.csv"


def test_daily_files_that_are_gone_are_filled_from_observations(tmp_path: Path) -> None:
    write(observation_file(tmp_path, 1), [{"X": i} for i in range(4)])
    write(observation_file(tmp_path, 2, stamp="20260101_000002"), [{"X": i} for i in range(2, 6)], T0 + 2)
    write(observation_file(tmp_path, 3, stamp="20260102_000000"), [{"X": 100}], T0 + 86_400)
    write(daily(tmp_path, day="20260102"), [{"X": 100}, {"X": 101}], T0 + 86_400)
    assert get_housekeeping("X", od=DAY, data_dir=tmp_path)[1].tolist() == [0, 1, 2, 3, 4, 5]
    both = get_housekeeping("X", time_window=("2026-01-01", "2026-01-03"), data_dir=tmp_path)
    assert both[1].tolist() == [0, 1, 2, 3, 4, 5, 100, 101]
    assert get_housekeeping("X", obsid=2, data_dir=tmp_path)[1].tolist() == [2, 3, 4, 5]


def test_the_dictionary_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(daily(tmp_path, "OGSE"), [{"GOGSE_ATT_LVL": 0.5}])
    for number in range(5):
        write(daily(tmp_path, f"OTHER{number}"), [{"X": 1}])
    names = opened(monkeypatch)
    assert get_housekeeping("GOGSE_ATT_LVL", od=DAY, data_dir=tmp_path)[1].tolist() == [0.5]
    assert set(names) == {f"{DAY}_CSL1_OGSE.csv"}
    # Where the dictionary is wrong, or knows nothing, the files themselves tell.
    write(daily(tmp_path, "OTHER9"), [{"GOGSE_ATT_FWELL": 0.25, "UNKNOWN": 7}])
    assert get_housekeeping("GOGSE_ATT_FWELL", od=DAY, data_dir=tmp_path)[1].tolist() == [0.25]
    assert get_housekeeping("UNKNOWN", od=DAY, data_dir=tmp_path)[1].tolist() == [7]


def own_setup(tmp_path: Path, *lines: str) -> Setup:
    header = "Storage mnemonic;CAM EGSE mnemonic;Name of corresponding timestamp;slope a cal1;offset b cal1;unit cal1"
    (tmp_path / "tm.csv").write_text("\n".join([header, *lines]) + "\n")
    return Setup.from_yaml_string(
        f'Setup:\n  telemetry:\n    dictionary: pandas//{tmp_path}/tm.csv\n    separator: ";"\n'
    )


def test_timestamp_and_calibration_of_the_dictionary(tmp_path: Path) -> None:
    daily(tmp_path, "DAQ").write_text(
        "timestamp,measured,GCSL1_RAW\n2026-01-01T00:00:09.000+0000,2026-01-01T00:00:01.000+0000,4\n"
    )
    setup = own_setup(tmp_path, "DAQ;GCSL1_RAW;measured;2.5;-1;Volts")
    times, values = get_housekeeping("GCSL1_RAW", od=DAY, data_dir=tmp_path, setup=setup)
    assert (times.tolist(), values.tolist()) == ([T0 + 1], [4])
    values = get_housekeeping("GCSL1_RAW", od=DAY, data_dir=tmp_path, setup=setup, calibrated=True)[1]
    assert values.tolist() == [9.0]
    times, values = get_housekeeping("GCSL1_RAW", od=DAY, data_dir=tmp_path)
    assert (times.tolist(), values.tolist()) == ([T0 + 9], [4])


def test_as_a_table(tmp_path: Path) -> None:
    write(daily(tmp_path, "OGSE"), [{"GOGSE_PM_CH1_PWR": 0.5, "GOGSE_LDLS_LAMP": True}] * 2)
    write(daily(tmp_path, "PUNA"), [{"X": 1}, {"X": 2}], T0 + 1)
    table = get_housekeeping_frame("X", od=DAY, data_dir=tmp_path)
    assert table["X"].tolist() == [1, 2]
    assert [moment.timestamp() for moment in table.index] == [T0 + 1, T0 + 2]
    assert str(table.index.tz) == "UTC"
    names = ["GOGSE_PM_CH1_PWR", "GOGSE_LDLS_LAMP", "X"]
    table = get_housekeeping_frame(names, od=DAY, data_dir=tmp_path)
    assert list(table.columns) == names
    assert len(table) == 3
    assert table["X"].isna().tolist() == [True, False, False]
    assert table.attrs["units"]["GOGSE_PM_CH1_PWR"] == "Watts"


# -- the cache -----------------------------------------------------------------------------------------------------------


def test_damaged_and_deleted_columns_are_read_again(tmp_path: Path) -> None:
    write(daily(tmp_path), [{"X": 1}, {"X": 2}])
    cache = ColumnCache(tmp_path / "cache")
    path = daily(tmp_path)

    def values() -> list[int]:
        columns = cache.read(path, "timestamp", "X")
        assert columns is not None
        return list(columns[1].values().tolist())

    assert values() == [1, 2]
    kept = sorted((tmp_path / "cache").rglob("*.col"))
    assert len(kept) == 2
    assert all(place.stat().st_mode & 0o077 == 0 for place in kept)
    for damage in (lambda p: p.write_bytes(p.read_bytes()[:-3]), lambda p: p.write_bytes(b"x"), Path.unlink):
        for place in kept:
            damage(place)
        assert values() == [1, 2]
        assert all(place.exists() for place in kept)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    write(daily(tmp_path), [{"X": 1}])
    (tmp_path / "file").write_text("")
    for cache in (
        ColumnCache(tmp_path / "file" / "cache"),
        ColumnCache(None),
        ColumnCache(tmp_path / "c", 0),
    ):
        for _ in range(2):
            columns = cache.read(daily(tmp_path), "timestamp", "X")
            assert columns is not None
            assert columns[1].values().tolist() == [1]
    assert not (tmp_path / "c").exists()


def test_the_cache_does_not_grow_without_end(tmp_path: Path) -> None:
    cache = ColumnCache(tmp_path / "cache", limit=1000)
    for number in range(10):
        path = write(daily(tmp_path, f"P{chr(65 + number)}"), [{"X": i} for i in range(20)])
        cache.read(path, "timestamp", "X")
    cache.sweep()
    assert 0 < sum(place.stat().st_size for place in (tmp_path / "cache").rglob("*.col")) <= 1000


def test_nothing_is_written_beside_the_data(tmp_path: Path) -> None:
    write(daily(tmp_path), [{"X": 1}])
    before = sorted(tmp_path.rglob("*"))
    get_housekeeping("X", od=DAY, data_dir=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert user_cache().folder is not None
    assert os.environ["XDG_CACHE_HOME"] in str(user_cache().folder)
