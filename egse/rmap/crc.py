"""The RMAP CRC: x^8 + x^2 + x + 1, least significant bit first, start value 0 (ECSS-E-ST-50-52C, annex A)."""

from __future__ import annotations

from typing import Final

import anycrc
import fastcrc

header_crc: Final = fastcrc.crc8.rohc
"""`header_crc(data, 0)` is the RMAP CRC of a header: the compiled function itself, the fastest of the libraries up to 512 bytes.

A header of 15 bytes takes it as long as the call of a Python function, so that there is none around it. The start value has to be given,
as that of the library is another one."""

data_crc: Final = anycrc.CRC(width=8, poly=0x07, init=0x00, refin=True, refout=True, xorout=0x00).calc
"""`data_crc(data)` is the RMAP CRC of a data field; above 512 bytes the fastest of the libraries."""


def rmap_crc(data: bytes | bytearray | memoryview) -> int:
    """Returns the RMAP CRC of `data`: 0..255; 0 for data followed by its own CRC.

    Args:
        data: header or data field, without or with its CRC byte; contiguous.
    """
    return header_crc(data, 0) if len(data) < 513 else data_crc(data)
