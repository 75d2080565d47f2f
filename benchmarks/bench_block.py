"""What a building block costs besides its body: checks, context, and start and end in the record of the observation."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from benchmarks.site import benchmark_site
from camtest import building_block, load_setup, observation

ROUNDS = 30
CALLS = 200
AIM = 8e-6


def plain(temperature: float, heater: int) -> None:
    """The body alone."""


@building_block
def block(temperature: float, heater: int) -> None:
    """The same body as a building block."""


def _times(function: Callable[..., None]) -> float:
    batch = []
    for _ in range(CALLS):
        started = time.perf_counter()
        function(temperature=-70.0, heater=1)
        batch.append(time.perf_counter() - started)
    return statistics.median(batch)


def main() -> None:
    with benchmark_site():
        load_setup(1)
        with observation("benchmark of building blocks"):
            pairs = [(_times(block), _times(plain)) for _ in range(ROUNDS)]
    overhead = statistics.median(ours - body for ours, body in pairs)
    print(
        f"building block, recorded   p50 {overhead * 1e6:6.1f} us   {overhead / AIM:.2f} of the limit {AIM * 1e6:.0f} us"
    )


if __name__ == "__main__":
    main()
