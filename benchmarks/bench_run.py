"""What it costs to run a notebook as an observation, and many of them, beside plain papermill; large outputs."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import papermill

from benchmarks.measure import verdict
from benchmarks.site import benchmark_site
from camtest import load_setup
from camtest.core.variables import DRY_RUN_VARIABLE, RUN_ID_VARIABLE
from camtest.run.batch import start_batch
from camtest.run.plan import Item, Plan
from camtest.run.pool import KernelPool
from camtest.run.runner import run_notebook

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CELLS = 20
BATCH = 50
LARGE_CELLS = int(os.environ.get("BENCH_LARGE_CELLS", "1000"))
LARGE_OUTPUT = 1_000_000
PLAIN_LARGE_CELLS = 120
"""Plain papermill writes the whole notebook twice a cell: 1000 such cells would take hours."""
PART = 10
"""The first and the last tenth of the cells are compared."""
BLOCK = """\
from camtest import building_block
@building_block
def note(value: int) -> int:
    return value
"""


def _write(path: Path, *cells: str, kernel: str = "camtest") -> Path:
    made = [nbformat.v4.new_code_cell(source) for source in cells]
    made[0].metadata["tags"] = ["parameters"]
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec}), path)
    return path


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _plain(path: Path, output: Path, **parameters: Any) -> float:
    started = time.perf_counter()
    papermill.execute_notebook(str(path), str(output), parameters, progress_bar=False)
    return time.perf_counter() - started


def engine(folder: Path) -> None:
    """A notebook of 20 cells: our engine, with observation and record, against papermill's own."""
    path = _write(folder / "short.ipynb", "n: int = 1", *[f"print({i}, n)" for i in range(CELLS - 1)])
    run_notebook(path, {"n": 2}, output_dir=folder / "ours")
    _plain(path, folder / "plain.ipynb", n=2)
    ratios, times = [], []
    for index in range(ROUNDS):
        pair = {}
        for name in ("ours", "plain") if index % 2 else ("plain", "ours"):
            started = time.perf_counter()
            if name == "plain":
                _plain(path, folder / "plain.ipynb", n=2)
            else:
                result = run_notebook(path, {"n": 2}, output_dir=folder / "ours")
                assert result.status == "done", result.reason
            pair[name] = time.perf_counter() - started
        ratios.append(pair["ours"] / pair["plain"])
        times.append(pair)
    ours, plain = (statistics.median(pair[name] for pair in times) for name in ("ours", "plain"))
    ratio = statistics.median(ratios)
    print(
        f"notebook of {CELLS} cells    camtest {ours:6.2f} s   papermill {plain:6.2f} s   ratio {ratio:.2f}"
    )
    verdict("the engine, with its observation, adds at most 10 %", ratio <= 1.10)


def batch(folder: Path) -> None:
    """50 short dry runs: pooled warm kernels against papermill with a kernel each."""
    path = _write(folder / "dry.ipynb", "n: int = 1", BLOCK, "note(value=n)")
    items = [
        Item(number=n, name="dry", notebook=str(path), mode="dry-run", parameters={"n": n})
        for n in range(1, BATCH + 1)
    ]
    started = time.perf_counter()
    with KernelPool() as pool:
        state = start_batch(Plan(steps=[]), items, folder / "plan.yaml", folder / "batch").run(pool)
    ours = time.perf_counter() - started
    assert state.status == "done"
    with _environment(**{DRY_RUN_VARIABLE: "1", RUN_ID_VARIABLE: "dry-run"}):
        plain = sum(_plain(path, folder / "plain.ipynb", n=n) for n in range(BATCH))
    print(
        f"batch of {BATCH} dry runs     camtest {ours:6.1f} s   papermill {plain:6.1f} s   ratio {ours / plain:.2f}"
    )
    verdict("pooled warm kernels take at most 0.45 of papermill's time", ours <= 0.45 * plain)


def large(folder: Path) -> None:
    """1000 cells with outputs of 1 MB: the time per cell at the beginning and at the end."""
    cell = f"print('x' * 99 + chr(10), end='') or print(('y' * 99 + chr(10)) * {LARGE_OUTPUT // 100}, end='')"
    path = _write(folder / "large.ipynb", "n: int = 1", *[cell] * LARGE_CELLS)
    ours: list[float] = []

    def report(number: int, count: int, title: str, status: str, duration: float) -> None:
        if status == "running":
            ours.append(time.perf_counter())

    result = run_notebook(path, output_dir=folder / "large", report=report)
    assert result.status == "done", result.reason
    _growth("camtest", ours[1:])
    size = Path(str(result.notebook)).stat().st_size
    assert size > LARGE_CELLS * LARGE_OUTPUT
    gc.collect()
    path = _write(folder / "less.ipynb", "n: int = 1", *[cell] * PLAIN_LARGE_CELLS)
    _plain(path, folder / "plain.ipynb")
    cells = nbformat.read(folder / "plain.ipynb", as_version=4).cells[1:]
    _growth("papermill", [_seconds(c.metadata.papermill.start_time) for c in cells])


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def _growth(name: str, starts: list[float]) -> None:
    durations = [b - a for a, b in itertools.pairwise(starts)]
    part = max(len(durations) // PART, 1)
    first, last = statistics.median(durations[:part]), statistics.median(durations[-part:])
    mean = statistics.mean(durations[-part:]) / statistics.mean(durations[:part])
    print(
        f"{len(starts):5d} cells of 1 MB   {name:9s} {first * 1e3:7.1f} ms at first, {last * 1e3:7.1f} ms at last: "
        f"{last / first:.2f} (means {mean:.2f})"
    )
    if name == "camtest":
        verdict("the time per cell is constant within 20 %", 0.8 <= last / first <= 1.2)


def main() -> None:
    chosen = [part for part in os.environ.get("BENCH_PARTS", "engine,batch,large").split(",") if part]
    with benchmark_site(), TemporaryDirectory() as temporary:
        load_setup(1)
        for part in chosen:
            globals()[part](Path(temporary))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
