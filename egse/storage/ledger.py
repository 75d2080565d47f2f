"""Which rows are in the files already: so that a row that is sent again is not stored twice.

A producer numbers its rows within a session of its own. Before a batch is written, one record of it goes into the
ledger: session, number of the first row, and where in which files the batch will stand. In the operating system's
hands as the rows are, it survives a kill; at the next start the files themselves tell how much of the batch is there.

The file consists of slots of equal size, one for each producer, each written with one call.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

LOGGER = logging.getLogger(__name__)

SLOT = 4096
"""Size of the record of one producer [bytes]."""
SESSIONS = 8
"""So many sessions of a producer are remembered, the latest ones."""
ROLES = 2
"""A row goes to the main file and, during an observation, to its mirror."""

_HEAD = struct.Struct("<II")  # length and CRC of what follows


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """Where rows of a batch stand in a file.

    Attributes:
        role: 0 for the main file, 1 for its mirror in the observation.
        path: the file.
        start: position of the first row (see `Persistence.position`).
        size: by how much the batch moves it.
        first: number of the first row.
        count: how many rows.
    """

    role: int
    path: str
    start: int
    size: int
    first: int
    count: int


class Account(msgspec.Struct, array_like=True):
    """What is known of one producer.

    Attributes:
        origin: its storage mnemonic.
        sessions: by session, the number that is expected next, for each role.
        session: the one that wrote last; empty for a producer that numbers nothing.
        marks: its last batch.
    """

    origin: str
    sessions: dict[str, list[int]] = {}
    session: str = ""
    marks: list[Mark] = []


class Track:
    """The account of one producer, kept on disk.

    Args:
        account: what is known.
        write: puts it on disk.
    """

    def __init__(self, account: Account, write: Callable[[bytes], None]) -> None:
        self._account = account
        self._write = write
        self._encode = msgspec.json.Encoder().encode

    def already(self, session: str, role: int, first: int, count: int) -> int:
        """Returns how many of `count` rows, the first numbered `first`, are in the file of this role."""
        known = self._account.sessions.get(session)
        return 0 if known is None else max(0, min(count, known[role] - first))

    def begin(self, session: str, marks: list[Mark]) -> None:
        """Notes a batch that is about to be written."""
        self._account.session, self._account.marks = session, marks
        self._write(self._encode(self._account))

    def save(self) -> None:
        """Puts the account on disk as it is: a new registration begins, with no batch under way."""
        self._account.marks = []
        self._write(self._encode(self._account))

    def end(self, session: str, following: int) -> None:
        """Notes that everything up to number `following` is in the files."""
        self._account.marks = []
        if not session:
            return
        sessions = self._account.sessions
        if session not in sessions and len(sessions) >= SESSIONS:
            del sessions[next(iter(sessions))]
        sessions[session] = [following] * ROLES

    def new_mirror(self) -> None:
        """A mirror begins: what is in the main file now was before its time."""
        for known in self._account.sessions.values():
            known[1] = known[0]

    def recover(self, settle: Callable[[Mark], int]) -> None:
        """Finds out, after a crash, how much of the last batch is in the files.

        Args:
            settle: returns how many of the rows of a mark are in its file.
        """
        account = self._account
        for mark in account.marks:
            there = settle(mark)
            if there < mark.count:
                LOGGER.info(
                    "%s: %d of the last %d rows are in %s", account.origin, there, mark.count, mark.path
                )
            if account.session:
                known = account.sessions.setdefault(account.session, [mark.first] * ROLES)
                known[mark.role] = mark.first + there
        account.marks = []


class Ledger:
    """The accounts of all producers of a site.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._slots: dict[str, int] = {}
        self._accounts: dict[str, Account] = {}
        self._free: list[int] = []
        self._load()

    def _load(self) -> None:
        slots = -(-os.fstat(self._fd).st_size // SLOT)
        for slot in range(slots):
            account = _decode(os.pread(self._fd, SLOT, slot * SLOT))
            if account is None or account.origin in self._slots:
                self._free.append(slot)
            else:
                self._slots[account.origin] = slot
                self._accounts[account.origin] = account

    def track(self, origin: str) -> Track:
        """Returns the account of a producer, a new one for one that is not known."""
        slot = self._slots.get(origin)
        if slot is None:
            slot = self._slots[origin] = self._free.pop() if self._free else len(self._slots)
        account = self._accounts.setdefault(origin, Account(origin))

        def write(data: bytes) -> None:
            self._write(slot, data)

        return Track(account, write)

    def _write(self, slot: int, data: bytes) -> None:
        if len(data) > SLOT - _HEAD.size:
            raise ValueError(
                f"the record of a producer has {len(data)} bytes, more than a slot of {SLOT} holds"
            )
        os.pwrite(self._fd, _HEAD.pack(len(data), zlib.crc32(data)) + data, slot * SLOT)

    def keep_only(self, origins: Sequence[str]) -> None:
        """Forgets all producers but these."""
        for origin in [origin for origin in self._slots if origin not in origins]:
            self.forget(origin)

    def forget(self, origin: str) -> None:
        """Forgets a producer."""
        slot = self._slots.pop(origin, None)
        self._accounts.pop(origin, None)
        if slot is not None:
            os.pwrite(self._fd, _HEAD.pack(0, 0), slot * SLOT)
            self._free.append(slot)

    def descriptors(self) -> list[int]:
        """Returns a descriptor for `fsync`, to be closed by the caller."""
        return [os.dup(self._fd)]

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)


def _decode(data: bytes) -> Account | None:
    if len(data) < _HEAD.size:
        return None
    length, check = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + length]
    if not length or zlib.crc32(body) != check:
        return None
    try:
        return msgspec.json.decode(body, type=Account)
    except msgspec.MsgspecError:
        return None
