"""Version number of the test scripts, see `egse.version`.

`from camtest.version import VERSION`; `python -m camtest.version` compares it with git and the installation.
"""

from __future__ import annotations

from typing import Any

from egse.settings import Settings
from egse.version import print_versions

VERSION: str
RELEASE: str


def __getattr__(name: str) -> Any:
    if name in ("VERSION", "RELEASE"):
        return Settings.load("Test Scripts")[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    print_versions("CAMTEST", "Test Scripts", __file__, "+TS")
