"""Asks a metrics port once for each line on its input: `python -m benchmarks.scraper PORT`."""

from __future__ import annotations

import sys
import urllib.request


def main() -> None:
    for _ in sys.stdin:
        with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=10) as answer:
            answer.read()


if __name__ == "__main__":
    main()
