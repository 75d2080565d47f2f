"""`obsid-table.txt`: one line for each started observation, for people and for older analysis scripts.

It is a projection of the record of observations, written through the storage manager. Lines that are missing (the
storage manager was away, or the configuration manager died in between) are added, in order, the next time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from egse.storage.naming import OBSID_TABLE
from egse.storage.observation import ObservationInfo

if TYPE_CHECKING:
    from egse.storage.interface import StorageInterface

ORIGIN = "obsid"
REGISTRATION = {
    "origin": ORIGIN,
    "persistence_class": "TXT",
    "persistence_count": True,
    "filename": OBSID_TABLE,
    "prep": {"mode": "a", "ending": "\n"},
}

LINE = re.compile(
    r"^(?P<test>\d{5}) (?P<site>\S+) (?P<setup>\d{5}) (?P<start>\S+) (?P<function>[\w.]+\(.*\))"
    r"(?: \[(?P<description>.*)\])?$"
)
"""Reads a line of the table (storage ICD, section 4)."""


def table_line(info: ObservationInfo) -> str:
    """Returns the line of an observation: test id, site, Setup, start, function, optional description in brackets."""
    function = " ".join(info.function.split()) or "unknown_function()"
    description = " ".join(info.description.split())
    line = f"{info.test_id:05d} {info.site_id} {info.setup_id:05d} {info.start} {function}"
    return f"{line} [{description}]" if description else line


class ObsidTable:
    """Keeps the table in step with the record.

    Args:
        storage: the storage manager.
    """

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self._written: set[int] | None = None

    def is_complete(self, infos: Iterable[ObservationInfo]) -> bool:
        """Returns True when all these observations are known to be in the table."""
        written = self._written
        return written is not None and all(info.test_id in written for info in infos)

    def project(self, infos: Iterable[ObservationInfo]) -> int:
        """Adds the lines that are missing.

        Args:
            infos: all observations of the record, oldest first.

        Returns:
            How many lines were added.

        Raises:
            OSError: when the storage manager is away; nothing is lost, call it again.
        """
        written = self._written
        if written is None:
            self._storage.register(REGISTRATION)
            lines = self._storage.read({"origin": ORIGIN, "prep": {}})
            written = {int(match["test"]) for line in lines if (match := LINE.match(line))}
        missing = [info for info in infos if info.test_id not in written]
        self._written = None  # unknown until the answer is here
        if missing:
            self._storage.save({"origin": ORIGIN, "data": [table_line(info) for info in missing]})
        self._written = written | {info.test_id for info in missing}
        return len(missing)
