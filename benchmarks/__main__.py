"""Runs all benchmarks, or those that are named: `python -m benchmarks [command|block|camera|imports|log] ...`."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("imports", "command", "block", "camera", "log")


def main() -> None:
    chosen = sys.argv[1:] or NAMES
    unknown = set(chosen) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in chosen:
        module = import_module(f"benchmarks.bench_{name}")
        print(f"\n== {name}: {(module.__doc__ or '').splitlines()[0]}")
        module.main()


if __name__ == "__main__":
    main()
