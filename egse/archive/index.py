"""The archive index: what observations and files a site has, answered without looking at all of them.

It follows from the files of the archive alone. Whoever asks brings it up to date first with what has changed since: new
lines of the record, new folders, files of days that are not over. No service keeps it, any process may remove it.

    with ArchiveIndex("/data/CSL1") as index:
        index.refresh()
        index.observations(Query(status=("failed",), last=5))
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from egse.archive.anchors import anchors, drop_anchor
from egse.archive.index_file import open_index, remove_index, transaction
from egse.archive.locate import read_table
from egse.confman.observations import CLOSED, RECORD_FILE, ObservationRecord, apply_line
from egse.confman.recordfile import DamagedRecordError, decode_line, digest
from egse.storage.manifest import read_manifest
from egse.storage.naming import ObservationName, parse_prefix
from egse.storage.observation import ObservationInfo, read_description
from egse.system import unix_time

LOGGER = logging.getLogger(__name__)

FROM_RECORD, FROM_FOLDER = "record", "folder"
"""Where the index knows an observation from: the record of the site, or its folder and the obsid table only."""

_COLUMNS = [
    "prefix",
    "test_id",
    "site_id",
    "setup_id",
    "camera",
    "run_id",
    "state",
    "status",
    "reason",
    "start",
    "end",
    "start_time",
    "function",
    "description",
    "origin",
    "source",
    "present",
    "record",
]
_SELECT = ", ".join(f'"{name}"' for name in _COLUMNS)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An observation as the index knows it.

    Attributes:
        prefix: name of its folder.
        state: open, closing, closed; "unknown" for observations of older systems.
        status: how it ended, empty while it is open or when that is not known.
        start: UTC time as text, `YYYY-mm-ddTHH:MM:SS.mmm+0000`; empty when not known.
        end: the same of its end.
        start_time: Unix time of the start [s], None when not known.
        source: `record` or `folder`.
        present: whether its folder is here.
        record: what the configuration manager recorded; None for observations of older systems.
    """

    prefix: str
    test_id: int
    site_id: str
    setup_id: int | None
    camera: str | None
    run_id: str
    state: str
    status: str
    reason: str
    start: str
    end: str
    start_time: float | None
    function: str
    description: str
    origin: str
    source: str
    present: bool
    record: ObservationRecord | None = None

    @property
    def name(self) -> ObservationName:
        """All identifiers."""
        return ObservationName(self.test_id, self.site_id, self.setup_id, self.camera)

    @property
    def obsid(self) -> str:
        """Full obsid, `SITE_SETUP_TEST`; the prefix when the Setup is not known."""
        return self.name.obsid if self.setup_id is not None else self.prefix


