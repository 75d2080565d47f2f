"""`camtest obs list` and one observation of an archive with 10,000 of them, beside an empty archive and a bare Python."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import msgspec

from egse.archive import ArchiveIndex, Observation
from egse.confman.observations import CLOSED, CLOSING, OPEN, RECORD_FILE
from egse.confman.recordfile import digest, encode_line
from egse.storage.observation import ObservationInfo
from egse.system import format_datetime, from_unix_time

COUNT = 10_000
ROUNDS = 5
LIMIT = 0.5
"""Time for a list [s]."""


def make_archive(site: Path, count: int) -> None:
    """Makes record and folders of so many closed observations."""
    (site / "obs").mkdir(parents=True)
    previous = ""
    with (site / RECORD_FILE).open("wb") as record:
        for number in range(1, count + 1):
            start = format_datetime(from_unix_time(1_700_000_000.0 + 2400 * number))
            info = ObservationInfo(
                run_id=f"r{number}",
                test_id=number,
                site_id="CSL1",
                setup_id=84 + number // 500,
                camera="chimay",
                start=start,
                function=f'acquire(n="{number}")',
                description=f"test number {number}",
                details={"notebook": "sft.ipynb", "parameters": {"num_cycles": 3, "row_end": 4539}},
            )
            for fields in (
                {"rec": OPEN, "run_id": info.run_id, "info": msgspec.to_builtins(info)},
                {"rec": CLOSING, "run_id": info.run_id, "status": "done", "reason": "", "end": start},
                {"rec": CLOSED, "run_id": info.run_id, "manifest_sha256": "0" * 64},
            ):
                line = encode_line({**fields, "prev": previous})
                previous = digest(line)
                record.write(line)
            (site / "obs" / info.prefix).mkdir()


def median_of(command: list[str]) -> float:
    """Returns the usual time of a command [s]."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    camtest = str(Path(sysconfig.get_path("scripts")) / "camtest")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        full, empty = Path(folder) / "full" / "CSL1", Path(folder) / "empty" / "CSL1"
        make_archive(full, COUNT)
        make_archive(empty, 0)
        started = time.perf_counter()
        with ArchiveIndex(full) as index:
            index.refresh()
            assert index.count() == COUNT
        print(f"making the index of {COUNT} observations   {time.perf_counter() - started:7.2f} s, once")
        bare = median_of([sys.executable, "-c", "pass"])
        nothing = median_of([camtest, "obs", "list", "--data-dir", str(empty)])
        listed = median_of([camtest, "obs", "list", "--data-dir", str(full)])
        print(f"bare python                               {bare:7.2f} s")
        print(f"camtest obs list of an empty archive      {nothing:7.2f} s")
        print(
            f"camtest obs list of {COUNT} observations   {listed:7.2f} s   {listed / LIMIT:.2f} of the limit {LIMIT} s"
        )
        started = time.perf_counter()
        assert Observation(COUNT // 2, full).status == "done"
        print(f"one observation by its number             {time.perf_counter() - started:7.3f} s")


if __name__ == "__main__":
    main()
