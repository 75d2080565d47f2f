"""Messages of the KSC101 shutter controller (device reference, section 8.2)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from egse.device import DeviceError
from egse.response import register_error


@register_error
class KSC101Error(DeviceError):
    """The shutter controller did not do what it was told, or gave an answer that makes no sense."""


class Message(IntEnum):
    """Ids; the question for a GET message has the id before its answer."""

    DISCONNECT = 0x0002
    REQ_INFO, GET_INFO = 0x0005, 0x0006
    IDENTIFY = 0x0223
    SET_ENABLE, REQ_ENABLE, GET_ENABLE = 0x0210, 0x0211, 0x0212
    REQ_STATUS, GET_STATUS = 0x0429, 0x042A
    SET_MODE, REQ_MODE, GET_MODE = 0x04C0, 0x04C1, 0x04C2
    SET_CYCLE, REQ_CYCLE, GET_CYCLE = 0x04C3, 0x04C4, 0x04C5
    SET_INTERLOCK, REQ_INTERLOCK, GET_INTERLOCK = 0x04C6, 0x04C7, 0x04C8
    SET_STATE, REQ_STATE, GET_STATE = 0x04CB, 0x04CC, 0x04CD
    SET_DISPLAY, REQ_DISPLAY, GET_DISPLAY = 0x0520, 0x0521, 0x0522
    SET_TRIGGER, REQ_TRIGGER, GET_TRIGGER = 0x0523, 0x0524, 0x0525


class Mode(IntEnum):
    """Operating modes."""

    MANUAL = 1
    SINGLE = 2
    AUTO = 3
    TRIGGER = 4


OPEN, CLOSED = 1, 2
"""States of the solenoid."""
ON, OFF = 1, 2
"""Channel and interlock."""
STATUS_OPEN, STATUS_INTERLOCK = 1 << 0, 1 << 13
"""Bits of the status: solenoid open, interlock closed."""
CYCLE: Final = struct.Struct("<HIII")
"""Channel, time open [ms], time closed [ms], number of cycles (0: without end)."""
STATUS: Final = struct.Struct("<HI")
"""Channel, bits."""
INFO: Final = struct.Struct("<I8sHBBBB60sHHH")
"""Serial number, model, type, firmware (minor, interim, major, 0), text, hardware version, modification, channels."""
SHORTEST, LONGEST, MOST_CYCLES = 10, 10_000, 1_000_000
"""Limits of a cycle [ms, ms, cycles]."""
