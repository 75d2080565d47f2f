"""Events of an observation, on local disk first.

The process that owns an observation appends its events to the spool file of that observation: one line of JSON per
event. Other processes that take part (the kernel of a runner) write a file of their own beside it, whose lines the owner
takes over. A line's position in the owner's file is its sequence number. A line survives the death of the process at
once; getting it to the storage manager is the work of `camtest.core.forwarding`, later and in batches.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camtest.core.values import to_json_bytes
from camtest.core.variables import SPOOL_LOCATION_VARIABLE
from egse.env import EnvError, get_log_file_location

LOGGER = logging.getLogger(__name__)

SPOOL_SUFFIX = ".events.jsonl"
_STEP = 1 << 18
"""Room that is reserved at a time [bytes]."""


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

    The file is mapped into memory, so that an event costs no system call; the operating system has it from then on,
    and it survives the death of this process. Room is reserved in steps, so that a full disk is an OSError and nothing
    worse; what follows the last event is filled with zero bytes until the file is closed. No event has a zero byte: a line
    with one is being copied at this moment, or its process was killed in that moment, and is not there yet.

    Args:
        path: the spool file of the observation; it is made when it does not exist.
        owner: this process forwards the events. The owner holds a lock on the file, by which others see that it is
            alive; the lock goes with the process. Any other process writes a file of its own beside it, which the owner
            collects.
    """

    def __init__(self, path: Path, *, owner: bool) -> None:
        self.path = path
        self.own_path = path if owner else path.with_name(f"{path.name}.{os.getpid()}")
        self._owner = owner
        self._lock = threading.RLock()
        self._beside: dict[Path, _Collected] = {}
        self._descriptor = os.open(self.own_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if owner:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._descriptor)
                raise RuntimeError(f"another process already forwards the events in {path}") from None
        self._end = _written(self._descriptor)
        self._map: mmap.mmap | None = None
        self._room = 0

    def write(self, line: bytes) -> None:
        """Appends one line, its line end included.

        Raises:
            OSError: when the disk is full.
            ValueError: when the spool is closed.
        """
        with self._lock:
            start = self._end
            end = start + len(line)
            if end >= self._room:
                self._reserve(end)
            self._map[start:end] = line  # type: ignore[index]
            self._end = end

    def _reserve(self, end: int) -> None:
        if self._descriptor < 0:
            raise ValueError(f"the spool {self.own_path} is closed")
        room = (end // _STEP + 1) * _STEP
        os.posix_fallocate(self._descriptor, 0, room)
        self._map = mmap.mmap(self._descriptor, room)
        self._room = room

    def write_event(self, event: dict[str, Any]) -> None:
        """Appends one event, after what other processes have written by now."""
        with self._lock:
            self.collect()
            self.write(to_json_bytes(event) + b"\n")

    def collect(self, *, after_death: bool = False) -> None:
        """Takes over what other processes of this observation have written; only the owner does.

        Args:
            after_death: an earlier owner may have taken over some of it already.
        """
        if not self._owner:
            return
        with self._lock:
            paths = sorted(self.path.parent.glob(f"{self.path.name}.[0-9]*"))
            known = set(self.path.read_bytes().split(b"\n")) if after_death and paths else set()
            for path in paths:
                collected = self._beside.setdefault(path, _Collected(path))
                for line in collected.new_lines():
                    if line[:-1] not in known:
                        self.write(line)

    def close(self) -> None:
        """Closes the file and gives the ownership up; may be called twice."""
        with self._lock:
            if self._descriptor < 0:
                return
            self.collect()
            for path in self._beside:
                path.unlink(missing_ok=True)
            if self._map is not None:
                self._map.close()
                self._map, self._room = None, 0
            os.ftruncate(self._descriptor, self._end)
            os.close(self._descriptor)
            self._descriptor = -1


def _is_whole(line: bytes) -> bool:
    """Returns True for a line that has been written to its end."""
    return line.endswith(b"\n") and b"\0" not in line


def _written(descriptor: int) -> int:
    """Cuts off what follows the last event of a spool file, and returns where that ends."""
    size = os.fstat(descriptor).st_size
    content = os.pread(descriptor, size, 0) if size else b""
    zero = content.find(b"\0")
    end = content.rfind(b"\n", 0, size if zero < 0 else zero) + 1
    os.ftruncate(descriptor, end)
    return end


@dataclass
class _Collected:
    """How much of another process's file has been taken over."""

    path: Path
    offset: int = 0

    def new_lines(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not _is_whole(line):
                    return
                self.offset += len(line)
                yield line


def collect_abandoned(path: Path) -> None:
    """Brings the events of all processes of an observation together whose owner is dead.

    Raises:
        RuntimeError: when the owner is alive.
    """
    spool = EventSpool(path, owner=True)
    spool.collect(after_death=True)
    spool.close()


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
                if not _is_whole(line):
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
                if not _is_whole(line):
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
    """Returns all complete events of an observation: those of its spool file, then what waits beside it."""
    known = path.read_bytes() if path.exists() else b""
    events = SpoolReader(path).read(limit=2**31) if known else []
    lines = set(known.split(b"\n"))
    for other in sorted(path.parent.glob(f"{path.name}.[0-9]*")):
        waiting = [line for line in _Collected(other).new_lines() if line[:-1] not in lines]
        events += [_decoded(line, other) for line in waiting]
    return events


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
