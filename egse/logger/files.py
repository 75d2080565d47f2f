"""The two log files: `general.jsonl`, the complete record, and `general.log`, for people and log viewers.

Both get every record, `general.jsonl` first. Each of its lines says where the record begins in `general.log`, and carries
session and number of the record; its first line carries the last numbers of all sessions that were known when the file
was begun. So the next start after a crash finds in this one file what was written, completes `general.log` where its
last lines are missing or torn, and knows which records are there already when a process sends them again.

When a file is full both become `general.log.1` and `general.jsonl.1`, those before `.2` and so on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from egse.files import make_folder
from egse.logger.records import LogMessage, file_text

MODE = 0o600
MOST_SESSIONS = 5_000
"""So many sessions are remembered, those without records for the longest time are forgotten first."""
LONGEST_REPAIR = 16_000_000
"""No more than this much text is added to `general.log` at a start [bytes]."""

_encoder = msgspec.json.Encoder()


class _Header(msgspec.Struct):
    """First line of `general.jsonl`: which `general.log` it goes with (device and inode), what is known."""

    log: tuple[int, int]
    sessions: dict[str, int]


class _Position(msgspec.Struct):
    """The part of a line that is needed at a start."""

    at: int = 0
    session: str = ""
    seq: int = 0


_header_decoder = msgspec.json.Decoder(_Header)
_position_decoder = msgspec.json.Decoder(_Position)
_message_decoder = msgspec.json.Decoder(LogMessage)


def twin_of(path: Path) -> Path:
    """Returns the file with the complete records: `general.jsonl` for `general.log`, `general.jsonl.3` for its `.3`."""
    base, dot, number = path.name.partition(".log.")
    return path.with_name(f"{base}.jsonl.{number}" if dot else f"{path.name.removesuffix('.log')}.jsonl")


def decode_line(line: bytes) -> LogMessage | None:
    """Returns the record in a line of `general.jsonl`; None for a header or a damaged line."""
    try:
        return _message_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


class LogFiles:
    """The current log files; opened at the first record, or by `open`.

    Args:
        path: `general.log`; its folder is made when missing.
        max_size: size at which new files are begun [bytes].
        backups: how many older files are kept.

    Attributes:
        sessions: number of the last record of each session that is written.
    """

    def __init__(self, path: Path, max_size: int = 20_000_000, backups: int = 20) -> None:
        self.path = path
        self.twin = twin_of(path)
        self.max_size = max_size
        self.backups = backups
        self.sessions: dict[str, int] = {}
        self._log = -1
        self._twin = -1
        self._dirty = False

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(self, messages: Sequence[LogMessage]) -> None:
        """Writes records into both files, all of them or none.

        Raises:
            OSError: when they cannot be written (disk full); nothing has changed then.
        """
        self.open()
        texts = [file_text(message).encode() for message in messages]
        if self._is_full(sum(map(len, texts))):
            self.rotate()
        begin, twin_begin = os.fstat(self._log).st_size, os.fstat(self._twin).st_size
        at, lines = begin, []
        for message, text in zip(messages, texts):
            lines.append(_encoder.encode(msgspec.structs.replace(message, at=at)))
            at += len(text)
        try:
            _write_all(self._twin, b"\n".join(lines) + b"\n")
            _write_all(self._log, b"".join(texts))
        except OSError:
            self._undo(begin, twin_begin)
            raise
        self._dirty = True
        for message in messages:
            if message.seq:
                self.remember(message.session, message.seq)

    def _undo(self, begin: int, twin_begin: int) -> None:
        try:
            os.ftruncate(self._log, begin)
            os.ftruncate(self._twin, twin_begin)
        except OSError:
            self.close()  # opening them again sorts it out

    def remember(self, session: str, seq: int) -> None:
        """Notes the last record of a session."""
        self.sessions.pop(session, None)
        self.sessions[session] = seq
        if len(self.sessions) > MOST_SESSIONS:
            self.sessions.pop(next(iter(self.sessions)))

    def _is_full(self, more: int) -> bool:
        size = os.fstat(self._log).st_size
        return size > 0 and (size + more > self.max_size or os.fstat(self._twin).st_size > 4 * self.max_size)

    def sync(self) -> None:
        """Puts what was written on disk.

        Raises:
            OSError: when the disk fails.
        """
        if self._dirty and self._log >= 0:
            os.fdatasync(self._twin)
            os.fdatasync(self._log)
            self._dirty = False

    def size(self) -> int:
        """Returns the size of `general.log` [bytes], 0 while it cannot be opened."""
        return os.fstat(self._log).st_size if self._log >= 0 else 0

    def check(self) -> None:
        """Lets go of files that somebody has removed or renamed; the next record begins new ones."""
        if self._log >= 0 and not (_is_same(self._log, self.path) and _is_same(self._twin, self.twin)):
            self.close()

    def rotate(self) -> None:
        """Begins new files.

        Raises:
            OSError: when they cannot be made.
        """
        self.close()
        self._shift(self.path)
        self._shift(self.twin)
        self.open()

    def _shift(self, path: Path) -> None:
        for number in range(self.backups, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, older)

    def close(self) -> None:
        """Closes the files; safe to call twice."""
        for descriptor in (self._log, self._twin):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._twin = -1

    # -- starting ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Opens the files, after mending what a crash has left; does nothing when they are open.

        Raises:
            OSError: when they cannot be opened or made.
        """
        if self._log >= 0:
            return
        make_folder(self.path.parent, 0o700)
        self._take_over()
        log = _open(self.path)
        try:
            _end_torn_line(log)
            twin = _open(self.twin)
        except OSError:
            os.close(log)
            raise
        try:
            if os.fstat(twin).st_size == 0:
                header = _Header(_identity(os.fstat(log)), self.sessions)
                _write_all(twin, _encoder.encode(header) + b"\n")
        except OSError:
            os.ftruncate(twin, 0)
            os.close(log)
            os.close(twin)
            raise
        self._log, self._twin = log, twin

    def _take_over(self) -> None:
        """Reads what an earlier life has written, and completes it."""
        if not self.twin.exists():
            return
        _cut_torn_line(self.twin)
        with self.twin.open("rb") as file:
            header = _read_header(file.readline())
            log = self._log_of(header)
            size = log.stat().st_size if log is not None else 0
            known = dict(header.sessions) if header is not None else {}
            tail: list[bytes] = []
            for line in file:
                try:
                    place = _position_decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue
                if place.seq:
                    known[place.session] = place.seq
                if place.at < size:
                    tail = [line]
                else:
                    tail.append(line)
        for session, seq in known.items():
            self.remember(session, max(seq, self.sessions.get(session, 0)))
        if log is not None:
            _complete(log, tail)
        if log != self.path:  # it belongs to an older file, or to none that is known
            self._shift(self.twin)

    def _log_of(self, header: _Header | None) -> Path | None:
        for path in (self.path, self.path.with_name(f"{self.path.name}.1")):
            with contextlib.suppress(FileNotFoundError):
                if header is not None and _identity(path.stat()) == header.log:
                    return path
        return None


