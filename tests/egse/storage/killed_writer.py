"""A process that stores rows in every format until it is killed; says so on stdout after each row."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from egse.clock import VirtualClock
from egse.storage.manager import StorageManager


def rows(number: int) -> dict[str, Any]:
    """Returns one row for each class; they are big, so that a write takes a while."""
    return {
        "CSV": {"timestamp": f"t{number}", "n": number, **{f"c{i}": number + i / 7 for i in range(300)}},
        "TXT": f"{number} " + "x" * 20_000,
        "SQLite": {"timestamp": f"t{number}", "n": number, "blob": bytes(20_000)},
        "HDF5": {"n": number, "frame": np.full((50, 50), number, np.int32), "text": f"row {number}"},
        "FITS": {"name": f"N{number}", "data": np.full((50, 50), number, np.int32)},
    }


def main() -> None:
    manager = StorageManager(Path(sys.argv[1]), "CSL1", VirtualClock(), fsync_interval=0.05)
    manager.start()
    for kind in rows(0):
        manager.register({"origin": kind.upper(), "persistence_class": kind, "prep": {}})
    number = int(sys.argv[2])
    print("ready", flush=True)
    while True:
        for kind, row in rows(number).items():
            manager.save({"origin": kind.upper(), "data": row, "session": "one", "number": number})
            print(kind, number, flush=True)
        number += 1


if __name__ == "__main__":
    main()
