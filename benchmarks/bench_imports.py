"""Time to import the packages, beside numpy + pyzmq + msgspec alone and the limits of the design."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9
LIMITS = {"egse.proxy": 0.25, "camtest": 0.35}
CASES = {
    "bare python": "pass",
    "numpy + pyzmq + msgspec": "import numpy, zmq, msgspec",
    "egse.proxy": "import egse.proxy",
    "camtest": "import camtest",
    "camtest.core.exec": "import camtest.core.exec",
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):  # interleaved, so that a slow moment hits all alike
        for name, statement in CASES.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["numpy + pyzmq + msgspec"])
    for name, values in seconds.items():
        median = statistics.median(values)
        limit = f"   {median / LIMITS[name]:.2f} of the limit {LIMITS[name]} s" if name in LIMITS else ""
        print(f"{name:28s} {median * 1000:7.0f} ms   {median / base:5.2f} x numpy+pyzmq+msgspec{limit}")


if __name__ == "__main__":
    main()
