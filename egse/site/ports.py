"""Blocks of TCP ports, so that several sites run on one machine without meeting.

A block is claimed in a file of a per-user runtime folder, under a lock, and every port of it is tried. A claim stays for
as long as the folder of its owner exists: a sandbox that is stopped finds its ports free when it is started again.
Blocks lie below the range from which the operating system picks ports for outgoing connections (from 32768 on Linux) and
leave out the ports of the global settings.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from egse.files import write_atomically
from egse.process.program import file_lock, read_json

UNIT = 100
"""Number of ports in the smallest block."""

FIRST_PORTS = (*range(20_000, 30_000, UNIT), *range(30_600, 31_900, UNIT))
"""Where blocks may start."""


class PortClaimError(RuntimeError):
    """No block of ports can be had; the text says what to do."""


@dataclass(frozen=True)
class PortBlock:
    """A block of consecutive TCP ports.

    Attributes:
        first: the first port.
        size: how many ports.
    """

    first: int
    size: int = UNIT

    @property
    def ports(self) -> range:
        """All ports of the block."""
        return range(self.first, self.first + self.size)

    def __str__(self) -> str:
        return f"{self.first}..{self.first + self.size - 1}"


class _Claims(msgspec.Struct):
    """Content of the claims file: first port of the block -> who has it and how large it is."""

    owners: dict[str, str] = {}
    sizes: dict[str, int] = {}


def runtime_folder() -> Path:
    """Returns this user's folder for short-lived files, made when needed.

    Raises:
        PortClaimError: when someone else owns it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and os.access(base, os.W_OK):
        folder = Path(base) / "camtest"
    else:
        folder = Path(tempfile.gettempdir()) / f"camtest-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PortClaimError(
            f"{folder} belongs to someone else: remove it, or set XDG_RUNTIME_DIR to a folder of yours"
        )
    return folder


def busy_ports(ports: Iterable[int], host: str = "127.0.0.1") -> list[int]:
    """Returns the ports on which someone listens now."""
    busy = []
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as exc:
                if exc.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                busy.append(port)
    return busy


def claim_block(
    owner: Path, *, size: int = UNIT, preferred: int | None = None, folder: Path | None = None
) -> PortBlock:
    """Claims a block of ports for a folder, or returns the one it has.

    Args:
        owner: the folder that owns the block; its claim ends when the folder no longer exists.
        size: how many ports, a multiple of 100.
        preferred: first port of the block it had before, taken again when nobody else has claimed it.
        folder: where the claims are kept; the runtime folder of this user by default.

    Raises:
        PortClaimError: when no block is free.
    """
    size = -(-size // UNIT) * UNIT
    path = (folder or runtime_folder()) / "ports.json"
    with file_lock(path.with_suffix(".lock")):
        claims = _living(read_json(path, _Claims) or _Claims())
        mine = [first for first, name in claims.owners.items() if name == str(owner.resolve())]
        for first in mine:
            if claims.sizes[first] >= size:
                return PortBlock(int(first), claims.sizes[first])
            _forget(claims, first)
        block = _free_block(claims, owner, size, preferred)
        claims.owners[str(block.first)] = str(owner.resolve())
        claims.sizes[str(block.first)] = block.size
        write_atomically(path, msgspec.json.encode(claims), 0o600)
    return block


def release_block(owner: Path, folder: Path | None = None) -> None:
    """Gives up the blocks that a folder has claimed."""
    path = (folder or runtime_folder()) / "ports.json"
    with file_lock(path.with_suffix(".lock")):
        claims = _living(read_json(path, _Claims) or _Claims())
        for first in [first for first, name in claims.owners.items() if name == str(owner.resolve())]:
            _forget(claims, first)
        write_atomically(path, msgspec.json.encode(claims), 0o600)


def _forget(claims: _Claims, first: str) -> None:
    del claims.owners[first]
    del claims.sizes[first]


def _living(claims: _Claims) -> _Claims:
    """Returns the claims whose owners still exist."""
    owners = {
        first: name for first, name in claims.owners.items() if Path(name).is_dir() and first in claims.sizes
    }
    return _Claims(owners, {first: claims.sizes[first] for first in owners})


def _free_block(claims: _Claims, owner: Path, size: int, preferred: int | None) -> PortBlock:
    taken = {
        unit
        for first, length in claims.sizes.items()
        for unit in range(int(first), int(first) + length, UNIT)
    }
    # Users do not see each other's claims: start at different places, so that they seldom meet.
    start = zlib.crc32(f"{os.getuid()}:{owner.resolve()}".encode()) % len(FIRST_PORTS)
    candidates = [*FIRST_PORTS[start:], *FIRST_PORTS[:start]]
    if preferred is not None:
        candidates.insert(0, preferred)
    for first in candidates:
        units = range(first, first + size, UNIT)
        if all(unit in FIRST_PORTS and unit not in taken for unit in units):
            block = PortBlock(first, size)
            if not busy_ports(block.ports):
                return block
    raise PortClaimError(
        f"no block of {size} ports is free between {FIRST_PORTS[0]} and {FIRST_PORTS[-1] + UNIT - 1}: "
        f"remove the folders of sandboxes that are not needed any more"
    )
