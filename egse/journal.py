"""The command journal of a control server: what was begun, and how it ended.

Before the first byte of a command goes to a device the server appends a `begin` record, afterwards an `end` record. A
begin without an end means that the outcome is unknown, which is the truth when a server dies in mid-command. A record
is one line, `crc32 json`, written with a single append to a file opened in append mode: it is in the hands of the
operating system when `begin` returns, and a torn last line is recognised by its checksum.

Files: `<data>/<SITE>/journal/<server>/<YYYYMMDD>.journal`, one per UTC day.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from zlib import crc32

import msgspec

from egse.context import CommandContext
from egse.mode import current_mode


class JournalSource(msgspec.Struct, frozen=True, gc=False):
    """Who keeps a journal.

    Attributes:
        server: name of the control server.
        incarnation: which life of the server.
        mode: operations, or simulator when that answers in the place of the device.
    """

    server: str = ""
    incarnation: str = ""
    mode: str = ""


class BeginRecord(msgspec.Struct, tag_field="event", tag="begin", frozen=True, gc=False):
    """A command is about to be sent to the device.

    Attributes:
        id: id of the command.
        time: UTC as Unix time [s].
        source: the server.
        command: name of the command.
        args: arguments by name; arrays and long texts are abridged.
        context: who asked (the person, where a key tells; else as claimed), under which Setup, in which observation
            and building block.
    """

    id: str
    time: float
    source: JournalSource
    command: str
    args: dict[str, Any]
    context: CommandContext

    event: ClassVar[str] = "begin"

    @property
    def server(self) -> str:
        """Name of the control server."""
        return self.source.server

    @property
    def obsid(self) -> str:
        """Full obsid of the observation that the command belongs to, empty outside."""
        return self.context.obsid

    @property
    def block(self) -> str:
        """The building block that issued the command, empty outside."""
        return self.context.block

    @property
    def origin(self) -> str:
        """Who asked."""
        return self.context.origin


class EndRecord(msgspec.Struct, tag_field="event", tag="end", frozen=True, omit_defaults=True, gc=False):
    """A command has ended.

    Attributes:
        id: id of the command.
        time: UTC as Unix time [s].
        status: done or failed.
        error: type and text of the exception of a failed command.
        result: what a query answered; None for other commands and for what is too long to keep.
    """

    id: str
    time: float
    status: str
    error: str = ""
    result: Any = None

    event: ClassVar[str] = "end"


JournalRecord = BeginRecord | EndRecord


_LONGEST_TEXT = 2000
_INCOMPLETE = "the command journal could not be written completely (disk full?)"
_LONGEST_END = 8000
"""A longer record of an end is written without the result [bytes]."""


def _abridge(value: Any) -> Any:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"<array {value.dtype} {tuple(shape)}>"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return str(value)[:_LONGEST_TEXT]


_encode = msgspec.json.Encoder(enc_hook=_abridge).encode
_decoder: msgspec.json.Decoder[JournalRecord] = msgspec.json.Decoder(BeginRecord | EndRecord)


class Journal:
    """Append-only record of the commands of one control server.

    Args:
        folder: where the day files go; made with mode 0700 when missing.
        server: name of the control server.
        incarnation: which life of the server writes.
        mode: of the commands, see `egse.mode`; that of this process by default.
    """

    def __init__(self, folder: Path, server: str, incarnation: str, mode: str = "") -> None:
        self.folder = folder
        self.source = JournalSource(server, incarnation, mode or current_mode())
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd = -1
        self._day_ends = 0.0

    def begin(
        self, command_id: str, command: str, args: dict[str, Any], context: CommandContext, now: float
    ) -> None:
        """Records that a command is about to be sent to the device at `now` (Unix time [s]).

        Raises:
            OSError: when it cannot be written (disk full); the command must not be executed then.
        """
        if now >= self._day_ends:
            self._open(now)
        data = _encode(BeginRecord(command_id, now, self.source, command, args, context))
        line = b"%08x %b\n" % (crc32(data), data)
        if os.write(self._fd, line) != len(line):
            raise OSError(_INCOMPLETE)

    def end(self, command_id: str, status: str, error: str = "", result: Any = None) -> None:
        """Records how a command ended: `done` or `failed`.

        Args:
            command_id: id of the command.
            status: done or failed.
            error: type and text of the exception.
            result: what a query answered, which a dry run against this record answers, too.
        """
        now = time.time()
        data = _encode(EndRecord(command_id, now, status, error, result))
        if len(data) > _LONGEST_END:
            data = _encode(EndRecord(command_id, now, status, error))
        if now >= self._day_ends:
            self._open(now)
        line = b"%08x %b\n" % (crc32(data), data)
        if os.write(self._fd, line) != len(line):
            raise OSError(_INCOMPLETE)

    def close(self) -> None:
        """Closes the file; more records open it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._day_ends = 0.0

    def _open(self, now: float) -> None:
        self.close()
        path = self.folder / time.strftime("%Y%m%d.journal", time.gmtime(now))
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _end_torn_line(self._fd)
        self._day_ends = (now // 86400 + 1) * 86400


def _end_torn_line(fd: int) -> None:
    """Closes a line that a killed process or a full disk left unfinished, so that the next record stands alone."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        os.write(fd, b"\n")


def read_journal(path: Path) -> Iterator[JournalRecord]:
    """Yields the valid records of a journal file; lines with a wrong checksum (torn by a crash) are skipped."""
    with path.open("rb") as lines:
        for line in lines:
            checksum, _, data = line.rstrip(b"\n").partition(b" ")
            try:
                if int(checksum, 16) == crc32(data):
                    yield _decoder.decode(data)
            except (ValueError, msgspec.MsgspecError):
                continue


def last_records(folder: Path, count: int) -> list[JournalRecord]:
    """Returns the newest `count` records of a server, oldest first, from its journal files of the last days."""
    found: list[JournalRecord] = []
    for path in sorted(folder.glob("*.journal"), reverse=True):
        found = [*deque(read_journal(path), maxlen=count - len(found)), *found]
        if len(found) >= count:
            break
    return found
