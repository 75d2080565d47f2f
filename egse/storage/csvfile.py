"""CSV housekeeping files: one header line, then one line for each row (storage ICD, section 7)."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from egse.files import fsync_folder
from egse.storage.naming import utc_text
from egse.storage.persistence import LineFile, Rows, StorageError

LOGGER = logging.getLogger(__name__)

TIMESTAMP = "timestamp"
MAX_WIDENINGS = 20
"""How often the header of one file may grow before new columns are refused."""


def format_cell(value: Any) -> str:
    """Returns a value as text of a cell: nothing for None, `True`/`False`, shortest exact floats, UTC for datetimes.

    A cell never contains a line break (it becomes the two characters `\\n`), so that one row is one line.
    """
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return repr(value)
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, (bool, int)):
        return str(value)
    elif isinstance(value, float):
        return repr(float(value))
    elif isinstance(value, datetime):
        return utc_text(value.timestamp())
    elif isinstance(value, (list, tuple, dict)):
        text = json.dumps(value, default=str)
    elif hasattr(value, "item"):
        return format_cell(value.item())
    else:
        text = str(value)
    if "\n" in text or "\r" in text:
        text = text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")
    return text


def format_line(cells: Sequence[str]) -> bytes:
    """Returns cells as one line of a CSV file."""
    plain = ",".join(cells)
    if plain.count(",") == len(cells) - 1 and '"' not in plain and plain.strip():
        return plain.encode() + b"\n"
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()


class CSVFile(LineFile):
    """A housekeeping file.

    The columns are fixed by `prep["column_names"]`, by the header of a file that exists, or by the first row; the
    mandatory column `timestamp` is added when it is missing. A row without a column leaves the cell empty. A row with
    a new column widens the file: it is rewritten once with a longer header, so that no value is lost and the file
    keeps exactly one header; after `MAX_WIDENINGS` of them the row is refused.

    `read` returns a list of dictionaries of text; `select` may hold `columns` (list), `last` (number of rows), `start`
    and `end` (timestamps as text, `start <= timestamp < end`).
    """

    extension = "csv"

    def __init__(self, path: Path, prep: Mapping[str, Any] | None = None) -> None:
        super().__init__(path, prep)
        self._columns: list[str] = []
        self._known: set[str] = set()
        self._widenings = 0

    @property
    def columns(self) -> list[str]:
        """Names of the columns in the order of the file."""
        return list(self._columns)

    def open(self) -> None:
        if self._fd is not None:
            return
        super().open()
        self._set_columns(self._read_header())
        prepared = [str(name) for name in self.prep.get("column_names") or ()]
        if prepared:
            self._fix_columns(prepared)

    def append(self, rows: Rows, *, resend: bool = False) -> int:
        if not rows:
            return 0
        for row in rows:
            if not isinstance(row, Mapping):
                raise StorageError(
                    f"a row of {self.path.name} must be a mapping of column to value, got {row!r:.80}"
                )
        self.open()
        if not self._columns:
            self._fix_columns([str(name) for name in rows[0]])
        self._widen_for(rows)
        columns = self._columns
        return self.write_lines(
            [format_line([format_cell(row.get(name)) for name in columns]) for row in rows], resend
        )

    def _widen_for(self, rows: Rows) -> None:
        known = self._known
        if all(name in known for row in rows for name in row):
            return
        new = list(dict.fromkeys(str(name) for row in rows for name in row if name not in known))
        if self._widenings >= MAX_WIDENINGS:
            raise StorageError(
                f"{self.path.name} got new columns {MAX_WIDENINGS} times already; refused: {new}"
            )
        self._fix_columns(new)

    def _fix_columns(self, names: Sequence[str]) -> None:
        """Makes sure that the file has these columns, behind those that it has."""
        wanted = [*self._columns, *(name for name in dict.fromkeys(names) if name not in self._known)]
        if TIMESTAMP not in wanted:
            wanted.insert(0 if not self._columns else len(wanted), TIMESTAMP)
        if wanted == self._columns:
            return
        header = format_line([format_cell(name) for name in wanted])
        if self._columns:
            added = wanted[len(self._columns) :]
            LOGGER.warning("%s gets new columns: %s", self.path.name, ", ".join(added))
            self._rewrite(header, b"," * len(added) + b"\n")
            self._widenings += 1
        else:
            super().write_lines([header])
        self._set_columns(wanted)

    def _set_columns(self, names: list[str]) -> None:
        self._columns = names
        self._known = set(names)

    def _rewrite(self, header: bytes, filling: bytes) -> None:
        """Replaces the header and fills the rows up, on a copy that takes the place of the file at the end."""
        copy = self.path.with_name(f".{self.path.name}.widened")
        with self.path.open("rb") as old, copy.open("wb") as new:
            old.readline()
            new.write(header)
            new.writelines(line.rstrip(b"\n") + filling for line in old)
            new.flush()
            os.fchmod(new.fileno(), 0o640)
            os.fsync(new.fileno())
        self.close()
        os.replace(copy, self.path)
        fsync_folder(self.path.parent)
        LineFile.open(self)

    def _read_header(self) -> list[str]:
        with self.path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])

    def read(self, select: Mapping[str, Any] | None = None) -> list[dict[str, str]]:
        if not self.exists():
            return []
        chosen = dict(select or {})
        rows = list(self._select(chosen))
        if chosen.get("last") is not None:
            rows = rows[max(0, len(rows) - int(chosen["last"])) :]
        return rows

    def _select(self, select: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        start, end, columns = select.get("start"), select.get("end"), select.get("columns")
        with self.path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                time = row.get(TIMESTAMP) or ""
                if (start and time < start) or (end and time >= end):
                    continue
                yield {name: row.get(name) or "" for name in columns} if columns else row
