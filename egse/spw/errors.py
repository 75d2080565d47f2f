"""Errors of a SpaceWire link.

SpaceWireError
  SpaceWireLinkError            the link is not open, the other end is away (also a ConnectionError)
    SpaceWireBufferFullError    the other end does not read
    SpaceWireDisconnectError    the link, or the connection to its interface, broke
    SpaceWireCharacterError     characters on the link were broken; it goes on, or its ends start it anew by themselves
      SpaceWireParityError      parity error
      SpaceWireEscapeError      escape error
    ESLError                    the interface refused a call, or its library cannot be used
  SpaceWireEEPError             a reply that was cut by an error end of packet (also an RMAPError)
  NoBytesReceivedError          nothing came
  TimecodeTimeoutError          no timecode came (also a TimeoutError)
  PacketError                   bytes that are not the packet they should be (also a ValueError)
"""

from __future__ import annotations

from egse.rmap import RMAPError


class SpaceWireError(Exception):
    """Something went wrong on the SpaceWire link."""


class SpaceWireLinkError(SpaceWireError, ConnectionError):
    """The link is not open, the other end is away, or it does not take packets any more."""


class SpaceWireBufferFullError(SpaceWireLinkError):
    """The other end is there but does not read: no packet fits into the queue any more."""


class SpaceWireDisconnectError(SpaceWireLinkError):
    """The SpaceWire link broke (no signal for too long), or the interface that it hangs on went away."""


class SpaceWireCharacterError(SpaceWireLinkError):
    """Characters on the link were broken; the ends start it anew by themselves, and reading may go on."""


class SpaceWireParityError(SpaceWireCharacterError):
    """A parity error on the link."""


class SpaceWireEscapeError(SpaceWireCharacterError):
    """An escape error on the link (ESC followed by ESC, EOP or EEP)."""


class ESLError(SpaceWireLinkError):
    """The EtherSpaceLink library cannot be used or refused a call.

    Attributes:
        code: error code of the library, 0 when there is none.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class SpaceWireEEPError(SpaceWireError, RMAPError):
    """A reply was cut by an error end of packet; for a write it is unknown whether it was executed."""


class NoBytesReceivedError(SpaceWireError):
    """A packet was expected and nothing came (normal and silent in the loop of the DPU)."""


class TimecodeTimeoutError(SpaceWireError, TimeoutError):
    """No timecode came within the time in which one must come (normal and silent in the loop of the DPU)."""


class PacketError(SpaceWireError, ValueError):
    """Bytes that are not the packet they should be: wrong size, wrong type."""
