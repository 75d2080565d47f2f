"""What the index remembers of closed observations, whatever happens to the record of the site afterwards.

Whoever removes the newest observation together with its lines in the record and in the obsid table leaves files that fit
together. The index was told of it when somebody last looked, and forgets nothing by itself.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from egse.archive.index_file import transaction
from egse.confman.observations import CLOSED, RECORD_FILE, ObservationRecord
from egse.confman.recordfile import digest
from egse.storage.manifest import SUPPLEMENTS

_COLUMNS = "run_id, prefix, obsid, origin, sha256, supplements, last"


class Anchor(NamedTuple):
    """A closed observation as it was seen once.

    Attributes:
        origin: digest of the first line of the record that it stood in: which site's record it was.
        sha256: of its manifest.
        supplements: number of supplements that were listed.
        last: SHA-256 of the line of the last of them, empty without any.
    """

    run_id: str
    prefix: str
    obsid: str
    origin: str
    sha256: str
    supplements: int
    last: str


def origin_of(site: Path) -> str:
    """Returns the digest of the first line of a site's record, empty when there is none."""
    try:
        with (site / RECORD_FILE).open("rb") as file:
            return digest(file.readline())
    except OSError:
        return ""


def supplements_of(folder: Path) -> tuple[int, str]:
    """Returns how many supplements are listed in a folder, and the SHA-256 of the last line."""
    try:
        lines = (folder / SUPPLEMENTS).read_bytes().splitlines()
    except OSError:
        return 0, ""
    return len(lines), hashlib.sha256(lines[-1]).hexdigest() if lines else ""


def drop_anchor(connection: sqlite3.Connection, site: Path, records: Iterable[ObservationRecord]) -> None:
    """Remembers closed observations that are not remembered yet; nothing that is remembered is changed."""
    origin = origin_of(site)
    connection.executemany(
        f"INSERT OR IGNORE INTO anchors ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, 0, '')",
        [
            (record.info.run_id, record.info.prefix, record.info.obsid, origin, record.manifest_sha256)
            for record in records
            if record.state == CLOSED
        ],
    )


def anchors(connection: sqlite3.Connection) -> list[Anchor]:
    """Returns all that is remembered, by prefix."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM anchors ORDER BY prefix")
    return [Anchor(*row) for row in rows]


def remember_supplements(connection: sqlite3.Connection, site: Path, prefixes: Iterable[str]) -> None:
    """Remembers the supplements that are listed now; for observations that were found as recorded."""
    with transaction(connection):
        for prefix in prefixes:
            count, last = supplements_of(site / "obs" / prefix)
            connection.execute(
                "UPDATE anchors SET supplements = ?, last = ? WHERE prefix = ? AND supplements <= ?",
                (count, last, prefix, count),
            )


def contradictions(
    known: Iterable[Anchor], site: Path, records: Mapping[str, ObservationRecord]
) -> Iterator[tuple[str, str, str]]:
    """Yields path, obsid and text of whatever the files of the site deny that the index remembers.

    Args:
        known: what is remembered.
        site: data folder of the site.
        records: its record, by run id.
    """
    origin = origin_of(site)
    for anchor in known:
        record = records.get(anchor.run_id)
        folder = site / "obs" / anchor.prefix
        if record is None or record.state != CLOSED:
            of = "" if anchor.origin == origin else " (the whole record is another one than before)"
            yield RECORD_FILE, anchor.obsid, f"the index remembers {anchor.obsid}, the record denies it{of}"
        elif record.manifest_sha256 != anchor.sha256:
            yield (
                RECORD_FILE,
                anchor.obsid,
                f"the checksum of the manifest of {anchor.obsid} was another one before",
            )
        if anchor.supplements and folder.is_dir() and not _still_there(folder, anchor):
            yield (
                f"obs/{anchor.prefix}/{SUPPLEMENTS}",
                anchor.obsid,
                f"was altered: {anchor.supplements} supplements were listed before",
            )


def _still_there(folder: Path, anchor: Anchor) -> bool:
    try:
        lines = (folder / SUPPLEMENTS).read_bytes().splitlines()
    except OSError:
        return False
    if len(lines) < anchor.supplements:
        return False
    return hashlib.sha256(lines[anchor.supplements - 1]).hexdigest() == anchor.last
