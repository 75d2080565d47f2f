"""Cost of a log record for the process that logs, against the QueueHandler of the standard library; rates; `cgse log`."""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.site import benchmark_site
from egse.logger.files import LogFiles
from egse.logger.handler import ZeroMQHandler, receiver_endpoint
from egse.logger.records import LogMessage

ROUNDS = 30
CALLS = 500
RATE_RECORDS = 40_000
AIM = 1.0
AIM_TAIL = 1.0


def main() -> None:
    with benchmark_site():
        logger = logging.getLogger("benchmark")
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        handler = ZeroMQHandler(receiver_endpoint(), "benchmark")
        _cost(logger, handler)
        _rate(logger, handler)
        handler.close()
    _tail()


def _cost(logger: logging.Logger, handler: ZeroMQHandler) -> None:
    """Rounds of both handlers by turns; after each round the records go away, as they do at usual rates."""
    peer = logging.handlers.QueueHandler(queue.Queue())
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(_per_record(logger, handler))
        assert handler.flush_records(10.0)
        theirs.append(_per_record(logger, peer))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(f"logging.info with QueueHandler   {statistics.median(theirs) * 1e6:6.1f} us")
    print(f"logging.info with ZeroMQHandler  {statistics.median(ours) * 1e6:6.1f} us")
    print(f"ratio (median of rounds)         {ratio:6.2f}      aim <= {AIM}")


def _per_record(logger: logging.Logger, handler: logging.Handler) -> float:
    logger.addHandler(handler)
    started = time.perf_counter()
    for number in range(CALLS):
        logger.info("moving to %s, step %d", "home", number)
    took = time.perf_counter() - started
    logger.removeHandler(handler)
    return took / CALLS


def _rate(logger: logging.Logger, handler: ZeroMQHandler) -> None:
    logger.addHandler(handler)
    started = time.perf_counter()
    for number in range(RATE_RECORDS):
        logger.info("moving to %s, step %d", "home", number)
    assert handler.flush_records(60.0)
    rate = RATE_RECORDS / (time.perf_counter() - started)
    logger.removeHandler(handler)
    print(f"written and acknowledged         {rate:6.0f} records/s from one process, both files")


def _tail() -> None:
    """The last 20 records out of a log file of 20 MB, as a command."""
    with tempfile.TemporaryDirectory() as folder:
        files = LogFiles(Path(folder) / "general.log", max_size=40_000_000)
        while files.size() < 20_000_000:
            files.write(
                [
                    LogMessage(
                        "2026-01-01T00:00:00.000000Z",
                        "INFO",
                        20,
                        "p",
                        1,
                        "egse.m",
                        1,
                        f"record {n} {'x' * 60}",
                    )
                    for n in range(1000)
                ]
            )
        files.close()
        command = [
            sys.executable,
            "-c",
            "from egse.cli import main; main()",
            "log",
            "-n",
            "20",
            "--folder",
            folder,
        ]
        times = []
        for _ in range(5):
            started = time.perf_counter()
            output = subprocess.run(
                command, capture_output=True, text=True, check=True, env={**os.environ}
            ).stdout
            times.append(time.perf_counter() - started)
            assert len(output.splitlines()) == 20
        print(f"cgse log -n 20 of 20 MB          {statistics.median(times):6.2f} s       aim <= {AIM_TAIL}")


if __name__ == "__main__":
    main()
