"""CSV housekeeping files: one header line, then one line for each row (storage ICD, section 7)."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from egse.files import fsync_folder
from egse.storage.files import repair_tail
from egse.storage.naming import utc_text
from egse.storage.persistence.base import Prepared, Rows, last_of
from egse.storage.persistence.text import GrowingFile
from egse.storageerrors import StorageError

LOGGER = logging.getLogger(__name__)

TIMESTAMP = "timestamp"
MAX_WIDENINGS = 20
"""How often the header of one file may grow before new columns are refused."""
PLAIN = frozenset({float, int, bool, str, type(None)})
"""Types that the `csv` module writes just as `format_cell` does."""


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


class CSV(GrowingFile):
    """A housekeeping file.

    * `prep`: `column_names` (list). Without it the columns are those of a file that exists, or of the first row. The
      mandatory column `timestamp` is added when it is missing.
    * `data`: a mapping of column to value, or a list of them. A row without a column leaves the cell empty. A row with
      a new column widens the file: it is rewritten once with a longer header, so that no value is lost and the file
      keeps exactly one header; after `MAX_WIDENINGS` of them the row is refused.
    * `select` of `read`: `columns` (list), `last` (number of rows), `start` and `end` (timestamps as text,
      `start <= timestamp < end`). `read` returns a list of dictionaries of text.
    """

    extension = "csv"

    def __init__(self, path: Path, prep: Mapping[str, Any] | None = None) -> None:
        super().__init__(path, prep)
        self._columns: list[str] = []
        self._known: set[str] = set()
        self._cells_of: Callable[[Any], tuple[Any, ...]] | None = None
        self._widenings = 0
        self._buffer = io.StringIO()
        self._writer = csv.writer(self._buffer, lineterminator="\n")

    @property
    def columns(self) -> list[str]:
        """Names of the columns in the order of the file."""
        return list(self._columns)

    def open(self) -> None:
        if self._is_open():
            return
        super().open()
        self._set_columns(self._read_header())
        prepared = [str(name) for name in self.prep.get("column_names") or ()]
        if prepared:
            self._fix_columns(prepared)

    def repair(self) -> None:
        repair_tail(self.path)

    def prepare(self, rows: Rows) -> Prepared:
        self.open()
        data = self._format_plain(rows)
        if data is None:
            data = self._format_any(rows)
        return Prepared(len(rows), len(data), data)

    def _format_plain(self, rows: Rows) -> bytes | None:
        """Returns rows of exactly the columns of the file and plain values, formatted by the `csv` module.

        Returns:
            None when there is anything special about them.
        """
        cells_of = self._cells_of
        if cells_of is None:
            return None
        width = len(self._columns)
        kinds: set[type] = set()
        cells = []
        for row in rows:
            if type(row) is not dict or len(row) != width:
                return None
            try:
                values = cells_of(row)
            except KeyError:
                return None
            kinds.update(map(type, values))
            cells.append(values)
        if not kinds <= PLAIN:
            return None
        self._buffer.seek(0)
        self._buffer.truncate()
        self._writer.writerows(cells)
        text = self._buffer.getvalue()
        if text.count("\n") != len(rows) or "\r" in text:
            return None  # a line break inside a cell
        return text.encode()

    def _format_any(self, rows: Rows) -> bytes:
        for row in rows:
            if not isinstance(row, Mapping):
                raise StorageError(
                    f"a row of {self.path.name} must be a mapping of column to value, got {row!r:.80}"
                )
        if not self._columns:
            self._fix_columns([str(name) for name in rows[0]])
        self._widen_for(rows)
        columns = self._columns
        return b"".join(format_line([format_cell(row.get(name)) for name in columns]) for row in rows)

    def settle(self, start: int, size: int, count: int) -> int:
        there = self.path.stat().st_size if self.exists() else 0
        if there >= start + size:
            return count
        repair_tail(self.path)
        if there <= start:
            return 0
        with self.path.open("rb") as file:
            file.seek(start)
            return min(count, sum(1 for _ in file))

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
            super().write(Prepared(0, len(header), header))
        self._set_columns(wanted)

    def _set_columns(self, names: list[str]) -> None:
        self._columns = names
        self._known = set(names)
        self._cells_of = itemgetter(*names) if len(names) > 1 else None

    def _rewrite(self, header: bytes, filling: bytes) -> None:
        """Replaces the header and fills the rows up, on a copy that takes the place of the file at the end."""
        copy = self.path.with_name(f".{self.path.name}.widened")
        try:
            with self.path.open("rb") as old, copy.open("wb") as new:
                old.readline()
                new.write(header)
                new.writelines(line.rstrip(b"\n") + filling for line in old)
                new.flush()
                os.fchmod(new.fileno(), 0o640)
                os.fsync(new.fileno())
        except OSError:
            copy.unlink(missing_ok=True)
            raise
        self.close()
        os.replace(copy, self.path)
        fsync_folder(self.path.parent)
        GrowingFile.open(self)

    def _read_header(self) -> list[str]:
        with self.path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])

    def read(self, select: Mapping[str, Any] | None = None) -> list[dict[str, str]]:
        if not self.exists():
            return []
        chosen = dict(select or {})
        return last_of(list(self._select(chosen)), chosen)

    def _select(self, select: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        start, end, columns = select.get("start"), select.get("end"), select.get("columns")
        with self.path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                time = row.get(TIMESTAMP) or ""
                if (start and time < start) or (end and time >= end):
                    continue
                yield {name: row.get(name) or "" for name in columns} if columns else row
