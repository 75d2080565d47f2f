"""The Energetiq EQ-99 as a client sees it: the lamp and its manager, no I/O (device reference, section 12.6).

Own proposals: the times of ignition and warm-up, the numbers of errors, and that the light goes out with an open interlock and
on a fault until it is switched on again. What the manager keeps besides the reference's commands is general knowledge of its manual.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from egse.simulator import DeviceModel, FaultError
from egse.simulator.scpi import SWITCH, SWITCHED_ON, Codes, CommandTable, RefusedError, Settings, Stored

PORT: Final = 5199
"""TCP port when the settings name none [own proposal: the device is on USB]."""
IDENTIFICATION: Final = "Energetiq EQ-99-MGR SIM0001 1.14 1"
CODES: Final = Codes(unknown=123, character=123, syntax=202, count=202, range=201)
REFUSED: Final = 420
TEXTS: Final = {
    123: "Command not found",
    201: "Out of range",
    202: "Wrong type",
    420: "Operation not permitted",
}
LASER_TIME, IGNITION_TIME, STABLE_TIME = 1.0, 5.0, 30.0
"""From switching on to the laser, to the light, and to a stable laser [s]."""
WARM_UP, WARM_UP_TIME = 0.05, 600.0
"""The light begins so much lower, and comes up with this time constant [s]."""
KINDS: Final = {
    "BEEP": Stored(1, 0, 2, "d"),
    "BRIGHT": Stored(100, 0, 100, "d"),
    "DELAY": Stored(1, 1, 30_000, "d"),
    "REMERR": SWITCHED_ON,
    "TERM": Stored(0, 0, 7, "d"),
    "LDLS:EXPOSURE": Stored(1000, 100, 30_000, "d"),
    "LDLS:EXPMODE": SWITCH,
    "LDLS:SHUTINIT": SWITCH,
    "LDLS:TRIGMODE": Stored(4, 0, 4, "d"),
}
BITS: Final = {"interlock": 1, "controller_absent": 2, "controller": 4, "lamp": 8}
"""Bits of the condition register by fault."""
OUTPUT, LAMP, LASER, STABLE, SHUTTER = 16, 32, 64, 128, 256


class LampEQ99Model(DeviceModel):
    """A lamp with its manager.

    Args:
        seed: not used; nothing in it is random.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "interlock": "somebody opens or closes the interlock; takes open [bool]",
        "lamp": "the lamp fails, or is repaired; takes ok [bool]",
        "controller": "the controller of the lamp fails, or is repaired; takes ok [bool]",
        "controller_absent": "the cable to the controller is pulled out or plugged in; takes ok [bool]",
    }

    def __init__(self, seed: int = 0) -> None:
        self._broken = 0
        self._on_since: float | None = None
        self._hours = 36.0
        self._now: float | None = None
        self._begin = self._timer = 0.0
        self._shutter = False
        self._events = 0
        self._message = ""
        self._settings = Settings(KINDS, CODES)
        self._table = CommandTable(
            {
                **self._settings.commands(),
                "*IDN?": lambda a, now: IDENTIFICATION,
                "*RST": lambda a, now: self._reset(),
                "*CLS": lambda a, now: self._table.errors.clear(),
                "ERRSTR?": lambda a, now: self._errors(),
                "ERR?": lambda a, now: self._errors(numbers=True),
                "SN?": lambda a, now: IDENTIFICATION.split()[2],
                "VER?": lambda a, now: IDENTIFICATION.split()[3],
                "TIME?": lambda a, now: _clock(now - self._begin),
                "TIMER?": self._take_timer,
                "MESSAGE": self._set_message,
                "MESSAGE?": lambda a, now: self._message,
                "LDLS:OUTput": self._switch,
                "LDLS:OUTput?": lambda a, now: str(int(self._on_since is not None)),
                "LDLS:COND?": lambda a, now: str(self.conditions(now)),
                "LDLS:EVENT?": lambda a, now: self._take_events(),
                "LDLS:LAMPTIME": self._set_hours,
                "LDLS:LAMPTIME?": lambda a, now: f"{self._hours:.1f}",
                "LDLS:SHUTTER": self._set_shutter,
                "LDLS:SHUTTER?": lambda a, now: str(int(self._shutter)),
            },
            CODES,
        )

    # -- DeviceModel

    def step(self, now: float) -> None:
        if self._now is None:
            self._begin = self._timer = now
        elif self.is_burning(now):
            self._hours += (now - self._now) / 3600.0
        self._now = now
        self._events |= self.conditions(now)

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one line."""
        answer = self._table.execute(command, now)
        return answer.encode() + b"\r\n" if answer else b""

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        wanted = "open" if fault == "interlock" else "ok"
        if fault not in BITS:
            super().inject(fault, arguments, now)
        if set(arguments) != {wanted} or not isinstance(arguments[wanted], bool):
            raise FaultError(f"{fault}: {self.faults[fault]}")
        broken = arguments[wanted] if fault == "interlock" else not arguments[wanted]
        self._broken = self._broken | BITS[fault] if broken else self._broken & ~BITS[fault]
        if broken:
            self._on_since = None

    def describe(self) -> dict[str, Any]:
        now = self._now or 0.0
        return {"conditions": self.conditions(now), "flux": self.flux(now), "hours": self._hours}

    # -- what is true, also for other models

    def is_burning(self, now: float) -> bool:
        """Returns True while the lamp burns."""
        return self._on_since is not None and now - self._on_since >= IGNITION_TIME

    def flux(self, now: float) -> float:
        """Returns the light, as a fraction of that of a warm lamp (0..1)."""
        if self._on_since is None or not self.is_burning(now):
            return 0.0
        return 1.0 - WARM_UP * math.exp(-(now - self._on_since - IGNITION_TIME) / WARM_UP_TIME)

    def conditions(self, now: float) -> int:
        """Returns the condition register."""
        bits = self._broken | (SHUTTER if self._shutter else 0)
        if self._on_since is not None:
            passed = now - self._on_since
            bits |= OUTPUT
            for bit, needed in ((LASER, LASER_TIME), (LAMP, IGNITION_TIME), (STABLE, STABLE_TIME)):
                bits |= bit if passed >= needed else 0
        return bits

    # -- commands

    def _reset(self) -> None:
        self._on_since = None
        self._settings.reset()

    def _errors(self, *, numbers: bool = False) -> str:
        codes = list(self._table.errors)
        self._table.errors.clear()
        texts = [str(code) if numbers else f'{code},"{TEXTS.get(code, "Error")}"' for code in codes]
        return ",".join(texts) or "0"

    def _switch(self, arguments: list[str], now: float) -> None:
        if not _switched(self._table, arguments):
            self._on_since = None
        elif self._broken:
            raise RefusedError(REFUSED)
        elif self._on_since is None:
            self._on_since = now

    def _set_shutter(self, arguments: list[str], now: float) -> None:
        self._shutter = _switched(self._table, arguments)

    def _set_hours(self, arguments: list[str], now: float) -> None:
        self._hours = self._table.number(arguments, 0, 9999)

    def _set_message(self, arguments: list[str], now: float) -> None:
        self._message = ",".join(arguments)[:16]

    def _take_events(self) -> str:
        events, self._events = self._events, 0
        return str(events)

    def _take_timer(self, arguments: list[str], now: float) -> str:
        passed, self._timer = now - self._timer, now
        return _clock(passed)


def _switched(table: CommandTable, arguments: list[str]) -> bool:
    """Reads 0, 1, OFF, ON, FALSE or TRUE."""
    words = [{"TRUE": "1", "FALSE": "0"}.get(word.upper(), word) for word in arguments]
    return bool(table.whole(words, 1, 0, 1)[0])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{rest:05.2f}"
