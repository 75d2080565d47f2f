"""Errors of a SpaceWire link."""

from __future__ import annotations


class SpaceWireError(Exception):
    """Something went wrong on the SpaceWire link."""


class SpaceWireLinkError(SpaceWireError, ConnectionError):
    """The link is not open, the other end is away, or it does not take packets any more."""


class SpaceWireBufferFullError(SpaceWireLinkError):
    """The other end is there but does not read: no packet fits into the queue any more."""


class NoBytesReceivedError(SpaceWireError):
    """A packet was expected and nothing came (normal and silent in the loop of the DPU)."""


class TimecodeTimeoutError(SpaceWireError, TimeoutError):
    """No timecode came within the time in which one must come (normal and silent in the loop of the DPU)."""


class PacketError(SpaceWireError, ValueError):
    """Bytes that are not the packet they should be: wrong size, wrong type."""
