"""The XIMC protocol of Standa's 8SMC4 and 8SMC5 controllers: sizes, layouts, CRC, framing (device reference, section 9).

A command is four letters, possibly with a payload and its CRC; the answer repeats the letters.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from fastcrc import crc16

GET_SIZES: Final = {
    b"gets": 48, b"gpos": 20, b"gmov": 24, b"geng": 28, b"gent": 8, b"ghom": 27, b"gpwr": 14, b"gsec": 22, b"geds": 20,
    b"gfbs": 12, b"geti": 30, b"gser": 4, b"gfwv": 4, b"gblv": 4,
}  # fmt: skip
"""Commands whose answer has a payload, and its size [bytes]."""
SET_SIZES: Final = {
    b"spos": 20, b"move": 12, b"movr": 12, b"smov": 24, b"seng": 28, b"sent": 8, b"shom": 27, b"spwr": 14, b"ssec": 22,
    b"seds": 20, b"sfbs": 12,
}  # fmt: skip
"""Commands with a payload, and its size [bytes]."""
ACTIONS: Final = frozenset(
    (b"home", b"zero", b"stop", b"sstp", b"left", b"rigt", b"loft", b"pwof", b"save", b"read")
)
"""Commands without a payload, whose answer has none."""
UNKNOWN, BAD_CRC, BAD_VALUE = b"errc", b"errd", b"errv"
"""Answers to what was not understood."""
LETTERS, CRC_LENGTH = 4, 2

STATUS: Final = struct.Struct("<BBBBBihqihhhhhhIIB4x")
POSITION: Final = struct.Struct("<ihqB5x")
TARGET: Final = struct.Struct("<ih6x")
MOVE_SETTINGS: Final = struct.Struct("<IBHHIB10x")
ENGINE: Final = struct.Struct("<HHIBHhBH12x")
ENGINE_TYPE: Final = struct.Struct("<BB6x")
INFORMATION: Final = struct.Struct("<4s2s8sBBH12x")
SERIAL: Final = struct.Struct("<I")
VERSION: Final = struct.Struct("<BBH")

MOVING, AT_SPEED = 1, 2
"""Bits of MoveSts."""
FAILED, RUNNING = 0x40, 0x80
"""Bits of MvCmdSts, beside the number of the command."""
COMMAND_NUMBERS: Final = {
    b"move": 1, b"movr": 2, b"left": 3, b"rigt": 4, b"stop": 5, b"home": 6, b"loft": 7, b"sstp": 8,
}  # fmt: skip
FLAG_ERRC, FLAG_ERRD, FLAG_ERRV, HOMED, ALARM, OVERHEAT = 1, 2, 4, 0x20, 0x40, 0x300
"""Bits of Flags."""
MICROSTEPS: Final = 256
"""Of a full step."""


def with_crc(payload: bytes) -> bytes:
    """Returns a payload with its CRC-16 (polynomial 0x8005 reflected, initial value 0xFFFF, low byte first)."""
    return payload + int(crc16.modbus(payload)).to_bytes(CRC_LENGTH, "little")


def reply_length(data: bytes) -> int | None:
    """Returns the length of the first answer, None while it is not complete."""
    if data[:1] == b"\0":
        return 1
    if len(data) < LETTERS:
        return None
    size = GET_SIZES.get(data[:LETTERS], 0)
    length = LETTERS + (size + CRC_LENGTH if size else 0)
    return length if len(data) >= length else None


class XimcFramer:
    """Cuts a stream into commands; a zero byte between two is one of its own.

    How long an unknown command is nobody knows: of one that would set something the rest of the packet is dropped.
    """

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes and returns the commands that are complete now, with payload and CRC."""
        self._pending += data
        commands = []
        while self._pending:
            length = self._next()
            if length is None:
                break
            commands.append(self._pending[:length])
            self._pending = self._pending[length:]
            code = commands[-1]
            if code[:1] == b"s" and code[:LETTERS] not in SET_SIZES and code not in ACTIONS:
                self._pending = b""
        return commands

    def _next(self) -> int | None:
        if self._pending[:1] == b"\0":
            return 1
        if len(self._pending) < LETTERS:
            return None
        size = SET_SIZES.get(self._pending[:LETTERS], 0)
        length = LETTERS + (size + CRC_LENGTH if size else 0)
        return length if len(self._pending) >= length else None


@dataclass(frozen=True, slots=True)
class AxisStatus:
    """State of one axis.

    Attributes:
        position: [full steps].
        speed: [full steps/s].
        moving: True while it moves, or a command runs.
        failed: True when the last command failed.
        temperature: of the controller [degC].
        current: of the supply [mA].
        voltage: of the supply [V].
        flags: see the protocol.
    """

    position: float
    speed: float
    moving: bool
    failed: bool
    temperature: float
    current: float
    voltage: float
    flags: int

    @property
    def homed(self) -> bool:
        """True when the axis has found its reference."""
        return bool(self.flags & HOMED)

    @property
    def errors(self) -> int:
        """The flags that tell of an error."""
        return self.flags & (FLAG_ERRC | FLAG_ERRD | FLAG_ERRV | ALARM | OVERHEAT)

    @classmethod
    def of(cls, status: object) -> AxisStatus:
        """Returns the state out of an object with the field names of the protocol."""
        found = {name: getattr(status, name) for name in _USED}
        s: dict[str, int] = {name: int(getattr(value, "value", value)) for name, value in found.items()}
        return cls(
            s["CurPosition"] + s["uCurPosition"] / MICROSTEPS,
            s["CurSpeed"] + s["uCurSpeed"] / MICROSTEPS,
            bool(s["MoveSts"] & MOVING or s["MvCmdSts"] & RUNNING),
            bool(s["MvCmdSts"] & FAILED),
            s["CurT"] / 10.0,
            float(s["Ipwr"]),
            s["Upwr"] / 100.0,
            s["Flags"],
        )


STATUS_FIELDS: Final = (
    "MoveSts", "MvCmdSts", "PWRSts", "EncSts", "WindSts", "CurPosition", "uCurPosition", "EncPosition", "CurSpeed",
    "uCurSpeed", "Ipwr", "Upwr", "Iusb", "Uusb", "CurT", "Flags", "GPIOFlags", "CmdBufFreeSpace",
)  # fmt: skip
"""Fields of `STATUS`, in their order."""
_USED: Final = (
    "CurPosition", "uCurPosition", "CurSpeed", "uCurSpeed", "MoveSts", "MvCmdSts", "CurT", "Ipwr", "Upwr", "Flags",
)  # fmt: skip
