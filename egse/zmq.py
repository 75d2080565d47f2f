"""Identifiers of the messages that processes publish over ZeroMQ."""

from __future__ import annotations

from enum import IntEnum


class MessageIdentifier(IntEnum):
    """First frame of a message, as one byte: `MessageIdentifier.SYNC_TIMECODE.to_bytes(1, byteorder="big")`."""

    SYNC_TIMECODE = 0x80
    SYNC_HK_PACKET = 0x81
    SYNC_DATA_PACKET = 0x82
    N_FEE_REGISTER_MAP = 0x83
    NUM_CYCLES = 0x84
    HDF5_FILENAMES = 0x85
    SYNC_ERROR_FLAGS = 0x86
    N_FEE_RESYNC = 0x87
    N_FEE_HK = 0x88

    @property
    def frame(self) -> bytes:
        """The identifier as it stands in front of the message: one byte."""
        return bytes((self.value,))
