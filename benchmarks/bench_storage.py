"""Rows of 50 columns from 20 producers into the storage manager, against a plain csv.writer, rounds interleaved."""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.site import BenchmarkSite, benchmark_site
from egse.storage import StorageProxy
from egse.telemetry import HousekeepingStore

ROUNDS = 7
PRODUCERS = 20
PROCESSES = 2
ROWS = 1000
COLUMNS = 50
FLUSH_EVERY = 10
AIM = 0.5


def main() -> None:
    with benchmark_site() as site, ExitStack() as stack:
        producers = [stack.enter_context(_Producers(number)) for number in range(PROCESSES)]
        ratios, rates = [], []
        for number in range(ROUNDS):
            plain = _plain(site.data / f"plain-{number}.csv")
            ours = _round(producers)
            rates.append((ours, plain))
            ratios.append(ours / plain)
        _check(site)
        ours, plain = (statistics.median(values) for values in zip(*rates, strict=True))
        print(f"plain csv.writer, flush every {FLUSH_EVERY} rows    {plain:9.0f} rows/s")
        print(f"storage manager, {PRODUCERS} producers          {ours:9.0f} rows/s, acknowledged")
        print(f"ratio (median of rounds)             {statistics.median(ratios):9.2f}   aim >= {AIM}")
        _print_single(site)


def _rows(origin: str) -> list[dict[str, Any]]:
    names = [f"{origin}_PARAMETER_{column:02d}" for column in range(COLUMNS - 1)]
    return [
        {
            "timestamp": f"2026-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}.000+0000",
            **{name: number * 0.1 + column for column, name in enumerate(names)},
        }
        for number in range(ROWS)
    ]


def _plain(path: Path) -> float:
    """Returns the rate of a csv.writer in this process [rows/s]; as many rows as all producers send."""
    rows = [list(row.values()) for row in _rows("PLAIN")]
    started = time.perf_counter()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for _ in range(PRODUCERS):
            for number, row in enumerate(rows, 1):
                writer.writerow(row)
                if number % FLUSH_EVERY == 0:
                    file.flush()
    return PRODUCERS * ROWS / (time.perf_counter() - started)


class _Producers:
    """A process with its share of the producers."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> _Producers:
        command = [sys.executable, "-m", "benchmarks.bench_storage", str(self._number)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()
        return self

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of producers ended with {self._process.wait()}")
        return line

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


def _round(producers: list[_Producers]) -> float:
    """Returns the rate of all producers together, from the first row to the last acknowledgement [rows/s]."""
    started = time.perf_counter()
    for process in producers:
        process.go()
    for process in producers:
        process.answer()
    return PRODUCERS * ROWS / (time.perf_counter() - started)


def _produce(number: int) -> None:
    """What a process of producers does: one round for every line that comes."""
    origins = [f"BENCH{number}-{index:02d}" for index in range(PRODUCERS // PROCESSES)]
    rows = {origin: _rows(origin) for origin in origins}
    stores = {origin: HousekeepingStore(origin) for origin in origins}
    print("ready", flush=True)
    for _ in sys.stdin:
        for index in range(ROWS):
            for origin, store in stores.items():
                store.save(rows[origin][index])
        for store in stores.values():
            if not store.flush(60.0):
                sys.exit("rows are not acknowledged")
        print("done", flush=True)
    for store in stores.values():
        store.close()


def _check(site: BenchmarkSite) -> None:
    """Every row is in its file, once."""
    files = sorted(site.data.glob("*/daily/*/*_BENCH*.csv"))
    counts = [sum(1 for _ in path.open()) - 1 for path in files]
    print(f"files                                {len(files)} with {sum(counts)} rows")
    assert counts == [ROUNDS * ROWS] * PRODUCERS, counts


def _print_single(site: BenchmarkSite) -> None:
    """One row in each request, from one client: the time of a whole command."""
    row = _rows("SINGLE")[0]
    times = []
    with StorageProxy() as storage:
        storage.register(
            {"origin": "SINGLE", "persistence_class": "CSV", "prep": {"column_names": list(row)}}
        )
        for _ in range(500):
            started = time.perf_counter()
            storage.save({"origin": "SINGLE", "data": row})
            times.append(time.perf_counter() - started)
    print(f"one row in one `save`                {statistics.median(times) * 1e6:9.0f} us")


if __name__ == "__main__":
    _produce(int(sys.argv[1])) if len(sys.argv) > 1 else main()