class ArchiveIndex:
    """The index of one site, open for reading; it writes only itself.

    Args:
        site: data folder of the site.
    """

    def __init__(self, site: str | Path) -> None:
        self.site = Path(site).absolute()
        self.connection, self.path = open_index(self.site)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        self.connection.close()

    def rebuild(self) -> None:
        """Forgets everything but the anchors of closed observations; the next `refresh` reads all files of the archive again."""
        if self.path is not None:
            known = anchors(self.connection)
            self.connection.close()
            remove_index(self.path)
            self.connection, self.path = open_index(self.site)
            self.connection.executemany("INSERT OR IGNORE INTO anchors VALUES (?, ?, ?, ?, ?, ?, ?)", known)

    def refresh(self) -> None:
        """Brings the observations up to date: new lines of the record, folders that have come or gone.

        While another process writes the index for long, it stays as it is.
        """
        try:
            self._refresh_record()
            self._refresh_folders()
        except sqlite3.OperationalError as exc:
            LOGGER.warning("the archive index %s is not brought up to date: %s", self.path or "(memory)", exc)

    # -- asking ----------------------------------------------------------------------------------------------------

    def find(self, prefix: str) -> Entry | None:
        """Returns an observation by the name of its folder, None when it is not known."""
        rows = self.select("prefix = ?", (prefix,))
        return rows[0] if rows else None

    def select(self, where: str = "1", arguments: Iterable[Any] = (), tail: str = "") -> list[Entry]:
        """Returns observations by test id.

        Args:
            where: condition in SQL; `?` stands for arguments.
            arguments: their values.
            tail: what follows the order.
        """
        rows = self.connection.execute(
            f"SELECT {_SELECT} FROM observations WHERE {where} ORDER BY test_id, prefix {tail}",
            tuple(arguments),
        )
        return [_entry(row) for row in rows]

    def count(self) -> int:
        """Returns how many observations there are."""
        return int(self.connection.execute("SELECT count(*) FROM observations").fetchone()[0])

    def fact(self, name: str) -> Any:
        """Returns a remembered value, None when there is none."""
        row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def remember(self, **values: Any) -> None:
        """Remembers values by name."""
        self.connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", values.items())

    # -- the record of the site ------------------------------------------------------------------------------------

    def _refresh_record(self) -> None:
        path = self.site / RECORD_FILE
        offset, lines = self._new_lines(path)
        if offset is None:  # another record than before, or none any more
            with transaction(self.connection):
                self.connection.execute("DELETE FROM observations")
                self.connection.execute("DELETE FROM facts WHERE name LIKE 'record_%'")
            offset, lines = self._new_lines(path)
        if not lines:
            return
        with transaction(self.connection):
            if (self.fact("record_offset") or 0) != (offset or 0):
                return  # another process has read these lines meanwhile
            self._apply(lines)
            end = (offset or 0) + sum(map(len, lines))
            self.remember(
                record_offset=end, record_last=end - len(lines[-1]), record_digest=digest(lines[-1])
            )

    def _new_lines(self, path: Path) -> tuple[int | None, list[bytes]]:
        """Returns where the lines begin that are not in the index yet, and these lines; None for a file that is not
        the one that was read before."""
        offset, last = self.fact("record_offset") or 0, self.fact("record_last") or 0
        try:
            with path.open("rb") as file:
                file.seek(last)
                data = file.read()
        except FileNotFoundError:
            return (0, []) if offset == 0 else (None, [])
        if offset:
            known, data = data[: offset - last], data[offset - last :]
            if len(known) < offset - last or digest(known) != self.fact("record_digest"):
                return None, []
        lines = data.splitlines(keepends=True)
        return offset, [line for line in lines if line.endswith(b"\n")]

    def _apply(self, lines: list[bytes]) -> None:
        changed: dict[str, ObservationRecord] = {}
        for line in lines:
            try:
                fields = decode_line(line)
                run_id = fields["run_id"]
                if run_id not in changed:
                    changed |= {e.run_id: e.record for e in self.select("run_id = ?", (run_id,)) if e.record}
                apply_line(changed, fields)
            except (DamagedRecordError, msgspec.MsgspecError, KeyError) as exc:
                LOGGER.warning("a line of %s is left out of the index: %s", RECORD_FILE, exc)
        present = self._folders()
        drop_anchor(self.connection, self.site, changed.values())
        self.connection.executemany(
            _insert(), [_row_of_record(r, r.info.prefix in present) for r in changed.values()]
        )

    # -- folders ---------------------------------------------------------------------------------------------------

    def _folders(self) -> set[str]:
        """Returns the names in `obs/` that begin like those of observations."""
        try:
            names = os.listdir(self.site / "obs")
        except OSError:
            return set()
        return {name for name in names if name[:1].isdigit()}

    def _refresh_folders(self) -> None:
        present, names = self._prefixes("present"), self._folders()
        gone, came = present - names, names - present
        known = self._prefixes("NOT present") if came else set()
        new = {name for name in came - known if _is_prefix(name)}
        came = new | (came & known)
        rows = self._rows_of_folders(new | (self._unfinished() & names))
        if not (came or gone or any(self._differs(row) for row in rows)):
            return
        with transaction(self.connection):
            self.connection.executemany(
                "UPDATE observations SET present = 1 WHERE prefix = ?", [(name,) for name in came]
            )
            self.connection.executemany(
                "UPDATE observations SET present = 0 WHERE prefix = ?", [(name,) for name in gone]
            )
            self.connection.execute(
                "DELETE FROM observations WHERE source = ? AND NOT present", (FROM_FOLDER,)
            )
            self.connection.executemany(_insert(), rows)

    def _unfinished(self) -> set[str]:
        """Returns the observations without a record whose folders may say something else by now."""
        return self._prefixes("source = ? AND state != ?", FROM_FOLDER, CLOSED)

    def _prefixes(self, where: str, *arguments: str) -> set[str]:
        rows = self.connection.execute(f"SELECT prefix FROM observations WHERE {where}", arguments)
        return {row[0] for row in rows}

    def _differs(self, row: tuple[Any, ...]) -> bool:
        known = self.connection.execute(
            f"SELECT {_SELECT} FROM observations WHERE prefix = ?", (row[0],)
        ).fetchone()
        return bool(known != row)

    def _rows_of_folders(self, names: Iterable[str]) -> list[tuple[Any, ...]]:
        wanted = sorted(names)
        table = read_table(self.site) if wanted else {}
        return [_row_of_folder(self.site / "obs" / name, table) for name in wanted]


def _is_prefix(name: str) -> bool:
    try:
        parse_prefix(name)
    except ValueError:
        return False
    return True


def _insert() -> str:
    marks = ", ".join("?" * len(_COLUMNS))
    return f"INSERT OR REPLACE INTO observations ({_SELECT}) VALUES ({marks})"


def _entry(row: tuple[Any, ...]) -> Entry:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["present"] = bool(values["present"])
    if values["record"] is not None:
        values["record"] = msgspec.json.decode(values["record"], type=ObservationRecord)
    return Entry(**values)


def _time_of(text: str) -> float | None:
    try:
        return unix_time(text) if text else None
    except ValueError:
        return None


def _row_of_record(record: ObservationRecord, present: bool) -> tuple[Any, ...]:
    info = record.info
    return (
        info.prefix, info.test_id, info.site_id, info.setup_id, info.camera, info.run_id, record.state, record.status,
        record.reason, info.start, record.end, _time_of(info.start), info.function, info.description, info.origin,
        FROM_RECORD, int(present), msgspec.json.encode(record),
    )  # fmt: skip


def _row_of_folder(folder: Path, table: dict[tuple[int, str], ObservationInfo]) -> tuple[Any, ...]:
    """Returns what a folder without a record says, completed from the obsid table."""
    name = parse_prefix(folder.name)
    info = manifest = None
    try:
        info = read_description(folder)
        manifest = read_manifest(folder)
    except (ValueError, OSError) as exc:
        LOGGER.debug("%s", exc)
    line = info or table.get((name.test_id, name.site_id or ""))
    state = CLOSED if manifest else "open" if info else "unknown"
    setup_id = name.setup_id if name.setup_id is not None else line.setup_id if line else None
    start = line.start if line else ""
    return (
        folder.name, name.test_id, name.site_id or "", setup_id, name.camera, line.run_id if line else "", state,
        manifest.status if manifest else "", manifest.reason if manifest else "", start,
        manifest.end if manifest else "", _time_of(start), line.function if line else "",
        line.description if line else "", line.origin if line else "", FROM_FOLDER, 1, None,
    )  # fmt: skip
