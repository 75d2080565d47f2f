"""Tables that a Setup refers to: calibration curves, coefficients, the TM dictionary.

numpy and pandas are imported when the first table is read, not before.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from egse.setup.errors import DirectiveError


def read_csv_table(path: Path) -> Any:
    """Reads a CSV file with commas; empty lines and lines that begin with `#` are skipped.

    Args:
        path: the file.

    Returns:
        A numpy float array of shape (rows, columns), empty cells NaN, when all cells are numbers save those of a first
        line with the names of the columns; otherwise a list with one list of texts for each row, first line included.

    Raises:
        DirectiveError: when the file is no text.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                [cell.strip() for cell in row]
                for row in csv.reader(file)
                if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#")
            ]
    except (csv.Error, UnicodeDecodeError) as exc:
        raise DirectiveError(f"{path} is no CSV file: {exc}") from exc
    body = rows if rows and _numbers(rows[0]) is not None else rows[1:]
    numbers = [_numbers(row) for row in body]
    if not numbers or any(row is None for row in numbers) or len({len(row) for row in body}) != 1:
        return rows
    import numpy as np

    return np.array(numbers, dtype=float)


def _numbers(row: Sequence[str]) -> list[float] | None:
    try:
        return [float(cell) if cell else float("nan") for cell in row]
    except ValueError:
        return None


def read_data_frame(path: Path, separator: str) -> Any:
    """Reads a file of columns into a pandas DataFrame.

    Args:
        path: the file.
        separator: what parts the columns.

    Raises:
        DirectiveError: when pandas cannot make a table of it.
    """
    import pandas as pd

    try:
        return pd.read_csv(path, sep=separator)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as exc:
        raise DirectiveError(f"{path} is no table with {separator!r} between the columns: {exc}") from exc
