"""Which raw files belong to which observation, by the `/obsid` inside them."""

from __future__ import annotations

import logging
import re
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

    def find(self, obsid: str) -> list[Path]:
        """Returns the raw files of an observation, in the order of time.

        Args:
            obsid: full obsid, SITE_SETUP_TEST.
        """
        return self.matching(re.escape(obsid))

    def matching(self, pattern: str) -> list[Path]:
        """Returns the raw files whose whole obsid fits a regular expression, in the order of time."""
        with self._lock:
            for path in sorted((self._root / "daily").glob("[0-9]*/*.hdf5")):
                if path not in self._known and parse_file_name(path.name):
                    self._known[path] = _read_obsid(path)
            known = list(self._known.items())
        return sorted(path for path, obsid in known if re.fullmatch(pattern, obsid) and path.exists())


def _read_obsid(path: Path) -> str:
    try:
        with get_file(path) as file:
            return get_obsid(file)
    except OSError as exc:
        LOGGER.warning("%s cannot be read: %s", path, exc)
        return ""
