"""The journal of alarms: every event, one line each, for ever.

`<data>/<SITE>/alarms/YYYYMMDD.jsonl`, one file per UTC day, lines as in the command journal: `crc32 json`, written with a
single append. `open.json` beside them is a shortcut for the next start: what was open at some moment before.
"""

from __future__ import annotations

import calendar
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import msgspec

from egse.files import write_atomically
from egse.monitor.alarms import AlarmBook, AlarmEvent

LOGGER = logging.getLogger(__name__)

FOLDER = "alarms"
"""Name of the folder below the data folder of a site."""
_SNAPSHOT = "open.json"
_DAY = 86_400
_TAIL = 65_536
"""So much of the end of a file is looked at for its last event [bytes]."""
_FILES = "[0-9]" * 8 + ".jsonl"

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(AlarmEvent)


class Snapshot(msgspec.Struct, frozen=True):
    """The events that are needed to make the book as it was at some moment.

    Attributes:
        number: of the event that follows.
        events: those of the alarms and shelves that were open.
    """

    number: int
    events: list[AlarmEvent]


class AlarmJournal:
    """Appends events to the files of a folder.

    What cannot be written (disk full) is kept and written later, in order: alarms must be told nevertheless.

    Args:
        folder: where the day files go; made with mode 0700 when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waiting: list[AlarmEvent] = []
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd = -1
        self._day = -1
        self._complained = False

    def write(self, events: Sequence[AlarmEvent]) -> bool:
        """Appends events; returns False, and keeps them, when that is not possible.

        They are in the hands of the operating system then; `sync` brings them to the disk.
        """
        self.waiting += events
        try:
            while self.waiting:
                self._append(self.waiting[0])
                self.waiting.pop(0)
        except OSError as exc:
            if not self._complained:
                LOGGER.critical("the journal of alarms cannot be written, events wait in memory: %s", exc)
            self._complained = True
            return False
        self._complained = False
        return True

    def sync(self) -> None:
        """Brings what was written to the disk, which may take a moment."""
        if self._fd < 0:
            return
        try:
            os.fdatasync(self._fd)
        except OSError as exc:
            LOGGER.error("the journal of alarms is not on disk yet: %s", exc)

    def close(self) -> None:
        """Closes the file; more events open it again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._day = -1, -1

    def _append(self, event: AlarmEvent) -> None:
        day = int(event.time // _DAY)
        if day != self._day:
            self._open(day)
        data = _encode(event)
        line = b"%08x %b\n" % (crc32(data), data)
        size = os.fstat(self._fd).st_size
        if os.write(self._fd, line) != len(line):
            os.ftruncate(self._fd, size)
            raise OSError("the line could not be written completely (disk full?)")

    def _open(self, day: int) -> None:
        self.close()
        path = self.folder / time.strftime("%Y%m%d.jsonl", time.gmtime(day * _DAY))
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")  # a line that a killed process has left unfinished
        self._day = day

    # -- restarts --------------------------------------------------------------------------------------------------

    def save_open(self, book: AlarmBook) -> None:
        """Keeps what is open, so that the next start need not read all days."""
        try:
            data = _encode(Snapshot(book.number, book.open_events()))
            write_atomically(self.folder / _SNAPSHOT, data, 0o600)
        except OSError as exc:
            LOGGER.warning("the open alarms were not saved, the next start takes longer: %s", exc)

    def restore(self, book: AlarmBook) -> None:
        """Makes a new book as it was when the last event was written."""
        path = self.folder / _SNAPSHOT
        try:
            snapshot = msgspec.json.decode(path.read_bytes(), type=Snapshot)
        except FileNotFoundError:
            pass
        except msgspec.MsgspecError as exc:
            LOGGER.warning("%s cannot be read, the whole journal is: %s", path, exc)
        else:
            for event in snapshot.events:
                book.apply(event)
            book.number = max(book.number, snapshot.number)
        # By number and not by time: the clock may have been set.
        paths = [path for path in self.folder.glob(_FILES) if _last_number(path) >= book.number]
        events = [event for path in paths for event in _read_file(path, None, None)]
        for event in sorted(events, key=lambda event: event.number):
            if event.number >= book.number:
                book.apply(event)


def read_alarm_events(
    folder: Path, since: float | None = None, until: float | None = None
) -> Iterator[AlarmEvent]:
    """Yields the events of a journal, oldest first; lines with a wrong checksum (torn by a crash) are skipped.

    Args:
        folder: `<data>/<SITE>/alarms`; no events when it does not exist.
        since, until: Unix time [s]; None for no limit.
    """
    for path in sorted(folder.glob(_FILES)):
        yield from _read_file(path, since, until)


def last_alarm_events(
    folder: Path, count: int, since: float | None = None, until: float | None = None
) -> list[AlarmEvent]:
    """Returns the newest `count` events of a journal, oldest first; the arguments are those of `read_alarm_events`."""
    found: list[AlarmEvent] = []
    for path in sorted(folder.glob(_FILES), reverse=True):
        found = [*deque(_read_file(path, since, until), maxlen=count - len(found)), *found]
        if len(found) >= count or (since is not None and _day_of(path) <= since):
            break
    return found


def _read_file(path: Path, since: float | None, until: float | None) -> Iterator[AlarmEvent]:
    begin = _day_of(path)
    if (since is not None and begin + _DAY <= since) or (until is not None and begin > until):
        return
    with path.open("rb") as lines:
        for line in lines:
            event = _parse(line)
            if event is None or (since is not None and event.time < since):
                continue
            if until is None or event.time <= until:
                yield event


def _last_number(path: Path) -> int:
    """Returns the number of the last event in a file; infinitely large where its end does not tell."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        lines = file.read().splitlines(keepends=True)
    last = next((event for line in reversed(lines) if (event := _parse(line)) is not None), None)
    return sys.maxsize if last is None else last.number


def _day_of(path: Path) -> float:
    """Returns when the day of a file begins, Unix time [s]."""
    try:
        return float(calendar.timegm(time.strptime(path.stem, "%Y%m%d")))
    except ValueError:
        return 0.0


def _parse(line: bytes) -> AlarmEvent | None:
    checksum, _, data = line.rstrip(b"\n").partition(b" ")
    try:
        return _decoder.decode(data) if int(checksum, 16) == crc32(data) else None
    except (ValueError, msgspec.MsgspecError):
        return None
