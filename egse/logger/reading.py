"""Reads log files: the newest records first where only the end is wanted, across rotated files, and following them.

No service is needed. `general.jsonl` is read where it is there; otherwise `general.log`, from which texts come back as
they stand there (control characters escaped).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from egse.logger.files import decode_line, numbered, twin_of
from egse.logger.records import LEVELS, OPERATIONS, LogMessage
from egse.system import str_to_datetime

BLOCK = 262_144
LOG_LINE = re.compile(
    r"level=(?P<level>\S+) ts=(?P<ts>\S+) process=(?P<process>\S+) process_id=(?P<pid>\d+) "
    r'caller=(?P<caller>\S+):(?P<line>\d+) msg="(?P<msg>.*)"'
)
"""First line of a record in `general.log`, as log viewers read it."""

_CIRCUMSTANCES = re.compile(r"(?P<message>.*?)(?:^| )\[(?P<fields>(?:(?:obsid|block|mode)=\S+ ?)+)\]")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS = {"today": 0, "yesterday": -1}


def parse_moment(text: str, now: datetime | None = None) -> str:
    """Reads a moment as operators type it: `10m`, `2h`, `1.5d` ago; `today`, `yesterday`; a time of day; a date and time.

    Args:
        text: the moment; without a time zone it is UTC.
        now: what spans count back from; the present time when None.

    Returns:
        The moment as in `LogMessage.ts`.

    Raises:
        ValueError: when it is none.
    """
    try:
        return f"{_moment(text.strip(), now or datetime.now(UTC)):%Y-%m-%dT%H:%M:%S.%f}Z"
    except (ValueError, OverflowError) as exc:
        raise ValueError(
            f"{text!r} is no moment; examples: 10m, 2h, 3d, today, 07:30, 2026-11-25, 2026-11-25T07:30:00"
        ) from exc


def _moment(text: str, now: datetime) -> datetime:
    if match := _SPAN.fullmatch(text.lower().removesuffix(" ago")):
        return now - timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    if text.lower() in _DAYS:
        return datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=_DAYS[text.lower()])
    if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
        hour, minute, second = (*map(int, text.split(":")), 0)[:3]
        return now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return str_to_datetime(text)


@dataclass(frozen=True)
class RecordFilter:
    """Which records are wanted; all conditions have to hold.

    Attributes:
        level: lowest level, a name of `LEVELS`.
        processes: patterns (`*_cs`) of the name of the process, of which one must match; empty for all.
        since: earliest moment, as in `LogMessage.ts`; empty for the beginning.
        until: latest moment; empty for the end.
        obsid: the full obsid, or its last number.
        grep: regular expression that occurs in message or traceback.
    """

    level: str = "DEBUG"
    processes: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    obsid: str = ""
    grep: re.Pattern[str] | None = None

    def __call__(self, message: LogMessage) -> bool:
        """Says whether a record is wanted."""
        return (
            LEVELS.index(message.level) >= LEVELS.index(self.level)
            and (not self.since or message.ts >= self.since)
            and (not self.until or message.ts <= self.until)
            and (not self.processes or any(fnmatchcase(message.process, name) for name in self.processes))
            and (not self.obsid or is_obsid(message.obsid, self.obsid))
            and (
                self.grep is None
                or bool(self.grep.search(message.message) or self.grep.search(message.traceback))
            )
        )


def is_obsid(obsid: str, wanted: str) -> bool:
    """Says whether an obsid is the one that is wanted: the full one, or `1151` for `CSL1_00084_01151`."""
    if obsid == wanted:
        return True
    last = obsid.rpartition("_")[2]
    return wanted.isdigit() and last.isdigit() and int(last) == int(wanted)


class LogFolder:
    """The log files in a folder.

    Args:
        folder: the folder.
        filename: name of the log file.

    Raises:
        FileNotFoundError: when there is no log file.
    """

    def __init__(self, folder: Path, filename: str = "general.log") -> None:
        log = folder / filename
        twin = twin_of(log)
        self._is_text = not any(numbered(twin))
        self.path = log if self._is_text else twin
        if self._is_text and not any(numbered(log)):
            raise FileNotFoundError(f"there is no log file {log} (nor {twin.name})")

    def end(self) -> IO[bytes] | None:
        """Returns the current file, opened at its end: where to stop reading and to begin following."""
        file = _open(self.path)
        if file is not None:
            file.seek(0, os.SEEK_END)
        return file

    def records(self, wanted: RecordFilter, end: IO[bytes] | None = None) -> Iterator[LogMessage]:
        """Yields the records that are wanted, in the order in which they were written.

        Args:
            wanted: which.
            end: where to stop, from `end()`; at the end of the files when None.
        """
        for path in self._files_up_to(end):
            if self._is_older(path, wanted.since):
                continue
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                yield from filter(wanted, self._parse(_lines(file, _limit(file, end))))

    def last(
        self, wanted: RecordFilter, count: int, end: IO[bytes] | None = None, patience: int | None = None
    ) -> list[LogMessage]:
        """Returns the last records that are wanted, reading no more than it takes.

        Args:
            wanted: which.
            count: how many at most.
            end: where to stop, from `end()`; at the end of the files when None.
            patience: so many records in a row that are older than `wanted.since` end the search; None: look at all.
                (Records that were delivered late stand behind younger ones.)
        """
        found: deque[LogMessage] = deque()
        older = 0
        for path in reversed(self._files_up_to(end)):
            if self._is_older(path, wanted.since):
                break
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                for message in self._backwards(file, _limit(file, end)):
                    older = older + 1 if message.ts < wanted.since else 0
                    if len(found) >= count or (patience is not None and older > patience):
                        return list(found)
                    if wanted(message):
                        found.appendleft(message)
        return list(found)

    def follow(
        self, wanted: RecordFilter, wait: Callable[[], bool], file: IO[bytes] | None
    ) -> Iterator[LogMessage]:
        """Yields records as they come, also when new files are begun.

        Args:
            wanted: which.
            wait: called when there is nothing new; waits a moment, returns False to end.
            file: where to begin, from `end()`; it is closed in the end.
        """
        rest = b""
        try:
            while True:
                if file is None:
                    file = _open(self.path)
                if file is not None:
                    rest += file.read()
                    done = rest.rfind(b"\n") + 1
                    yield from filter(wanted, self._parse(rest[:done].splitlines(keepends=True)))
                    rest = rest[done:]
                    newer = self._newer_files(file)
                    if newer:
                        rest += file.read()  # what came between reading and rotating
                        yield from filter(wanted, self._parse(rest.splitlines(keepends=True)))
                        rest = b""
                        yield from self._between(newer[:-1], wanted)
                        file.close()
                        file = _open(newer[-1])
                        continue
                if not wait():
                    return
        finally:
            if file is not None:
                file.close()

    def _between(self, paths: Iterable[Path], wanted: RecordFilter) -> Iterator[LogMessage]:
        """Yields the records of files that were begun and ended since the last look."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                yield from filter(wanted, self._parse(file))

    def _is_older(self, path: Path, since: str) -> bool:
        """Says whether nothing in a file is new enough: a record is never younger than the file it was written to."""
        if not since:
            return False
        with contextlib.suppress(FileNotFoundError):
            return datetime.fromtimestamp(path.stat().st_mtime, UTC) < str_to_datetime(since) - timedelta(
                minutes=1
            )
        return False

    def _files_up_to(self, end: IO[bytes] | None) -> list[Path]:
        """Returns the files up to the one that is open, oldest first; all when it is None or gone."""
        files = list(numbered(self.path))
        for number, path in enumerate(files):
            if end is not None and _is_file(path, end):
                return files[: number + 1]
        return files

    def _newer_files(self, file: IO[bytes]) -> list[Path]:
        """Returns the files that were begun after the one that is open, oldest first; empty while there are none."""
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)  # somebody has emptied it
        newer: list[Path] = []
        for path in reversed(list(numbered(self.path))):
            if _is_file(path, file):
                break
            newer.insert(0, path)
        return newer if newer and newer[-1] == self.path else []

    # -- parsing -----------------------------------------------------------------------------------------------------

    def _parse(self, lines: Iterable[bytes]) -> Iterator[LogMessage]:
        if self._is_text:
            yield from parse_text(line.decode(errors="replace") for line in lines)
        else:
            yield from (message for message in map(decode_line, lines) if message is not None)

    def _backwards(self, file: IO[bytes], position: int) -> Iterator[LogMessage]:
        """Yields the records before a position of a file, last one first."""
        rest = b""
        while position > 0:
            begin = max(0, position - BLOCK)
            file.seek(begin)
            rest = file.read(position - begin) + rest
            position = begin
            start = 0 if begin == 0 else self._first_record(rest)
            if start < 0:
                continue
            yield from reversed(list(self._parse(rest[start:].splitlines(keepends=True))))
            rest = rest[:start]

    def _first_record(self, data: bytes) -> int:
        """Returns where the first whole record begins; -1 when there is none."""
        if self._is_text:
            found = data.find(b"\nlevel=")
        else:
            found = data.find(b"\n")
        return found + 1 if 0 <= found < len(data) - 1 else -1


