"""The Alpha controller as a client sees it: PMAC requests, command lines, variables (device reference, section 1); no I/O.

Own proposals where the reference leaves it open: a command that is not allowed now is ignored (`Q20` = -1), a move or a
specific position that is not feasible or without homing fails (-2, reasons in `Q29`); a line with an error has no values;
what is outside the factory workspace is outside the user's too (bits 3 and 5 of `Q29`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from egse.hexapod.symetrie.mechanisms import PUNA, Mechanism
from egse.hexapod.symetrie.model import HexapodModel
from egse.hexapod.symetrie.platform import Homing, Limit, RefusedError, Why
from egse.hexapod.symetrie.pmac import (
    ACK,
    DOWNLOAD,
    FLUSH,
    GETBUFFER,
    GETRESPONSE,
    HEADER,
    LONGEST_REPLY,
    UPLOAD,
)
from egse.hexapod.symetrie.states import bits, number_text

SENDLINE, GETLINE = 0xB0, 0xB1
LONGEST_REQUEST = 4096
"""Data that no request of a client exceeds [bytes]."""
MOST_VALUES = 8192
VERSION = (1, 4, 0, 0)
"""What command 55 answers [own proposal]."""
KEYWORDS = {
    "VER": "1.947  ", "VERSION": "1.947  ", "CID": "603382", "CPU": "DSP56311", "TYPE": "TURBO2, X4", "VID": "1",
    "DATE": "09/23/2011", "TODAY": "FRI",
}  # fmt: skip
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TOKEN = re.compile(
    rf"(?P<kind>[QIMP])(?P<number>\d{{1,4}})(?:=(?P<value>{_NUMBER})|,(?P<count>\d{{1,4}}),(?P<step>\d{{1,4}}))?"
)
_ADDRESS = re.compile(r"[&#]\d{1,2}")
_LIMIT_BITS = {
    Limit.NOT_HOMED: 1 << 0,
    Limit.KINEMATICS: 1 << 2,
    Limit.FACTORY: 1 << 3 | 1 << 5,
    Limit.MACHINE: 1 << 4,
    Limit.USER: 1 << 5,
    Limit.ACTUATOR: 1 << 6,
    Limit.EMERGENCY: 1 << 10,
}
_FEASIBILITY = (11, 13)
"""Commands that fail, instead of being ignored, when the position cannot be reached."""


class PmacRequest(bytes):
    """The header and data of one request, with the connection it came by.

    Attributes:
        connection: the framer, which keeps the output of its connection.
    """

    connection: PmacFramer


class PmacFramer:
    """Cuts requests: 8 bytes of header, then data; what cannot be a header is skipped.

    Attributes:
        pending: output that the client has not fetched yet.
    """

    def __init__(self) -> None:
        self.pending = b""
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes and returns the requests that are complete now."""
        self._data += data
        found: list[bytes] = []
        while len(self._data) >= HEADER.size:
            kind, _, _, _, length = HEADER.unpack_from(self._data)
            if kind not in (DOWNLOAD, UPLOAD) or (kind == DOWNLOAD and length > LONGEST_REQUEST):
                del self._data[0]
                continue
            end = HEADER.size + (length if kind == DOWNLOAD else 0)
            if len(self._data) < end:
                break
            request = PmacRequest(self._data[:end])
            request.connection = self
            found.append(request)
            del self._data[:end]
        return found

    def take(self, most: int) -> bytes:
        """Returns what is pending, at most so many bytes of it, and forgets it."""
        reply, self.pending = self.pending[:most], self.pending[most:]
        return reply


class _LineError(Exception):
    """A line that the controller does not understand; the argument is the number of the error."""