def _complete(log: Path, tail: Sequence[bytes]) -> None:
    """Appends to `general.log` what `general.jsonl` has and it has not.

    Args:
        log: the file.
        tail: lines of the last record that begins in it, and of all that should follow.
    """
    messages = [message for message in map(decode_line, tail) if message is not None]
    if not messages:
        return
    text = b"".join(file_text(message).encode() for message in messages)
    missing = text[log.stat().st_size - messages[0].at :] if log.stat().st_size >= messages[0].at else b""
    if missing and len(missing) <= LONGEST_REPAIR:
        descriptor = _open(log)
        try:
            _write_all(descriptor, missing)
        finally:
            os.close(descriptor)


def _read_header(line: bytes) -> _Header | None:
    try:
        return _header_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
    if os.fstat(descriptor).st_uid == os.geteuid():
        os.fchmod(descriptor, MODE)
    return descriptor


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return _identity(path.stat()) == _identity(os.fstat(descriptor))
    except OSError:
        return False


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _cut_torn_line(path: Path) -> None:
    """Removes a last line that was not completed; its record was not acknowledged and comes again."""
    size = path.stat().st_size
    end = _end_of_last_line(path, size)
    if end < size:
        os.truncate(path, end)


def _end_of_last_line(path: Path, size: int) -> int:
    with path.open("rb") as file:
        position = size
        while position > 0:
            begin = max(0, position - 65_536)
            file.seek(begin)
            found = file.read(position - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            position = begin
    return 0


def _end_torn_line(descriptor: int) -> None:
    """Ends a last line of which nothing more is known, so that the file stays readable line by line and as UTF-8."""
    size = os.fstat(descriptor).st_size
    if not size:
        return
    last = os.pread(descriptor, 4, max(0, size - 4))
    if last.endswith(b"\n"):
        return
    for back in range(1, len(last) + 1):
        if last[-back] & 0xC0 != 0x80:  # the first byte of the last character
            try:
                last[-back:].decode()
            except UnicodeDecodeError:
                os.ftruncate(descriptor, size - back)
            break
    _write_all(descriptor, b"\n")


def numbered(path: Path) -> Iterator[Path]:
    """Yields the files of a log that are there, oldest first: `general.log.2`, `general.log.1`, `general.log`."""
    found: list[tuple[int, Path]] = []
    for other in path.parent.glob(f"{path.name}.*"):
        number = other.name[len(path.name) + 1 :]
        if number.isdigit():
            found.append((int(number), other))
    yield from (older for _, older in sorted(found, reverse=True))
    if path.exists():
        yield path
