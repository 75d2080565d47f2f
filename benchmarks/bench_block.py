"""What a building block costs besides its body: checks, context, and start and end in the record of the observation.

The limit and the aim are those of the machine on which the least that does something of the kind takes 3.5 us: arguments
checked against a table, a nested context, one line of JSON written. That least runs here too, in turns, so
that a slower machine, or a busy one, is told from slower code.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks.measure import verdict
from benchmarks.site import benchmark_site
from camtest import building_block, load_setup, observation

ROUNDS = 60
CALLS = 200
LIMIT, AIM = 8e-6, 4e-6
LEAST = 3.5e-6
"""What the least takes on the machine that the limit was set for [s]."""


def plain(temperature: float, heater: int) -> None:
    """The body alone."""


@building_block
def block(temperature: float, heater: int) -> None:
    """The same body as a building block."""


class _Line(msgspec.Struct):
    t: float
    pid: int
    call: int
    block: str
    args: dict[str, Any]


@contextmanager
def least() -> Iterator[Callable[..., None]]:
    """The same body with a check of its arguments, a nested context and one line in a file."""
    active: ContextVar[tuple[object, ...]] = ContextVar("active", default=())
    encode, numbers = msgspec.json.Encoder().encode, itertools.count(1)
    types = {"temperature": float, "heater": int}
    pid = os.getpid()
    with TemporaryDirectory() as folder:
        file = os.open(Path(folder) / "lines.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def run(**arguments: Any) -> None:
            if arguments.keys() != types.keys():
                raise TypeError("wrong names")
            for name, value in arguments.items():
                if type(value) is not types[name]:
                    raise TypeError(f"wrong type of {name}")
            token = active.set((*active.get(), plain))
            try:
                plain(**arguments)
            finally:
                active.reset(token)
            os.write(file, encode(_Line(time.time(), pid, next(numbers), "block", arguments)) + b"\n")

        try:
            yield run
        finally:
            os.close(file)


def _time(function: Callable[..., None]) -> float:
    batch = []
    for _ in range(CALLS):
        started = time.perf_counter()
        function(temperature=-70.0, heater=1)
        batch.append(time.perf_counter() - started)
    return statistics.median(batch)


def main() -> None:
    with benchmark_site(), least() as small:
        load_setup(1)
        with observation("benchmark of building blocks"):
            rounds = [(_time(block), _time(small), _time(plain)) for _ in range(ROUNDS)]
    ours = statistics.median(block - body for block, _, body in rounds)
    theirs = statistics.median(small - body for _, small, body in rounds)
    ratio = statistics.median((block - body) / (small - body) for block, small, body in rounds)
    print(
        f"building block, recorded   p50 {ours * 1e6:6.1f} us   the least {theirs * 1e6:4.1f} us   "
        f"{ratio:.2f} of it = {ratio * LEAST * 1e6:.1f} us where that takes {LEAST * 1e6:.1f} us (aim {AIM * 1e6:.0f})"
    )
    verdict(
        f"at most {LIMIT * 1e6:.0f} us where the least takes {LEAST * 1e6:.1f} us", ratio <= LIMIT / LEAST
    )


if __name__ == "__main__":
    main()
