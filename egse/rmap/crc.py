"""The RMAP CRC: x^8 + x^2 + x + 1, least significant bit first, start value 0 (ECSS-E-ST-50-52C, annex A)."""

from __future__ import annotations

from typing import Final

import anycrc
import fastcrc

_long: Final = anycrc.CRC(width=8, poly=0x07, init=0x00, refin=True, refout=True, xorout=0x00).calc
_short: Final = fastcrc.crc8.rohc


def rmap_crc(data: bytes | bytearray | memoryview) -> int:
    """Returns the RMAP CRC of `data`: 0..255; 0 for data followed by its own CRC.

    Args:
        data: header or data field, without or with its CRC byte; contiguous.
    """
    # Up to 512 bytes fastcrc is the faster of the two compiled libraries, above it anycrc (5 times). On headers the call of
    # this function takes as long as the CRC, so it does nothing else.
    return _short(data, 0) if len(data) < 513 else _long(data)
