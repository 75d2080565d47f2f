"""The file of the archive index: where it is, what is in it, what happens when it is damaged or may not be written.

It lies in the data folder of the site when that can be written and is on a local disk. Otherwise (read-only media, a
network file system, on which SQLite's write-ahead log does not work) everybody has one of his own in the cache folder
of the user, and in the worst case one in memory. Nothing is lost with it: it follows from the files of the archive.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

LOGGER = logging.getLogger(__name__)

INDEX_FILE = "archive-index.sqlite"
"""Name of the index in the data folder of the site."""
SCHEMA_VERSION = 2
BUSY_TIMEOUT = 5.0
"""How long to wait for another process that is writing [s]."""
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs", "lustre"}
)
_MOUNTS = Path("/proc/self/mounts")
_ESCAPE = re.compile(r"\\([0-7]{3})")
"""A blank in a mount point is written as `\\040`."""

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE observations (
    prefix TEXT PRIMARY KEY, test_id INTEGER NOT NULL, site_id TEXT NOT NULL, setup_id INTEGER, camera TEXT,
    run_id TEXT NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    start TEXT NOT NULL, "end" TEXT NOT NULL, start_time REAL, function TEXT NOT NULL, description TEXT NOT NULL,
    origin TEXT NOT NULL, source TEXT NOT NULL, present INTEGER NOT NULL, record BLOB
) WITHOUT ROWID;
CREATE INDEX observations_by_test ON observations (test_id, site_id);
CREATE INDEX observations_by_run ON observations (run_id);
CREATE INDEX observations_by_start ON observations (start_time);
CREATE TABLE files (
    path TEXT PRIMARY KEY, folder TEXT NOT NULL, prefix TEXT, kind TEXT NOT NULL, mnemonic TEXT, extension TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT, start_time REAL, end_time REAL
) WITHOUT ROWID;
CREATE INDEX files_by_folder ON files (folder);
CREATE INDEX files_by_prefix ON files (prefix);
CREATE INDEX files_by_mnemonic ON files (mnemonic, start_time);
CREATE TABLE IF NOT EXISTS anchors (
    run_id TEXT PRIMARY KEY, prefix TEXT NOT NULL, obsid TEXT NOT NULL, origin TEXT NOT NULL, sha256 TEXT NOT NULL,
    supplements INTEGER NOT NULL DEFAULT 0, last TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE folders (path TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sums (path TEXT PRIMARY KEY, prefix TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID;
"""


def is_network_disk(folder: Path) -> bool:
    """Says whether a folder is on a file system that other machines serve."""
    resolved = folder.resolve()
    best, kind = "", ""
    for mount, found in _mounts():
        if resolved.is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, found
    return kind in _NETWORK


def _mounts() -> list[tuple[str, str]]:
    """Returns mount points and the types of their file systems."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # no Linux
        import psutil  # takes longer to load than a list of observations

        return [(entry.mountpoint, entry.fstype) for entry in psutil.disk_partitions(all=True)]
    fields = [line.split(" ") for line in lines]
    return [(_ESCAPE.sub(lambda code: chr(int(code[1], 8)), mount), kind) for _, mount, kind, *_ in fields]


def cache_folder() -> Path:
    """Returns the folder for private indexes: `XDG_CACHE_HOME` or `~/.cache`, then `camtest/archive`.

    Raises:
        RuntimeError: when this user has no home.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "camtest" / "archive"


def index_places(site: Path) -> Iterator[Path]:
    """Yields where the index of a site may be, best first."""
    if os.access(site, os.W_OK) and not is_network_disk(site):
        yield site / INDEX_FILE
    with contextlib.suppress(RuntimeError):
        name = hashlib.sha256(str(site.resolve()).encode()).hexdigest()[:24]
        yield cache_folder() / f"{name}.sqlite"


def open_index(site: Path) -> tuple[sqlite3.Connection, Path | None]:
    """Opens the index of a site, an empty one where there is none that can be used.

    Returns:
        The connection (autocommit) and the path of the file, None when it is in memory.
    """
    for path in index_places(site):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _open(path), path
        except (OSError, sqlite3.Error) as exc:
            LOGGER.debug("the archive index %s cannot be used: %s", path, exc)
    connection = _connect(":memory:")
    _prepare(connection)
    return connection, None


def remove_index(path: Path) -> None:
    """Removes an index with its side files."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _open_once(path)
    except sqlite3.OperationalError:
        raise  # locked, read-only, disk full: the file itself may be good
    except sqlite3.DatabaseError as exc:
        LOGGER.warning("the archive index %s is damaged (%s): it is made anew", path, exc)
        remove_index(path)
        return _open_once(path)


def _open_once(path: Path) -> sqlite3.Connection:
    # Made by us, so that nobody else can read more than the group of the data may, and never through a link.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
    finally:
        os.close(descriptor)
    connection = _connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)


def _prepare(connection: sqlite3.Connection) -> None:
    """Makes the tables; those of another version of this software are made anew."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA_VERSION:
        return
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA_VERSION:  # another process was faster
            return
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name != 'anchors'"
        ).fetchall()
        for (name,) in names:
            connection.execute(f'DROP TABLE "{name}"')
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Makes what happens in a `with` block one change, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
