"""One parameter out of a month of housekeeping: 30 daily files of 86,400 rows and 50 columns.

The data are generated (1.2 GB in a temporary folder, or in the folder that BENCH_FOLDER names, where they stay). Beside
the limit of the design stand pandas with `usecols` and a plain csv.reader, both on some files and scaled up.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

DAYS, ROWS, COLUMNS = 30, 86_400, 50
LIMIT = 1.0
"""Of a warm call [s]."""
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "GCSL1_HEX_P25"
PEERS = 3
"""So many files are read by the peers, which take long."""


def make_month(site: Path) -> None:
    """Writes the daily files: the numbers of a day are repeated, but for one that counts the days."""
    random = np.random.default_rng(1)
    names = [f"GCSL1_HEX_P{number}" for number in range(COLUMNS)]
    walk = np.cumsum(random.normal(0.0, 0.01, ROWS))
    rows = []
    for second, value in enumerate(walk.tolist()):
        clock = f"T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.042+0000"
        cells = [f"{value + number:.4f}" for number in range(COLUMNS - 3)]
        rows.append((clock, ",".join([*cells, str(value > 0), "RUNNING"]) + "\n"))
    for day in range(DAYS):
        start = FIRST + timedelta(days=day)
        path = site / "daily" / f"{start:%Y%m%d}" / f"{start:%Y%m%d}_CSL1_PUNA.csv"
        path.parent.mkdir(parents=True)
        with path.open("w", encoding="ascii") as file:
            file.write(",".join(["timestamp", *names]) + "\n")
            file.writelines(f"{start:%Y-%m-%d}{clock},{day},{cells}" for clock, cells in rows)


def timed(action: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def with_pandas(paths: list[Path]) -> int:
    import pandas as pd

    tables = [pd.read_csv(path, usecols=["timestamp", NAME]) for path in paths]
    table = pd.concat(tables)
    return len(pd.to_datetime(table["timestamp"], utc=True, format="ISO8601"))


def with_csv(paths: list[Path]) -> int:
    values = []
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            index = next(reader).index(NAME)
            values += [(datetime.fromisoformat(row[0]), float(row[index])) for row in reader]
    return len(values)


def compare(site: Path, cache: Path) -> None:
    os.environ["XDG_CACHE_HOME"] = str(cache)
    from egse.hk import get_housekeeping

    last = FIRST + timedelta(days=DAYS)
    window = (f"{FIRST:%Y-%m-%d}", f"{last:%Y-%m-%d}")

    def call(name: str = NAME) -> int:
        return len(get_housekeeping(name, time_window=window, data_dir=site)[0])

    paths = sorted((site / "daily").glob("*/*.csv"))
    size = sum(path.stat().st_size for path in paths)
    print(f"{len(paths)} files, {size / 1e9:.2f} GB, {DAYS * ROWS} rows of {COLUMNS + 1} columns")
    cold, count = timed(call)
    assert count == DAYS * ROWS, count
    second, _ = timed(lambda: call("GCSL1_HEX_P3"))
    warm = min(timed(call)[0] for _ in range(5))
    kept = sum(path.stat().st_size for path in cache.rglob("*.col"))
    print(f"cold, nothing kept             {cold:8.2f} s")
    print(f"another parameter, times kept  {second:8.2f} s")
    print(f"warm                           {warm:8.3f} s   {warm / LIMIT:.2f} of the limit {LIMIT} s")
    with paths[-1].open("a") as file:
        file.write(
            ",".join([f"{last - timedelta(microseconds=1):%Y-%m-%dT%H:%M:%S}.999+0000", *["1.0"] * COLUMNS])
            + "\n"
        )
    grown, more = timed(call)
    assert more == count + 1, more
    print(f"warm, the last file has grown  {grown:8.3f} s")
    print(f"kept for two parameters        {kept / 1e6:8.1f} MB")
    for title, peer in (("pandas, usecols", with_pandas), ("csv.reader", with_csv)):
        few, _ = timed(lambda peer=peer: peer(paths[:PEERS]))
        scaled = few * len(paths) / PEERS
        print(
            f"{title:30s} {scaled:8.1f} s   (from {PEERS} files)   {scaled / warm:.0f} x warm, {scaled / cold:.1f} x cold"
        )


def main() -> None:
    wanted = os.environ.get("BENCH_FOLDER")
    folder = Path(wanted or tempfile.mkdtemp(prefix="bench-hk-"))
    cache = Path(tempfile.mkdtemp(prefix="bench-hk-cache-"))
    try:
        if not (folder / "daily").exists():
            seconds, _ = timed(lambda: make_month(folder))
            print(f"generated in {seconds:.0f} s")
        compare(folder, cache)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        if not wanted:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
