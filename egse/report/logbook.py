"""The shift logbook: who noted what and when, for those who come after.

One file, `<data>/<SITE>/logbook.jsonl`, with a record a line as in `egse.confman.recordfile`: a checksum for each, chained
to the one before, on disk when it is added. Nothing is ever changed: what was wrong gets a further entry.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from egse.clock import Clock, system_clock
from egse.confman.recordfile import DamagedRecordError, RecordFile, check_chain, decode_line, read_lines
from egse.system import format_datetime, from_unix_time

LOGBOOK = "logbook.jsonl"
"""The logbook in the data folder of the site."""
KINDS = ("note", "shift", "problem", "instruction")
"""What an entry can be: anything; begin or end of a shift; something that went wrong; something to be done by the next shift."""
LONGEST_TEXT = 20_000
"""Longest text of an entry [characters]."""


class LogbookError(ValueError):
    """What was given is no entry of a logbook."""


class LogbookEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry.

    Attributes:
        number: its place in the logbook, from 1.
        time: UTC as Unix time [s].
        by: who wrote it.
        text: what.
        kind: one of `KINDS`.
        obsid: the observation that it is about, empty for none.
        origin: account and machine, `user@host`; not claimed by the writer.
    """

    number: int
    time: float
    by: str
    text: str
    kind: str = "note"
    obsid: str = ""
    origin: str = ""

    def __str__(self) -> str:
        about = " ".join(word for word in ("" if self.kind == "note" else self.kind, self.obsid) if word)
        mark = f" [{about}]" if about else ""
        return f"{format_datetime(from_unix_time(self.time))[:19]}  {self.by}{mark}: {self.text}"


class Logbook:
    """The logbook of a site; entries may come from several processes.

    Args:
        site: data folder of the site.
        clock: the host's clock by default.
    """

    def __init__(self, site: Path, clock: Clock | None = None) -> None:
        self.path = site / LOGBOOK
        self._clock = clock or system_clock()

    def add(self, text: str, *, by: str = "", kind: str = "note", obsid: str = "") -> LogbookEntry:
        """Adds an entry, which is on disk afterwards.

        Args:
            text: what is to be known.
            by: who says so; the account by default.
            kind: one of `KINDS`.
            obsid: the observation that it is about.

        Raises:
            LogbookError: when the text is empty or too long, or the kind unknown.
            OSError: when it cannot be written.
        """
        text = text.strip()
        if not text or len(text) > LONGEST_TEXT:
            raise LogbookError(f"an entry needs a text of at most {LONGEST_TEXT} characters, not {len(text)}")
        if kind not in KINDS:
            raise LogbookError(f"{kind!r} is no kind of entry; there are: {', '.join(KINDS)}")
        account = getpass.getuser()
        with self._locked():
            file = RecordFile(self.path)
            last = max((number for number, _ in read_lines(self.path)), default=0)
            entry = LogbookEntry(
                number=last + 1,
                time=round(self._clock.now(), 3),
                by=by.strip() or account,
                text=text,
                kind=kind,
                obsid=obsid,
                origin=f"{account}@{socket.gethostname()}",
            )
            file.append(msgspec.to_builtins(entry))
        return entry

    def entries(self, since: float | None = None, until: float | None = None) -> list[LogbookEntry]:
        """Returns the entries of a span of time, `since <= time < until` [Unix s], oldest first.

        Damaged lines are left out; `problems` names them.
        """
        found = []
        for _, line in read_lines(self.path):
            try:
                entry = msgspec.convert(decode_line(line), LogbookEntry)
            except (DamagedRecordError, msgspec.ValidationError):
                continue
            if (since is None or entry.time >= since) and (until is None or entry.time < until):
                found.append(entry)
        return found

    def problems(self) -> list[str]:
        """Returns what is wrong with the file, one text for each damaged, altered or missing line."""
        return check_chain(self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, of all processes on this machine."""
        descriptor = os.open(
            self.path.with_name(f".{LOGBOOK}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
