"""The archive index is told of each observation soon after it was closed, so that the removal of the newest shows, too."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from egse.archive.index import ArchiveIndex
from egse.confman.observations import RECORD_FILE

LOGGER = logging.getLogger(__name__)


class ArchiveMemory:
    """Brings the index up to date when the record of the site has changed.

    Args:
        site: data folder of the site.
    """

    def __init__(self, site: Path) -> None:
        self.site = site
        self._seen: tuple[int, int] | None = None

    def look(self) -> bool:
        """Looks once; returns True when there was something new."""
        try:
            now = (self.site / RECORD_FILE).stat()
        except OSError:
            return False  # nothing has been observed yet
        mark = (now.st_mtime_ns, now.st_size)
        if mark == self._seen:
            return False
        try:
            with ArchiveIndex(self.site) as index:
                index.refresh()
        except (OSError, sqlite3.Error) as exc:
            LOGGER.warning("the archive index cannot be brought up to date: %s", exc)
            return False
        self._seen = mark
        return True
