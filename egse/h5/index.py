"""Which raw files belong to which observation, by the `/obsid` inside them."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from egse.h5.names import parse_file_name
from egse.h5.reader import get_file, get_obsid

LOGGER = logging.getLogger(__name__)


class RawFileIndex:
    """Finds raw files by obsid; looks into each file once.

    Args:
        root: data folder of the site, the one that holds `daily/`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, str] = {}
        self._lock = threading.Lock()

    def add(self, path: Path, obsid: str) -> None:
        """Notes a file whose obsid is known already."""
        with self._lock:
            self._known[path] = obsid

    def find(self, obsid: str, first_day: str = "") -> list[Path]:
        """Returns the raw files of an observation, in the order of time.

        Args:
            obsid: full obsid, SITE_SETUP_TEST.
            first_day: no folder before this day (YYYYMMDD) is looked at; empty for all.
        """
        with self._lock:
            for path in sorted((self._root / "daily").glob("[0-9]*/*.hdf5")):
                if path not in self._known and path.parent.name >= first_day and parse_file_name(path.name):
                    self._known[path] = _read_obsid(path)
            return sorted(path for path, found in self._known.items() if found == obsid and path.exists())


def _read_obsid(path: Path) -> str:
    try:
        with get_file(path) as file:
            return get_obsid(file)
    except OSError as exc:
        LOGGER.warning("%s cannot be read: %s", path, exc)
        return ""
