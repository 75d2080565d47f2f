"""What all persistence classes have in common: one open file of a producer.

Rows are written in two steps. `prepare` opens the file, checks the rows and turns them into what goes into the file;
`write` writes that, as a whole or not at all. In between, the storage manager notes where the rows will stand, so that
after a crash `settle` can tell how many of them are there.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

LOGGER = logging.getLogger(__name__)

Rows = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows that are ready to be written.

    Attributes:
        count: how many.
        size: by how much the position of the file will grow.
        payload: what is written, different for each class.
    """

    count: int
    size: int
    payload: Any


class Persistence(ABC):
    """One open file of a producer.

    Args:
        path: the file; its folder must exist.
        prep: how to prepare it, different for each class; the key `mode` of older callers is ignored, files always
            grow.
    """

    extension: ClassVar[str]
    mirrored: ClassVar[bool] = True
    """The same rows also go to the folder of the observation."""

    def __init__(self, path: Path, prep: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.prep = dict(prep or {})

    @abstractmethod
    def open(self) -> None:
        """Opens the file for appending; repairs what a crash left behind. Does nothing when it is open."""

    @abstractmethod
    def prepare(self, rows: Rows) -> Prepared:
        """Opens the file and makes rows ready for it.

        Raises:
            StorageError: when a row does not fit.
        """

    @abstractmethod
    def write(self, prepared: Prepared) -> None:
        """Writes rows: all or, when it raises, none. They are in the operating system's hands when this returns."""

    @abstractmethod
    def position(self) -> int:
        """Returns where the next row goes: in bytes, or in rows for a database; it only grows."""

    @abstractmethod
    def rollback(self, position: int) -> None:
        """Takes back what was written behind `position`."""

    @abstractmethod
    def settle(self, start: int, size: int, count: int) -> int:
        """Returns how many of the first of `count` rows are in the file after a crash; removes a torn one.

        Args:
            start: position at which they were going to be written.
            size: by how much they were going to move it.
            count: how many there were.
        """

    @abstractmethod
    def read(self, select: Mapping[str, Any] | None = None) -> Any:
        """Returns the content; `select` narrows it down, see the class."""

    @abstractmethod
    def close(self) -> None:
        """Closes the file; `open` opens it again."""

    def append(self, rows: Rows) -> int:
        """Writes rows and returns how many."""
        if not rows:
            return 0
        prepared = self.prepare(rows)
        self.write(prepared)
        return prepared.count

    def descriptors(self) -> list[int]:
        """Returns descriptors, to be closed by the caller, whose `fsync` puts on disk what was written."""
        return [os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)] if self.exists() else []

    def exists(self) -> bool:
        """Returns True when the file is there."""
        return self.path.exists()


def set_aside(path: Path, reason: object) -> None:
    """Renames a file that no reader understands, so that a new one can be begun and nothing is thrown away."""
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged{number}")
    os.replace(path, aside)
    LOGGER.error("%s cannot be read (%s); set aside as %s", path, reason, aside.name)


def last_of(rows: list[Any], select: Mapping[str, Any]) -> list[Any]:
    """Returns the last `select["last"]` of some rows, all without that key."""
    last = select.get("last")
    return rows if last is None else rows[max(0, len(rows) - int(last)) :]
