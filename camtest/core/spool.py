"""Events of an observation, on local disk first.

Each process that takes part in an observation appends its events to one spool file of that observation: one line of
JSON per event, written by a single `write` to a file opened for appending. A line's position in the file is its
sequence number. Such a line survives the death of the process at once; getting it to the storage manager is the work
of `camtest.core.forwarding`, later and in batches.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camtest.core.values import to_json_bytes
from camtest.core.variables import SPOOL_LOCATION_VARIABLE
from egse.env import EnvError, get_log_file_location

LOGGER = logging.getLogger(__name__)

SPOOL_SUFFIX = ".events.jsonl"


def spool_location() -> Path:
    """Returns the folder of the spool files; it is made when it does not exist.

    `CAMTEST_SPOOL_LOCATION` if set, else `spool` in the log folder of the site when that is writable, else a folder
    for the site below `$XDG_STATE_HOME`.
    """
    for folder in _candidates():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise OSError(
        f"no folder to write events to; set {SPOOL_LOCATION_VARIABLE} to a folder on a local disk that is writable"
    )


def _candidates() -> list[Path]:
    chosen = os.environ.get(SPOOL_LOCATION_VARIABLE)
    if chosen:
        return [Path(chosen)]
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    fallback = state / "camtest" / "spool" / os.environ.get("SITE_ID", "site")
    try:
        return [Path(get_log_file_location()) / "spool", fallback]
    except EnvError:
        return [fallback]


class EventSpool:
    """Appends events to the spool file of an observation.

    Args:
        path: the file; it is made when it does not exist.
        owner: this process forwards the events. The owner holds a lock on the file, by which others see that it is
            alive; the lock goes with the process.
    """

    def __init__(self, path: Path, *, owner: bool) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if owner:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._descriptor)
                raise RuntimeError(f"another process already forwards the events in {path}") from None

    def write(self, line: bytes) -> None:
        """Appends one line, its line end included."""
        os.write(self._descriptor, line)

    def write_event(self, event: dict[str, Any]) -> None:
        """Appends one event."""
        os.write(self._descriptor, to_json_bytes(event) + b"\n")

    def close(self) -> None:
        """Closes the file and gives the ownership up; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def spool_path(run_id: str) -> Path:
    """Returns the path of the spool file of an observation."""
    return spool_location() / f"{run_id}{SPOOL_SUFFIX}"


@dataclass
class SpoolReader:
    """Reads complete lines of a spool file, in order.

    Attributes:
        path: the file.
        position: sequence number of the next event.
    """

    path: Path
    position: int = 0
    _offset: int = 0

    def read(self, limit: int = 500) -> list[dict[str, Any]]:
        """Returns at most `limit` events that were not read yet; a line without its end is left for later."""
        events: list[dict[str, Any]] = []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            while len(events) < limit:
                line = file.readline()
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self.position += 1
                events.append(_decoded(line, self.path))
        return events

    def skip_to(self, position: int) -> None:
        """Moves to the event with sequence number `position`, forwards or back."""
        self.position, self._offset = 0, 0
        with self.path.open("rb") as file:
            while self.position < position:
                line = file.readline()
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self.position += 1


def _decoded(line: bytes, path: Path) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if isinstance(event, dict):
        return event
    LOGGER.warning("an unreadable line in %s is kept as text", path)
    return {"event": "unreadable", "text": line.decode("utf-8", "backslashreplace").rstrip("\n")}


def read_events(path: Path) -> list[dict[str, Any]]:
    """Returns all complete events of a spool file."""
    return SpoolReader(path).read(limit=2**31)


def abandoned_spools() -> list[tuple[str, Path]]:
    """Returns run id and path of the spool files whose owner is no longer alive."""
    found = []
    for path in sorted(spool_location().glob(f"*{SPOOL_SUFFIX}")):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append((path.name.removesuffix(SPOOL_SUFFIX), path))
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
    return found
