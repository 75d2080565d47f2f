"""One column of a housekeeping file as arrays that can be kept and added to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egse.hk.cells import Cells, as_booleans, as_numbers, as_times, blank_missing

TIME, EMPTY, INT, FLOAT, BOOL, TEXT = "time", "empty", "int", "float", "bool", "text"

DTYPES: dict[str, np.dtype[Any]] = {
    TIME: np.dtype("<f8"),
    EMPTY: np.dtype("i1"),
    INT: np.dtype("<i8"),
    FLOAT: np.dtype("<f8"),
    BOOL: np.dtype("i1"),
    TEXT: np.dtype("<i4"),
}
"""How the values of each kind are kept."""


class MixedColumnError(ValueError):
    """Numbers, booleans and texts in one column: it has to be read as text from its beginning."""


@dataclass
class Column:
    """The values of a column.

    Attributes:
        kind: time (Unix times [s]), empty, int, float, bool or text.
        data: shape (rows,), as `DTYPES` says: nan or -1 where there is no value; of a text the place in `texts`.
        texts: the different texts.
    """

    kind: str = EMPTY
    data: NDArray[Any] = field(default_factory=lambda: np.array([], dtype=DTYPES[EMPTY]))
    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.data)

    def values(self) -> NDArray[Any]:
        """Returns integers, floats (missing ones nan), booleans or texts, shape (rows,).

        Booleans and texts with missing values come as objects, with nan for them.
        """
        if self.kind in (TIME, INT, FLOAT):
            return self.data
        if self.kind == EMPTY:
            return np.full(len(self.data), np.nan)
        if self.kind == BOOL and not np.any(self.data < 0):
            return self.data.astype(bool)
        choices = [False, True] if self.kind == BOOL else list(self.texts)
        table = np.empty(len(choices) + 1, dtype=object)
        table[:-1] = choices
        table[-1] = np.nan
        return np.asarray(table[self.data])


def make_column(cells: Cells, *, time: bool = False, text: bool = False) -> Column:
    """Finds out what cells hold.

    Args:
        cells: as cut out of the file, shape (rows,).
        time: they are timestamps.
        text: take them as texts, whatever they look like.
    """
    if time:
        return Column(TIME, as_times(cells))
    numbers = None if text else as_numbers(cells)
    if numbers is None:
        cells = blank_missing(cells)
    if cells.size == 0 or (numbers is None and not np.any(cells != b"")):
        return Column(EMPTY, np.full(cells.size, -1, dtype=DTYPES[EMPTY]))
    if not text:
        numbers = as_numbers(cells) if numbers is None else numbers
        if numbers is not None:
            return _number_column(numbers)
        booleans = as_booleans(cells)
        if booleans is not None:
            return Column(BOOL, booleans)
    return _text_column(cells)


def _number_column(numbers: NDArray[np.int64] | NDArray[np.float64]) -> Column:
    if numbers.dtype.kind == "i":
        return Column(INT, numbers)
    if bool(np.all(np.isnan(numbers))):
        return Column(EMPTY, np.full(numbers.size, -1, dtype=DTYPES[EMPTY]))
    return Column(FLOAT, numbers)


def _text_column(cells: Cells) -> Column:
    found, codes = np.unique(cells, return_inverse=True)
    texts = [text.decode("utf-8", errors="replace") for text in found.tolist()]
    codes = codes.astype(DTYPES[TEXT]).reshape(-1)
    if texts and not texts[0]:
        return Column(TEXT, codes - np.int32(1), texts[1:])
    return Column(TEXT, codes, texts)


def join_columns(parts: list[Column]) -> Column:
    """Returns columns one after the other as one.

    Raises:
        MixedColumnError: when their kinds do not go together.
    """
    if len(parts) == 1:
        return parts[0]
    kinds = {part.kind for part in parts if part.kind != EMPTY and len(part)}
    kind = _common_kind(kinds, any(part.kind == EMPTY and len(part) for part in parts))
    if kind == TEXT:
        return _join_texts(parts)
    data = [_converted(part, kind) for part in parts]
    return Column(kind, np.concatenate(data) if data else np.array([], dtype=DTYPES[kind]))


def _common_kind(kinds: set[str], some_empty: bool) -> str:
    if kinds == {INT, FLOAT} or (kinds == {INT} and some_empty):
        return FLOAT
    if len(kinds) > 1:
        raise MixedColumnError(f"a column holds {' and '.join(sorted(kinds))}")
    return next(iter(kinds), EMPTY)


def _converted(part: Column, kind: str) -> NDArray[Any]:
    if part.kind == EMPTY and kind != EMPTY:
        return np.full(len(part), np.nan if DTYPES[kind].kind == "f" else -1, dtype=DTYPES[kind])
    return part.data.astype(DTYPES[kind], copy=False)


def _join_texts(parts: list[Column]) -> Column:
    texts: dict[str, int] = {}
    data = []
    for part in parts:
        table = np.full(len(part.texts) + 1, -1, dtype=DTYPES[TEXT])
        for place, text in enumerate(part.texts):
            table[place] = texts.setdefault(text, len(texts))
        data.append(table[_converted(part, TEXT)])
    return Column(TEXT, np.concatenate(data), list(texts))
