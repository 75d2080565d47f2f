"""FITS headers as lists of cards.

astropy formats each card; what it made is remembered, since most cards are the same in every extension of a cube and of the next
one. (`astropy.io.fits.Header` formats them anew each time, which takes as long as to write the pixels of a cycle.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from astropy.io import fits

BLOCK = 2880

Value: TypeAlias = str | int | float


class Cards:
    """The cards of one header, in their order; keywords longer than 8 characters begin with `HIERARCH `."""

    def __init__(self) -> None:
        self._cards: dict[str, tuple[Value, str]] = {}

    def __setitem__(self, keyword: str, value: Value | tuple[Value, str]) -> None:
        """Appends a card with a value, or with a value and a comment; replaces the value of one that is there, whose comment stays."""
        if isinstance(value, tuple):
            self._cards[keyword] = value
        else:
            _, comment = self._cards.get(keyword, ("", ""))
            self._cards[keyword] = value, comment

    def __getitem__(self, keyword: str) -> Value:
        return self._cards[keyword][0]

    def __len__(self) -> int:
        return len(self._cards)

    def encode(self) -> bytes:
        """Returns the header as it stands in the file: a multiple of 2880 bytes."""
        text = "".join([_image(keyword, *card) for keyword, card in self._cards.items()]) + "END".ljust(80)
        return text.ljust(padded(len(text))).encode("ascii")


@lru_cache(4096, typed=True)
def _image(keyword: str, value: Value, comment: str) -> str:
    image: str = fits.Card(keyword, value, comment or None).image
    return image


def padded(size: int) -> int:
    """Returns a size rounded up to whole FITS blocks."""
    return -(-size // BLOCK) * BLOCK