def _open(path: Path) -> IO[bytes] | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _is_file(path: Path, file: IO[bytes]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _limit(file: IO[bytes], end: IO[bytes] | None) -> int:
    status = os.fstat(file.fileno())
    if end is not None and os.path.samestat(status, os.fstat(end.fileno())):
        return end.tell()
    return status.st_size


def _lines(file: IO[bytes], limit: int) -> Iterator[bytes]:
    position = 0
    for line in file:
        position += len(line)
        if position > limit:
            return
        yield line


def parse_text(lines: Iterable[str]) -> Iterator[LogMessage]:
    """Reads the records of `general.log`."""
    head: re.Match[str] | None = None
    further: list[str] = []
    for line in lines:
        line = line.rstrip("\r\n")
        match = LOG_LINE.fullmatch(line)
        if match is None:
            further.append(line.removeprefix("  "))
            continue
        if head is not None:
            yield _message(head, further)
        head, further = match, []
    if head is not None:
        yield _message(head, further)


def _message(head: re.Match[str], further: list[str]) -> LogMessage:
    text, fields = head["msg"], {}
    if match := _CIRCUMSTANCES.fullmatch(text):
        text = match["message"]
        fields = dict(field.split("=", 1) for field in match["fields"].split())
    begin = next(
        (n for n, line in enumerate(further) if line.startswith("Traceback (most recent")), len(further)
    )
    level = head["level"] if head["level"] in LEVELS else "INFO"
    return LogMessage(
        head["ts"].replace(",", ".") + "Z",
        level,
        10 * (LEVELS.index(level) + 1),
        head["process"],
        int(head["pid"]),
        head["caller"],
        int(head["line"]),
        "\n".join([text, *further[:begin]]),
        "\n".join(further[begin:]),
        fields.get("obsid", ""),
        fields.get("block", ""),
        fields.get("mode", OPERATIONS),
    )
