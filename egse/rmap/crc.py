"""The RMAP CRC: x^8 + x^2 + x + 1, least significant bit first, start value 0 (ECSS-E-ST-50-52C, annex A)."""

from __future__ import annotations

from typing import Final

import anycrc
import fastcrc

_calculate: Final = anycrc.CRC(width=8, poly=0x07, init=0x00, refin=True, refout=True, xorout=0x00).calc
_short: Final = fastcrc.crc8.rohc
_SHORT_LIMIT: Final = 512
"""Up to this length [bytes] fastcrc is the faster of the two compiled libraries, above it anycrc (5 times)."""


def rmap_crc(data: bytes | bytearray | memoryview) -> int:
    """Returns the RMAP CRC of `data`: 0..255; 0 for data followed by its own CRC.

    Args:
        data: header or data field, without or with its CRC byte; contiguous.
    """
    if len(data) > _SHORT_LIMIT:
        crc: int = _calculate(data)
        return crc
    try:
        crc = _short(data, 0)
    except TypeError:  # it takes nothing but bytes
        crc = _short(bytes(data), 0)
    return crc
