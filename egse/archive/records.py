"""Lines of JSON of an observation: what happened, and every device command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_TIMES = ("time", "t", "timestamp", "started")
"""Which field of a line is its time, the first that there is: UTC as text, or Unix time [s]."""


class Records(list[dict[str, Any]]):
    """Events or commands, in their order: a list of dictionaries that can be filtered and made into a table."""

    def where(self, **fields: Any) -> Records:
        """Returns those whose fields have these values, e.g. `where(event="failed")`."""
        return Records(
            record for record in self if all(record.get(name) == value for name, value in fields.items())
        )

    def __call__(self, kind: str | None = None) -> Records:
        """Returns those whose `event` is `kind`, all of them for None."""
        return self if kind is None else self.where(event=kind)

    def table(self) -> pd.DataFrame:
        """Returns one row per record, indexed by time (UTC) where the records have one."""
        import pandas as pd

        table = pd.DataFrame(list(self))
        column = next((name for name in _TIMES if name in table.columns), None)
        if column is None:
            return table
        values = table.pop(column)
        if pd.api.types.is_numeric_dtype(values):
            times = pd.to_datetime(values, unit="s", utc=True)
        else:
            times = pd.to_datetime(values, utc=True, format="ISO8601", errors="coerce")
        return table.set_index(pd.DatetimeIndex(times, name="time"))


def read_lines(path: Path) -> Records:
    """Returns the complete lines of a file; none when it is missing.

    Raises:
        ValueError: when a line is damaged; the text names file and line.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return Records()
    records = Records()
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):  # being written, or cut off by a crash: never acknowledged
            break
        try:
            records.append(json.loads(line))
        except ValueError as exc:
            raise ValueError(f"{path}, line {number}, is damaged: {exc} (see `camtest verify`)") from exc
    return records
