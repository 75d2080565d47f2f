"""How much room is left on the data disk: figures, warnings before it is full, and one clear error when it is."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from egse.storageerrors import StorageFullError

LOGGER = logging.getLogger(__name__)

Level = Literal["ok", "low", "critical"]

REMINDER = 3600.0
"""A warning that still holds is repeated after this time [s]."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def says_full(error: OSError) -> bool:
    """Says whether an error means that a disk is full."""
    return error.errno in _FULL or isinstance(error, StorageFullError)


class DiskUsage(msgspec.Struct, frozen=True):
    """Room on a disk.

    Attributes:
        total: size of the file system [bytes].
        used: what is taken [bytes].
        free: what this process may still use [bytes].
        percent: used part, of what is used and free [%].
        level: `low` or `critical` when less is free than the Settings say.
    """

    total: int
    used: int
    free: int
    percent: float
    level: Level = "ok"


class DiskLimits(msgspec.Struct, frozen=True):
    """When to warn.

    Attributes:
        low: less than this part is free [%].
        critical: less than this part is free [%].
    """

    low: float = 20.0
    critical: float = 5.0


class DiskWatch:
    """Looks at the disk of a folder.

    Args:
        folder: where the data go.
        limits: when to warn.
    """

    def __init__(self, folder: Path, limits: DiskLimits | None = None) -> None:
        self.folder = folder
        self.limits = limits or DiskLimits()
        self._level: Level = "ok"
        self._said = float("-inf")

    def usage(self) -> DiskUsage:
        """Returns how full the disk is now."""
        state = os.statvfs(self.folder)
        total = state.f_blocks * state.f_frsize
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        free = state.f_bavail * state.f_frsize
        percent = 100.0 * used / (used + free) if used + free else 100.0
        left = 100.0 - percent
        level: Level = (
            "critical" if left < self.limits.critical else "low" if left < self.limits.low else "ok"
        )
        return DiskUsage(total, used, free, round(percent, 1), level)

    def check(self, now: float) -> DiskUsage:
        """Logs a warning when room gets scarce, and once more every `REMINDER` seconds; `now` is a monotonic time."""
        usage = self.usage()
        if usage.level == "ok":
            if self._level != "ok":
                LOGGER.info("there is room on the data disk again: %s", describe(usage))
        elif usage.level != self._level or now - self._said >= REMINDER:
            self._said = now
            level = logging.ERROR if usage.level == "critical" else logging.WARNING
            LOGGER.log(level, "the data disk (%s) gets full: %s", self.folder, describe(usage))
        self._level = usage.level
        return usage


def describe(usage: DiskUsage) -> str:
    """Returns how much is free, for people."""
    return f"{usage.free / 1e9:.3f} GB ({100.0 - usage.percent:.1f} %) of {usage.total / 1e9:.3f} GB are free"


@contextmanager
def full_disk_is_named(folder: Path) -> Iterator[None]:
    """Turns the errors by which the operating system says that a disk is full into `StorageFullError`."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in _FULL or isinstance(exc, StorageFullError):
            raise
        raise StorageFullError(
            f"the data disk is full, nothing was stored ({exc}): make room on the file system of {folder}; "
            "producers keep their rows and send them again"
        ) from exc
