"""Housekeeping of an observation: a table for each producer, read when it is asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from egse.advice import did_you_mean
from egse.storage.naming import parse_filename
from egse.system import MissingKeyError

if TYPE_CHECKING:
    import pandas as pd

TIMESTAMP = "timestamp"


class Housekeeping(Mapping[str, "pd.DataFrame"]):
    """Housekeeping by storage mnemonic: `hk["PUNA"]` is a table indexed by time (UTC).

    A table is read when it is asked for, and kept. `table.attrs["units"]` has the units of its columns.

    Args:
        obsid: of the observation, for messages.
        files: the CSV files of each producer.
        units: unit of each parameter, as far as known.
    """

    def __init__(self, obsid: str, files: Mapping[str, list[Path]], units: Mapping[str, str]) -> None:
        self._obsid = obsid
        self._files = dict(sorted(files.items()))
        self.units = dict(units)
        self._tables: dict[str, pd.DataFrame] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        return f"<housekeeping of {self._obsid}: {', '.join(self) or 'none'}>"

    def __getitem__(self, mnemonic: str) -> pd.DataFrame:
        if mnemonic not in self._files:
            known = ", ".join(self) or "none"
            raise MissingKeyError(
                f"observation {self._obsid} has no housekeeping of {mnemonic} (there is: {known})"
            )
        if mnemonic not in self._tables:
            self._tables[mnemonic] = self._read(mnemonic)
        return self._tables[mnemonic]

    def __call__(self, mnemonic: str) -> pd.DataFrame:
        """Returns the table of one producer, as `hk[mnemonic]`."""
        return self[mnemonic]

    def files(self, mnemonic: str) -> list[Path]:
        """Returns the CSV files of a producer, none for an unknown one."""
        return list(self._files.get(mnemonic, []))

    def columns(self, mnemonic: str) -> list[str]:
        """Returns the names of a producer's parameters from the header of its file, without reading the rows."""
        return _header(self.files(mnemonic)[0]) if self.files(mnemonic) else []

    def find(self, parameter: str) -> str:
        """Returns the mnemonic of the producer that has a parameter.

        Raises:
            LookupError: when none has.
        """
        names: list[str] = []
        for mnemonic in self:
            columns = self.columns(mnemonic)
            if parameter in columns:
                return mnemonic
            names += columns
        raise MissingKeyError(
            f"observation {self._obsid} has no parameter {parameter}.{did_you_mean(parameter, names)}"
        )

    def parameter(self, name: str) -> pd.Series:
        """Returns one parameter over time (UTC), whoever produced it.

        Raises:
            LookupError: when no producer has it.
        """
        return self[self.find(name)][name]

    def _read(self, mnemonic: str) -> pd.DataFrame:
        import pandas as pd

        parts = [_read_csv(path) for path in self._files[mnemonic]]
        filled = [part for part in parts if len(part)]
        table = pd.concat(filled, ignore_index=True) if len(filled) > 1 else (filled or parts)[0]
        if TIMESTAMP in table.columns:
            times = pd.to_datetime(table.pop(TIMESTAMP), utc=True, format="ISO8601", errors="coerce")
            table = table.set_index(pd.DatetimeIndex(times, name=TIMESTAMP))
        table.attrs["units"] = {name: self.units[name] for name in table.columns if name in self.units}
        return table


def hk_files(files: list[Path]) -> dict[str, list[Path]]:
    """Returns the housekeeping files among the files of an observation, by storage mnemonic."""
    found: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix == ".csv":
            try:
                found.setdefault(parse_filename(path.name).mnemonic, []).append(path)
            except ValueError:
                continue
    return found


def _read_csv(path: Path) -> pd.DataFrame:
    """Reads the complete lines of a file; one that is being written ends in the middle of a line."""
    import pandas as pd

    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    return pd.read_csv(io.BytesIO(data[:end])) if end else pd.DataFrame()


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])
