"""Bits, bytes, hexadecimal text and checksums.

Bits are numbered from 0 for the least significant one.
"""

from __future__ import annotations

import binascii
import functools
import operator
import zlib
from collections.abc import Callable

import fastcrc

from egse.advice import or_meant


def set_bit(value: int, bit: int) -> int:
    """Returns `value` with this bit set."""
    return value | (1 << bit)


def clear_bit(value: int, bit: int) -> int:
    """Returns `value` with this bit cleared."""
    return value & ~(1 << bit)


def toggle_bit(value: int, bit: int) -> int:
    """Returns `value` with this bit inverted."""
    return value ^ (1 << bit)


def set_bits(value: int, start: int, stop: int) -> int:
    """Returns `value` with the bits from `start` up to, not including, `stop` set."""
    return value | bit_mask(start, stop)


def clear_bits(value: int, start: int, stop: int) -> int:
    """Returns `value` with the bits from `start` up to, not including, `stop` cleared."""
    return value & ~bit_mask(start, stop)


def bit_set(value: int, *bits: int) -> bool:
    """Says whether all these bits are set."""
    return all(value >> bit & 1 for bit in bits)


def bit_mask(start: int, stop: int) -> int:
    """Returns a mask of the bits from `start` up to, not including, `stop`.

    Raises:
        ValueError: when `stop` is before `start` or one is negative.
    """
    if not 0 <= start <= stop:
        raise ValueError(f"no bits from {start} to {stop}")
    return ((1 << (stop - start)) - 1) << start


def get_field(value: int, start: int, width: int) -> int:
    """Returns the bit field of `width` bits whose least significant bit is `start`."""
    return value >> start & bit_mask(0, width)


def set_field(value: int, start: int, width: int, field: int) -> int:
    """Returns `value` with the bit field of `width` bits at `start` replaced.

    Raises:
        ValueError: when `field` does not fit.
    """
    if not 0 <= field <= bit_mask(0, width):
        raise ValueError(f"{field} does not fit into {width} bits")
    return clear_bits(value, start, start + width) | field << start


def twos_complement(value: int, width: int) -> int:
    """Reads an unsigned number of `width` bits as signed two's complement.

    Raises:
        ValueError: when `width` is less than 1.
    """
    if width < 1:
        raise ValueError(f"there is no number of {width} bits")
    value &= bit_mask(0, width)
    return value - (1 << width) if value >> (width - 1) & 1 else value


def beautify_binary(value: int, sep: str = " ", group: int = 8, prefix: str = "", size: int = 0) -> str:
    """Writes a number in binary, in groups: `beautify_binary(2**14 + 2**9)` gives `'01000010 00000000'`.

    Args:
        value: not negative.
        sep: between the groups.
        group: digits in a group, at least 1.
        prefix: in front, e.g. `0b`.
        size: the least number of digits; filled up to whole groups in any case.

    Raises:
        ValueError: for a negative number, or groups without digits.
    """
    return prefix + _grouped(_not_negative(value, "b"), sep, group, size)


def beautify_hex(
    value: int | bytes | bytearray | memoryview,
    sep: str = " ",
    group: int = 2,
    prefix: str = "",
    size: int = 0,
) -> str:
    """Writes a number or bytes in hexadecimal, in groups: `beautify_hex(b'\\x01\\xff')` gives `'01 FF'`.

    Args:
        value: bytes (or bytearray, memoryview), or a number that is not negative.
        sep: between the groups.
        group: digits in a group, at least 1.
        prefix: in front, e.g. `0x`.
        size: the least number of digits; filled up to whole groups in any case.

    Raises:
        ValueError: for a negative number, or groups without digits.
    """
    digits = _not_negative(value, "X") if isinstance(value, int) else value.hex().upper()
    return prefix + _grouped(digits, sep, group, size)


def hex_dump(data: bytes, width: int = 16) -> str:
    """Writes bytes as lines of offset, hexadecimal values and printable characters.

    Args:
        data: the bytes.
        width: bytes on a line.
    """
    lines = []
    for offset in range(0, len(data), width):
        part = data[offset : offset + width]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{offset:08x}  {part.hex(' '):<{3 * width - 1}s}  |{text}|")
    return "\n".join(lines)