class PunaModel(HexapodModel):
    """A PUNA with an Alpha controller."""

    mechanism: ClassVar[Mechanism] = PUNA
    boot_time: ClassVar[float] = 30.0

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._variables: dict[str, float] = {}
        self._commands = self._command_table()
        self._readings = self._reading_table()

    def framer(self) -> PmacFramer:
        return PmacFramer()

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one request."""
        if self.is_deaf(now):
            return b""
        connection = command.connection if isinstance(command, PmacRequest) else PmacFramer()
        _, request, _, _, length = HEADER.unpack_from(command)
        if request in (GETRESPONSE, SENDLINE):
            connection.pending = self._line(command[HEADER.size :], now)
        elif request == FLUSH:
            connection.pending = b""
        if request == GETLINE:
            return connection.take(LONGEST_REPLY) or b"\0"
        if request in (GETRESPONSE, GETBUFFER):
            wanted = length if request == GETBUFFER else 0
            return connection.take(min(wanted or LONGEST_REPLY, LONGEST_REPLY)) or ACK
        return ACK

    # -- lines

    def _line(self, line: bytes, now: float) -> bytes:
        found: list[str] = []
        try:
            for token in line.decode("ascii", errors="replace").upper().split():
                if token == "$$$":
                    self._variables.clear()
                    self.restart(now)
                    return ACK
                found += self._token(token, now)
        except _LineError as exc:
            return f"\x07ERR{exc.args[0]:03}\r".encode()
        return "".join(f"{value}\r" for value in found).encode() + ACK

    def _token(self, token: str, now: float) -> list[str]:
        if _ADDRESS.fullmatch(token):
            return []
        if token in KEYWORDS:
            return [KEYWORDS[token]]
        if token == "TIME":
            seconds = int(now) % 86400
            return [f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"]
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise _LineError(3)
        kind, first = match["kind"], int(match["number"])
        if match["value"] is not None:
            self._set(f"{kind}{first}", float(match["value"]), now)
            return []
        count, step = int(match["count"] or 1), int(match["step"] or 1)
        if not 1 <= count <= MOST_VALUES:
            raise _LineError(3)
        names = (f"{kind}{first + index * step}" for index in range(count))
        kept: dict[str, float] = {}
        return [number_text(self._value(name, kept)) for name in names]

    def _value(self, name: str, kept: dict[str, float]) -> float:
        """Returns a variable; what belongs together is worked out once for a query and `kept`."""
        if name not in kept and name in self._readings:
            kept.update(self._readings[name]())
        return kept.get(name, self._variables.get(name, 0.0))

    def _set(self, name: str, value: float, now: float) -> None:
        self._variables[name] = value
        if name == "Q20":
            self._variables[name] = self._execute(int(value), now) if value > 0 else value

    def _q(self, first: int, count: int) -> list[float]:
        return [self._variables.get(f"Q{number}", 0.0) for number in range(first, first + count)]

    def _answer(self, *values: float) -> None:
        self._variables.update({f"Q{80 + index}": float(value) for index, value in enumerate(values)})

    # -- commands

    def _execute(self, code: int, now: float) -> int:
        command = self._commands.get(code)
        if command is None:
            return -1
        try:
            command(now)
        except RefusedError as exc:
            if exc.limits:
                self._variables["Q29"] = _limit_bits(exc.limits)
            return -2 if code in _FEASIBILITY and exc.why in (Why.NOT_FEASIBLE, Why.NOT_HOMED) else -1
        return 0

    def _command_table(self) -> dict[int, Callable[[float], object]]:
        return {
            1: lambda now: self.platform.home(now),
            2: lambda now: self.platform.stop(),
            3: lambda now: self.platform.switch_control(True),
            4: lambda now: self.platform.switch_control(False),
            10: self._validate,
            11: lambda now: self._move(now),
            12: self._maintain,
            13: self._go_to_specific,
            15: lambda now: self.platform.clear_errors(),
            21: lambda now: self.platform.set_frames(self._q(80, 6), self._q(86, 6)),
            25: lambda now: self.platform.set_speed(*self._q(80, 2)),
            31: self._tell_frames,
            35: lambda now: self._answer(*self.platform.speed, *self.mechanism.speeds[2:]),
            41: lambda now: self.platform.jog(int(self._q(68, 1)[0]), self._q(69, 1)[0], now),
            42: lambda now: self.platform.home_virtually(self._q(71, 6)),
            50: lambda now: None,
            51: lambda now: self.platform.set_frames((0,) * 6, (0,) * 6),
            52: lambda now: self._answer(1),
            55: lambda now: self._answer(*VERSION),
        }

    def _validate(self, now: float) -> None:
        mode, *position = self._q(70, 7)
        try:
            limits = self.platform.violations(self.platform.target(int(mode), position))
        except RefusedError:
            limits = frozenset({Limit.KINEMATICS})
        self._variables["Q29"] = _limit_bits(limits)

    def _move(self, now: float) -> None:
        mode, *position = self._q(70, 7)
        self._variables["Q29"] = 0.0
        self.platform.move(self.platform.target(int(mode), position), now)

    def _maintain(self, now: float) -> None:
        axis = int(self._q(80, 1)[0])
        self.platform.to_jog_zero(range(1, 7) if axis == 10 else [axis], now)

    def _go_to_specific(self, now: float) -> None:
        names = {0: "jog zero", 1: "user zero", 2: "retracted"}
        self._variables["Q29"] = 0.0
        self.go_to_specific(names.get(int(self._q(80, 1)[0]), ""), now)

    def _tell_frames(self, now: float) -> None:
        self._answer(*self.platform.frame_vectors)

    # -- variables that the controller keeps up to date

    def _reading_table(self) -> dict[str, Callable[[], dict[str, float]]]:
        """Returns by variable what works it out, and what goes with it."""
        table: dict[str, Callable[[], dict[str, float]]] = {}
        for first, count, work_out in (
            (26, 3, self._progress),
            (30, 6, self._actuator_states),
            (36, 1, lambda: [self._general_state()]),
            (38, 1, lambda: [int(bool(self.platform.errors))]),
            (41, 6, lambda: self.platform.lengths),
            (47, 6, lambda: self.platform.vector),
            (53, 6, lambda: self.platform.user_vector),
        ):
            names = [f"Q{first + index}" for index in range(count)]
            table.update(dict.fromkeys(names, partial(_named, names, work_out)))
        table["M5282"] = lambda: {"M5282": int(self.platform.moving)}
        return table

    def _progress(self) -> list[int]:
        platform = self.platform
        place = 4 if platform.errors else 2 if platform.moving else 3 if platform.reached else 0
        return [platform.homing, place, int(platform.homing is not Homing.DONE)]

    def _general_state(self) -> int:
        platform, errors = self.platform, self.platform.errors
        return bits(
            _0=bool(errors),
            _1=True,
            _2=platform.reached,
            _3=platform.control,
            _4=platform.homing is Homing.DONE,
            _5=not platform.control,
            _6=platform.emergency,
            _8="following_error" in errors,
            _10="amplifier" in errors,
            _11="encoder" in errors,
            _12="phasing" in errors,
            _13="homing" in errors,
            _17="temperature" in errors,
            _18=platform.virtual,
        )

    def _actuator_states(self) -> list[int]:
        platform, errors = self.platform, self.platform.errors
        return [
            bits(
                _0=platform.reached,
                _1=platform.control,
                _2=platform.homing is Homing.DONE,
                _6=not platform.control,
                _8=errors.get("following_error") == axis,
                _10=errors.get("amplifier") == axis,
                _11=errors.get("encoder") == axis,
                _12=errors.get("phasing") == axis,
            )
            for axis in range(1, 7)
        ]


def _named(names: list[str], work_out: Callable[[], Sequence[float]]) -> dict[str, float]:
    return dict(zip(names, work_out(), strict=True))


def _limit_bits(limits: frozenset[Limit]) -> float:
    number = 0
    for limit in limits:
        number |= _LIMIT_BITS[limit]
    return float(number)
