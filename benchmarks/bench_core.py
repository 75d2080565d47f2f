"""Start, status and stop of the core services with `cgse core`, beside their limits."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from egse.proxy import endpoint_from_settings, is_control_server_active
from egse.settings import Settings
from egse.site.ports import release_block
from egse.site.programs import core_entries
from egse.site.sandbox import Sandbox

ROUNDS = 5
LIMITS = {"start": 4.0, "status": 1.0, "stop": 3.0}
"""Of the whole command [s]; the start ends when every service has answered."""


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in LIMITS}
    with TemporaryDirectory() as folder:
        box = Sandbox(Path(folder) / "site")
        box.create()
        with box.joined():
            Settings.load(force=True)
            for _ in range(ROUNDS):
                for action, values in seconds.items():
                    values.append(_timed(action, box.environ()))
        release_block(box.directory)
    Settings.load(force=True)
    print(f"{len(core_entries())} core services, {ROUNDS} rounds, {os.cpu_count()} processors")
    for action, values in seconds.items():
        median, worst = statistics.median(values), max(values)
        limit = LIMITS[action]
        print(
            f"{action:8s} median {median:5.2f} s  worst {worst:5.2f} s   {median / limit:.2f} of the limit {limit} s"
        )


def _timed(action: str, environment: dict[str, str]) -> float:
    """Returns how long `cgse core ACTION` takes [s]."""
    started = time.perf_counter()
    command = [str(Path(sys.executable).parent / "cgse"), "core", action]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    if action == "start":
        silent = [entry.name for entry in core_entries() if not _answers(entry.settings)]
        if silent:
            raise RuntimeError(f"no answer from {', '.join(silent)}")
    return time.perf_counter() - started


def _answers(block: str) -> bool:
    return is_control_server_active(endpoint_from_settings(block), timeout=5.0)


if __name__ == "__main__":
    main()
