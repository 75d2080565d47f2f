"""What the benchmarks of commanding share: one CPU for all, child processes, interleaved rounds, figures and verdicts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

Call = Callable[[], None]
Rounds = list[list[float]]
"""Durations [s], one list per round."""


@contextmanager
def pinned(*cpus: int) -> Iterator[None]:
    """Keeps this process on these CPUs; children that are started meanwhile inherit it."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Runs `python -m ...` with pipes for its input and output; ended with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """Returns the next line of a child's output; raises RuntimeError when there is none."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} ended without a word (exit code {process.wait(5)})")
    return line.strip()


def interleaved(calls: Mapping[str, Call], rounds: int, batch: int) -> dict[str, Rounds]:
    """Times every call; each round does a batch of all of them, so that a slow moment hits all alike."""
    results: dict[str, Rounds] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            durations = []
            for _ in range(batch):
                started = time.perf_counter()
                call()
                durations.append(time.perf_counter() - started)
            results[name].append(durations)
    return results


def median_of_rounds(rounds: Rounds) -> float:
    """Returns the median of the medians of the rounds."""
    return statistics.median(statistics.median(batch) for batch in rounds)


def ratio_of_rounds(ours: Rounds, theirs: Rounds) -> float:
    """Returns the median over the rounds of the ratio of their medians."""
    return statistics.median(
        statistics.median(a) / statistics.median(b) for a, b in zip(ours, theirs, strict=True)
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the value that so many percent of all lie below."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def verdict(what: str, holds: bool) -> None:
    """Prints one line that says whether an aim is reached."""
    print(f"  {'yes' if holds else 'NO ':3s}  {what}")
