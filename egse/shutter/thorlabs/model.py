"""The KSC101 shutter controller as a client sees it: frames in, frames out, no I/O (device reference, section 8).

What the reference leaves open is settled here as our own proposal: a new mode closes the shutter, as an open interlock and a disabled
channel do, until the next command to open; values out of range are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from egse.shutter.thorlabs.apt import HOST, UNIT, Frame, FrameFramer
from egse.shutter.thorlabs.messages import (
    CLOSED,
    CYCLE,
    INFO,
    LONGEST,
    MOST_CYCLES,
    OFF,
    ON,
    OPEN,
    SHORTEST,
    STATUS,
    STATUS_INTERLOCK,
    STATUS_OPEN,
    Message,
    Mode,
)
from egse.simulator import DeviceModel, FaultError

PORT: Final = 5101
"""TCP port when the settings name none [own proposal: the device is on USB]."""
SERIAL_NUMBER: Final = 68000001
_TEXT: Final = b"Kinesis Solenoid Controller"
TRAVEL_TIME: Final = 0.02
"""From a change of the solenoid to the shutter's being there [s]."""


class ShutterKSC101Model(DeviceModel):
    """A shutter controller with a shutter.

    Args:
        seed: not used; nothing in it is random.

    Attributes:
        mode: operating mode.
        trigger: level at the trigger input.
        interlock_closed: True while the interlock is closed.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "interlock": "somebody opens or closes the interlock; takes open [bool]",
        "trigger": "the level at the trigger input changes; takes level [bool]",
        "stuck": "the shutter does not move any more, or does again; takes stuck [bool]",
    }

    def __init__(self, seed: int = 0) -> None:
        self.mode = Mode.MANUAL
        self.trigger = False
        self.interlock_closed = self.interlock_required = True
        self.enabled = True
        self.cycle = (500, 500, 1)
        self._wanted = False
        self._since = 0.0
        self._stuck: bool | None = None
        self._stored: dict[int, Frame] = {}
        self._now = 0.0
        self._answers: dict[int, Callable[[], Frame]] = {
            Message.REQ_INFO: self._info,
            Message.REQ_ENABLE: lambda: self._short(Message.GET_ENABLE, ON if self.enabled else OFF),
            Message.REQ_MODE: lambda: self._short(Message.GET_MODE, self.mode),
            Message.REQ_CYCLE: lambda: self._long(Message.GET_CYCLE, CYCLE.pack(1, *self.cycle)),
            Message.REQ_INTERLOCK: lambda: self._short(
                Message.GET_INTERLOCK, ON if self.interlock_required else OFF
            ),
            Message.REQ_STATE: lambda: self._short(
                Message.GET_STATE, OPEN if self.is_open(self._now) else CLOSED
            ),
            Message.REQ_STATUS: self._status,
            Message.REQ_DISPLAY: lambda: self._kept(Message.GET_DISPLAY),
            Message.REQ_TRIGGER: lambda: self._kept(Message.GET_TRIGGER),
        }

    def framer(self) -> FrameFramer:
        return FrameFramer()

    def step(self, now: float) -> None:
        self._now = now
        if not (self.enabled and (self.interlock_closed or not self.interlock_required)):
            self._wanted = False

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one frame; an unknown one, and answers sent at the unit, are ignored."""
        frame = Frame.unpack(command)
        answer = self._answers.get(frame.id)
        if answer is not None:
            return answer().pack()
        self._execute(frame, now)
        return b""

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        wanted = {"interlock": "open", "trigger": "level", "stuck": "stuck"}.get(fault)
        if wanted is None:
            super().inject(fault, arguments, now)
        if set(arguments) != {wanted} or not isinstance(arguments[str(wanted)], bool):
            raise FaultError(f"{fault}: {self.faults[fault]}")
        value = arguments[str(wanted)]
        if fault == "interlock":
            self.interlock_closed = not value
        elif fault == "trigger":
            self.trigger = value
        else:
            self._stuck = self.is_open(now) if value else None
        self.step(now)

    def describe(self) -> dict[str, Any]:
        return {
            "open": self.is_open(self._now),
            "mode": self.mode.name.lower(),
            "enabled": self.enabled,
            "interlock_closed": self.interlock_closed,
            "interlock_required": self.interlock_required,
            "cycle": list(self.cycle),
        }

    # -- what is true, also for other models

    def is_open(self, now: float) -> bool:
        """Returns True while the solenoid holds the shutter open."""
        if self._stuck is not None:
            return self._stuck
        if not (self.enabled and (self.interlock_closed or not self.interlock_required)):
            return False
        if self.mode is Mode.TRIGGER:
            return self.trigger
        if not self._wanted or self.mode is Mode.MANUAL:
            return self._wanted
        on, off, number = self.cycle
        passed = 1000.0 * (now - self._since)
        if self.mode is Mode.SINGLE:
            return passed < on
        done, phase = divmod(passed, on + off)
        return phase < on and (number == 0 or done < number)

    def transmission(self, now: float) -> float:
        """Returns what passes, 0 or 1: the shutter is there `TRAVEL_TIME` after its solenoid has changed."""
        return float(self.is_open(now - TRAVEL_TIME) and self.is_open(now))

    # -- frames

    def _execute(self, frame: Frame, now: float) -> None:
        match frame.id:
            case Message.SET_ENABLE if frame.param2 in (ON, OFF):
                self.enabled = frame.param2 == ON
            case Message.SET_MODE if frame.param2 in list(Mode):
                self.mode = Mode(frame.param2)
                self._wanted = False
            case Message.SET_CYCLE if frame.data is not None and len(frame.data) == CYCLE.size:
                _, on, off, number = CYCLE.unpack(frame.data)
                if SHORTEST <= on <= LONGEST and SHORTEST <= off <= LONGEST and number <= MOST_CYCLES:
                    self.cycle = (on, off, number)
            case Message.SET_INTERLOCK if frame.param2 in (ON, OFF):
                self.interlock_required = frame.param2 == ON
            case Message.SET_STATE if frame.param2 in (OPEN, CLOSED):
                self._wanted, self._since = frame.param2 == OPEN, now
            case Message.SET_DISPLAY | Message.SET_TRIGGER if frame.data is not None:
                self._stored[frame.id + 2] = frame
        self.step(now)

    def _short(self, message: Message, value: int) -> Frame:
        return Frame(message, 1, value, dest=HOST, source=UNIT)

    def _long(self, message: Message, data: bytes) -> Frame:
        return Frame(message, data=data, dest=HOST, source=UNIT)

    def _info(self) -> Frame:
        data = INFO.pack(SERIAL_NUMBER, b"KSC101", 44, 3, 0, 1, 0, _TEXT, 1, 0, 1)
        return self._long(Message.GET_INFO, data)

    def _status(self) -> Frame:
        bits = STATUS_OPEN if self.is_open(self._now) else 0
        bits |= STATUS_INTERLOCK if self.interlock_closed else 0
        return self._long(Message.GET_STATUS, STATUS.pack(1, bits))

    def _kept(self, message: Message) -> Frame:
        """Returns display or trigger settings as they were set; their layout is that of whoever set them."""
        kept = self._stored.get(message)
        default = bytes.fromhex("0100 5000 0a00 0200") if message == Message.GET_DISPLAY else bytes(14)
        return self._long(message, default if kept is None or kept.data is None else kept.data)
