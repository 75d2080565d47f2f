"""Columns out of the bytes of a housekeeping file, in bulk.

A block of whole lines is cut at its commas by numpy; only blocks with quotes, or with lines that have another number of
cells than the header, go through the csv module. Nothing per row happens in Python otherwise.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from egse.system import str_to_datetime

Bytes = NDArray[np.uint8]
Cells = NDArray[np.bytes_]

NEWLINE, RETURN, COMMA, QUOTE = (ord(character) for character in '\n\r,"')
MISSING = (b"", b"nan", b"NaN", b"NAN", b"None", b"null", b"NA", b"N/A")
"""Cells that hold no value."""
WIDEST = 256
"""Cells of more bytes than this are cut out one by one."""
_NUMBER_STARTS = frozenset(b"+-.0123456789iInN")


def read_header(line: bytes) -> list[str]:
    """Returns the names of the columns in the first line of a file."""
    text = line.decode("utf-8-sig", errors="replace")
    return [name.strip() for name in next(csv.reader([text.rstrip("\r\n")]), [])]


def cut_columns(block: Bytes, width: int, wanted: Sequence[int]) -> list[Cells]:
    """Returns the cells of some columns.

    Args:
        block: whole lines, shape (bytes,); the last one ends with a newline.
        width: number of columns of the file.
        wanted: numbers of the columns.

    Returns:
        For each of `wanted` an array of shape (rows,). Lines that are empty are no rows; a row that is too short has empty
        cells at its end.
    """
    if block.size == 0:
        return [np.array([], dtype="S1") for _ in wanted]
    newlines = np.flatnonzero(block == NEWLINE)
    commas = np.flatnonzero(block == COMMA)
    if commas.size != newlines.size * (width - 1) or np.any(block == QUOTE):
        return _cut_slowly(block, wanted)
    first = np.concatenate(([0], newlines[:-1] + 1))
    last = newlines - (block[np.maximum(newlines - 1, 0)] == RETURN)
    grid = commas.reshape(newlines.size, width - 1)
    if width > 1 and (np.any(grid[:, 0] < first) or np.any(grid[:, -1] > newlines)):
        return _cut_slowly(block, wanted)
    if np.any(last <= first):
        return _cut_slowly(block, wanted)
    cells = []
    for index in wanted:
        start = first if index == 0 else grid[:, index - 1] + 1
        end = last if index == width - 1 else grid[:, index]
        cells.append(_gather(block, start, end))
    return cells


def _gather(block: Bytes, start: NDArray[np.int64], end: NDArray[np.int64]) -> Cells:
    """Returns the texts between positions."""
    length = end - start
    widest = max(int(length.max()), 1)
    if widest > WIDEST:
        data = block.tobytes()
        return np.array([data[a:b] for a, b in zip(start.tolist(), end.tolist())], dtype=np.bytes_)
    places = np.arange(widest)
    index = start[:, None] + places
    np.minimum(index, block.size - 1, out=index)
    texts = block[index]
    if int(length.min()) < widest:
        texts[places >= length[:, None]] = 0
    cells: Cells = texts.view(f"S{widest}").reshape(-1)
    return cells


def _cut_slowly(block: Bytes, wanted: Sequence[int]) -> list[Cells]:
    text = block.tobytes().decode("utf-8", errors="replace")
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    return [
        np.array([(row[index] if index < len(row) else "").encode() for row in rows], dtype=np.bytes_)
        for index in wanted
    ]


# -- values --------------------------------------------------------------------------------------------------------------


def as_numbers(cells: Cells) -> NDArray[np.int64] | NDArray[np.float64] | None:
    """Returns cells as integers, or as floats (missing ones nan); None when they are no numbers."""
    if cells.size == 0 or cells[0][:1] not in _FIRST:
        return None
    missing = cells == b""
    some_missing = bool(missing.any())
    try:
        if not some_missing and _only_integers(cells):
            return cells.astype(np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return (np.where(missing, b"nan", cells) if some_missing else cells).astype(np.float64)
    except ValueError:
        return None


_FIRST = (b"", *(bytes([character]) for character in _NUMBER_STARTS))


def _only_integers(cells: Cells) -> bool:
    texts = np.ascontiguousarray(cells).view(np.uint8)
    digits = (texts >= ord("0")) & (texts <= ord("9"))
    return bool(np.all(digits | (texts == 0) | (texts == ord("-")) | (texts == ord("+"))))


def blank_missing(cells: Cells) -> Cells:
    """Returns cells with every way to write "no value" as an empty one."""
    return np.where(np.isin(cells, MISSING), b"", cells)


def as_booleans(cells: Cells) -> NDArray[np.int8] | None:
    """Returns cells as 1 (True), 0 (False), -1 (missing); None when they are something else."""
    result = np.full(cells.size, -2, dtype=np.int8)
    for value, texts in ((1, (b"True", b"true", b"TRUE")), (0, (b"False", b"false", b"FALSE")), (-1, (b"",))):
        result[np.isin(cells, texts)] = value
    return None if np.any(result == -2) else result


def as_times(cells: Cells) -> NDArray[np.float64]:
    """Returns timestamps as Unix times [s], nan for those that cannot be read.

    `YYYY-mm-ddTHH:MM:SS.fff+0000` (any number of decimals; a Z, or nothing, for UTC) is read in bulk, other forms of ISO 8601
    one by one.
    """
    result = np.full(cells.size, np.nan)
    if cells.size == 0:
        return result
    lengths = np.char.str_len(cells)
    for length in np.unique(lengths).tolist():
        chosen = lengths == length
        result[chosen] = _times_of_length(cells[chosen], length)
    return result


_DIGITS = (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)
_SEPARATORS = {4: b"-", 7: b"-", 10: b"T ", 13: b":", 16: b":"}


def _times_of_length(cells: Cells, length: int) -> NDArray[np.float64]:
    if length < 19:
        return _times_one_by_one(cells)
    texts = np.ascontiguousarray(cells.astype(f"S{length}")).view(np.uint8).reshape(cells.size, length)
    sample = bytes(texts[0])
    zone = next((suffix for suffix in (b"+0000", b"+00:00", b"Z") if sample.endswith(suffix)), b"")
    decimals = length - 19 - len(zone)
    fraction = tuple(range(20, 19 + decimals))
    plain = decimals == 0 or (2 <= decimals <= 10 and np.all(texts[:, 19] == ord(".")))
    values = texts.astype(np.int64) - ord("0")
    plain = plain and bool(
        np.all((values[:, (*_DIGITS, *fraction)] >= 0) & (values[:, (*_DIGITS, *fraction)] <= 9))
    )
    plain = plain and all(
        np.all(np.isin(texts[:, place], list(allowed))) for place, allowed in _SEPARATORS.items()
    )
    if zone:
        plain = plain and bool(np.all(texts[:, length - len(zone) :] == list(zone)))
    if not plain:
        return _times_one_by_one(cells)
    return _assemble(values, fraction)


def _assemble(digits: NDArray[np.int64], fraction: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns Unix times of the digits at the places of a timestamp; nan for dates that do not exist."""

    def number(*places: int) -> NDArray[np.int64]:
        total = np.zeros(len(digits), dtype=np.int64)
        for place in places:
            total = 10 * total + digits[:, place]
        return total

    year, month, day = number(0, 1, 2, 3), number(5, 6), number(8, 9)
    hour, minute, second = number(11, 12), number(14, 15), number(17, 18)
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 60)
    safe_month = np.where(valid, month, 1)
    months = (np.where(valid, year, 1970) - 1970) * 12 + safe_month - 1
    start = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - start
    valid &= day <= length
    whole = (start + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second
    times = whole + number(*fraction) / 10.0 ** len(fraction)
    times[~valid] = np.nan
    return np.asarray(times, dtype=np.float64)


def _times_one_by_one(cells: Cells) -> NDArray[np.float64]:
    return np.array([_time(cell) for cell in cells.tolist()], dtype=np.float64)


def _time(cell: bytes) -> float:
    try:
        moment = str_to_datetime(cell.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return float("nan")
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
