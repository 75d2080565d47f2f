"""Errors of RMAP transactions, and the status codes behind them."""

from __future__ import annotations

from enum import IntEnum


class RMAPStatus(IntEnum):
    """Status field of an RMAP reply (ECSS-E-ST-50-52C, table 5-4)."""

    SUCCESS = 0
    GENERAL_ERROR = 1
    UNUSED_COMMAND = 2
    INVALID_KEY = 3
    INVALID_DATA_CRC = 4
    EARLY_EOP = 5
    TOO_MUCH_DATA = 6
    EEP = 7
    VERIFY_BUFFER_OVERRUN = 9
    NOT_AUTHORISED = 10
    RMW_DATA_LENGTH = 11
    INVALID_TARGET_ADDRESS = 12

    @property
    def text(self) -> str:
        """Short description in words."""
        return _TEXT[self]


_TEXT = {
    RMAPStatus.SUCCESS: "command executed successfully",
    RMAPStatus.GENERAL_ERROR: "general error",
    RMAPStatus.UNUSED_COMMAND: "unused RMAP packet type or command code",
    RMAPStatus.INVALID_KEY: "invalid key",
    RMAPStatus.INVALID_DATA_CRC: "invalid data CRC",
    RMAPStatus.EARLY_EOP: "early end of packet",
    RMAPStatus.TOO_MUCH_DATA: "too much data",
    RMAPStatus.EEP: "packet ended with an error marker (EEP)",
    RMAPStatus.VERIFY_BUFFER_OVERRUN: "verify buffer overrun",
    RMAPStatus.NOT_AUTHORISED: "command not implemented or not authorised",
    RMAPStatus.RMW_DATA_LENGTH: "read-modify-write data length error",
    RMAPStatus.INVALID_TARGET_ADDRESS: "invalid target logical address",
}


def status_text(status: int) -> str:
    """Returns the meaning of a status code in words; codes that the standard does not know are "unknown status"."""
    try:
        return RMAPStatus(status).text
    except ValueError:
        return "unknown status"


class RMAPError(Exception):
    """An RMAP transaction failed.

    Attributes:
        status: the status code of the reply, or None when the failure is not one reported by the target.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @classmethod
    def from_status(cls, status: int, what: str) -> RMAPError:
        """Returns the error for a reply with a `status` that is not success; `what` names the command."""
        return cls(f"{what}: {status_text(status)} (RMAP status {status})", status)


class RMAPAddressError(RMAPError, ValueError):
    """Address, length or alignment break the rules of the target's memory: nothing was sent."""


class RMAPDecodeError(RMAPError, ValueError):
    """Bytes that are no valid RMAP packet: too short, wrong protocol, wrong CRC, wrong length."""


class RMAPTimeoutError(RMAPError, TimeoutError):
    """No reply came in time; for a write it is unknown whether it was executed."""
