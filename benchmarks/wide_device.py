"""The smallest device server with a lot of housekeeping: what telling metrics costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.trivial_device import APP as TRIVIAL
from benchmarks.trivial_device import TrivialProtocol

WIDTH = 200
"""Number of housekeeping parameters."""


class WideProtocol(TrivialProtocol):
    def get_housekeeping(self) -> dict[str, Any]:
        return {f"GLAB_WIDE_{number:03d}": number * 1.5 for number in range(WIDTH)}


APP = replace(TRIVIAL, protocol=WideProtocol)

if __name__ == "__main__":
    APP.main()
