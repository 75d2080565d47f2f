"""A SpaceWire packet: its fields, its bytes, and the statistics of its pixels."""

from __future__ import annotations

import html

from camtest.display.markup import block, code, fold, pairs
from egse.spw import DataPacket, SpaceWirePacket

SHOWN = 256
"""Bytes that are shown at most; `packet.packet_as_bytes` has all."""
_WIDTH = 16


def as_text(packet: SpaceWirePacket) -> str:
    """Returns fields and bytes."""
    pixels = _pixels(packet)
    return "\n".join([str(packet), *([f"  pixels:          {pixels}"] if pixels else []), _dump(packet)])


def as_html(packet: SpaceWirePacket) -> str:
    """Returns the fields as a table, the bytes to be opened."""
    facts = []
    for line in str(packet).splitlines()[1:]:
        name, _, value = line.strip().partition(":")
        facts.append((name, html.escape(value.strip())))
    pixels = _pixels(packet)
    if pixels:
        facts.append(("pixels", pixels))
    title = f"<b>{type(packet).__name__}</b>, {len(packet)} bytes"
    return block(title, pairs(facts), fold("bytes", code(_dump(packet)), is_open=len(packet) <= 4 * _WIDTH))


def _pixels(packet: SpaceWirePacket) -> str:
    """Returns number and range of the pixels of a data packet, as transmitted."""
    if not isinstance(packet, DataPacket) or not packet.pixels.size:
        return ""
    values = packet.pixels
    return f"{values.size}, {values.min()} to {values.max()} ADU, mean {values.mean():.1f} ADU"


def _dump(packet: SpaceWirePacket) -> str:
    """Returns offset, hexadecimal digits and characters, 16 bytes a line."""
    data = packet.packet_as_bytes
    lines = []
    for start in range(0, min(len(data), SHOWN), _WIDTH):
        part = data[start : start + _WIDTH]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:06x}  {part.hex(' '):<{3 * _WIDTH - 1}}  {letters}")
    if len(data) > SHOWN:
        lines.append(f"... {len(data) - SHOWN} more bytes")
    return "\n".join(lines)