def humanize_bytes(size: float, base: int = 2, precision: int = 3) -> str:
    """Writes a number of bytes with a unit: `humanize_bytes(833754240)` gives `'795.130 MiB'`.

    Args:
        size: bytes.
        base: 2 for KiB, MiB (1024) or 10 for kB, MB (1000).
        precision: digits after the point; whole bytes have none.

    Raises:
        ValueError: for another base.
    """
    if base not in (2, 10):
        raise ValueError(f"the base is 2 or 10, not {base}")
    step, units = (
        (1024.0, ("KiB", "MiB", "GiB", "TiB", "PiB"))
        if base == 2
        else (1000.0, ("kB", "MB", "GB", "TB", "PB"))
    )
    if abs(size) < step:
        return f"{size:.0f} bytes"
    for unit in units:
        size /= step
        if abs(size) < step or unit == units[-1]:
            break
    return f"{size:.{precision}f} {unit}"


def crc16_ccitt(data: bytes, initial: int = 0xFFFF) -> int:
    """Calculates the CRC-16/CCITT-FALSE (polynomial 0x1021); 0x29B1 for `b'123456789'`, as in ECSS-E-ST-70-41C."""
    return binascii.crc_hqx(data, initial)


def crc32(data: bytes, initial: int = 0) -> int:
    """Calculates the CRC-32 of IEEE 802.3; 0xCBF43926 for `b'123456789'`."""
    return zlib.crc32(data, initial)


def crc8(data: bytes) -> int:
    """Calculates the CRC-8 (polynomial 0x07, as in SMBus); 0xF4 for `b'123456789'`."""
    return int(fastcrc.crc8.smbus(data))


def crc8_rohc(data: bytes, initial: int = 0) -> int:
    """Calculates the reflected CRC-8 (polynomial 0x07); 0xD0 for `b'123456789'` from 0xFF.

    From 0, the default, it is the CRC of RMAP (ECSS-E-ST-50-52C).
    """
    return int(fastcrc.crc8.rohc(data, initial))


def crc16_modbus(data: bytes) -> int:
    """Calculates the CRC-16 of Modbus RTU; 0x4B37 for `b'123456789'`."""
    return int(fastcrc.crc16.modbus(data))


def crc16_kermit(data: bytes) -> int:
    """Calculates the CRC-16/KERMIT (reflected 0x1021, from 0); 0x2189 for `b'123456789'`."""
    return int(fastcrc.crc16.kermit(data))


def crc32c(data: bytes) -> int:
    """Calculates the CRC-32C (Castagnoli, iSCSI); 0xE3069283 for `b'123456789'`."""
    return int(fastcrc.crc32.iscsi(data))


def sum8(data: bytes) -> int:
    """Adds all bytes modulo 256; 0xDD for `b'123456789'`."""
    return sum(data) & 0xFF


def xor8(data: bytes) -> int:
    """Combines all bytes with exclusive or, the block check of many serial instruments; 0x31 for `b'123456789'`."""
    return functools.reduce(operator.xor, data, 0)


def _crc16_xmodem(data: bytes) -> int:
    return crc16_ccitt(data, 0)


CHECKSUMS: dict[str, Callable[[bytes], int]] = {
    "crc8": crc8,
    "crc8-rohc": functools.partial(crc8_rohc, initial=0xFF),
    "crc8-rmap": crc8_rohc,
    "crc16-ccitt": crc16_ccitt,
    "crc16-xmodem": _crc16_xmodem,
    "crc16-modbus": crc16_modbus,
    "crc16-kermit": crc16_kermit,
    "crc32": crc32,
    "crc32c": crc32c,
    "adler32": zlib.adler32,
    "sum8": sum8,
    "xor8": xor8,
}
"""Checksums by name, for `checksum`."""


def checksum(name: str, data: bytes) -> int:
    """Calculates a checksum.

    Args:
        name: one of `CHECKSUMS`.
        data: the bytes.

    Raises:
        ValueError: when there is no checksum of this name.
    """
    if name not in CHECKSUMS:
        raise ValueError(
            f"unknown checksum {name!r}{or_meant(name, CHECKSUMS)} (there are: {', '.join(CHECKSUMS)})"
        )
    return CHECKSUMS[name](data)


def _not_negative(value: int, fmt: str) -> str:
    if value < 0:
        raise ValueError(f"{value} is negative")
    return format(value, fmt)


def _grouped(digits: str, sep: str, group: int, size: int) -> str:
    if group < 1:
        raise ValueError(f"a group has at least one digit, not {group}")
    length = -(-max(len(digits), size) // group) * group
    digits = digits.zfill(length)
    return sep.join(digits[i : i + group] for i in range(0, length, group))
