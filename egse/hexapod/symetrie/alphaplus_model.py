"""The Alpha+ controller as a client sees it: login, command interpreter, variables (device reference, section 2); no I/O.

Own proposals where the reference leaves it open: a homing leaves the control loop on; the order of the status block; an
unknown name is `error #20`, an unknown number return code -30; other shell words are not found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from egse.hexapod.symetrie.mechanisms import JORAN, PUNA, ZONDA, Mechanism, Workspace
from egse.hexapod.symetrie.model import HexapodModel
from egse.hexapod.symetrie.platform import Homing, Limit, RefusedError, Why
from egse.hexapod.symetrie.shell_lines import ShellFramer, ShellLine
from egse.hexapod.symetrie.states import bits, number_text
from egse.simulator import HangUpError, LateReply

START_TIME = 0.5
"""How long the command interpreter takes to start [s]."""
VERSION = (2, 1, 0, 0, 0, 1, 2, 0, 0, 0, 0, 101)
"""Software, API, configuration: what `C_VERSION` answers (numbers 1..4, 5..8, 11) [own proposal]."""
PARAMETERS = 20
AXES = range(1, 7)
COORDINATES = ("tx", "ty", "tz", "rx", "ry", "rz")
STATUS = (
    "s_hexa",
    "s_action",
    *(f"s_uto_{c}" for c in COORDINATES),
    *(f"s_mtp_{c}" for c in COORDINATES),
    *(f"s_ax_{axis}" for axis in AXES),
    *(f"s_pos_ax_{axis}" for axis in AXES),
    *(f"s_ai_{n}" for n in range(1, 9)),
    *(f"s_dio_{n}" for n in range(1, 9)),
    "s_cycle",
    "s_err_nr",
    *(f"s_err_{n}" for n in range(1, 7)),
)
"""The status block, 50 values; the names and places of those that no driver asks for are our own proposal."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TOKEN = re.compile(
    rf"(?P<name>[A-Za-z_]\w*)(?:\((?P<index>\d+)\))?(?:=(?P<value>{_NUMBER}|C_\w+)|,(?P<count>\d+),(?P<step>\d+))?"
)
_CODES = {
    Why.VALUE: -10,
    Why.CONTROL_OFF: -35,
    Why.EMERGENCY: -37,
    Why.MOVING: -38,
    Why.HOMING: -39,
    Why.NOT_FEASIBLE: -40,
    Why.ERROR: -44,
    Why.NOT_HOMED: -45,
}
_LIMIT_BITS = {Limit.FACTORY: 1, Limit.MACHINE: 2, Limit.USER: 4, Limit.ACTUATOR: 8}


class _ReturnCodeError(Exception):
    """A command is refused; the argument is its return code."""


class AlphaPlusModel(HexapodModel):
    """A hexapod with an Alpha+ controller."""

    boot_time: ClassVar[float] = 120.0
    credentials: ClassVar[tuple[str, str]] = ("root", "deltatau")

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._parameters = [0.0] * PARAMETERS
        self._registers = {"c_cmd": 0.0, "c_ax": 0.0, "c_cfg": 0.0}
        self._commands = self._command_table()

    def framer(self) -> ShellFramer:
        return ShellFramer()

    def connect(self, now: float) -> bytes:
        return b"" if self.is_deaf(now) else b"\r\nPower PMAC\r\n\r\nppmac login: "

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one line."""
        if self.is_deaf(now):
            return b""
        connection = command.connection if isinstance(command, ShellLine) else ShellFramer()
        line = command.decode("ascii", errors="replace")
        if connection.stage == "gpascii":
            return self._line(line, now)
        return self._session(connection, line, now)

    # -- login and shell

    def _session(self, connection: ShellFramer, line: str, now: float) -> bytes:
        if connection.stage == "login":
            connection.user, connection.stage = line, "password"
            return f"{line}\r\nPassword: ".encode()
        if connection.stage == "password":
            if (connection.user, line) != self.credentials:
                connection.stage = "login"
                return b"\r\nLogin incorrect\r\nppmac login: "
            connection.stage = "shell"
            return b"\r\nroot@ppmac# "
        word, _, _ = line.partition(" ")
        if word == "gpascii":
            connection.stage = "gpascii"
            return LateReply(b"STDIN Open for ASCII Input\r\n\x06\r\n", due=now + START_TIME)
        if word in ("exit", "logout"):
            raise HangUpError
        if word == "reboot":
            self._reboot(now)
        return f"{line}\r\n-sh: {word}: not found\r\nroot@ppmac# ".encode()

    def _reboot(self, now: float) -> None:
        self._parameters = [0.0] * PARAMETERS
        self.restart(now)
        raise HangUpError

    # -- lines for the interpreter

    def _line(self, line: str, now: float) -> bytes:
        if line.lower() == "system reboot":
            self._reboot(now)
        values: list[str] = []
        try:
            if not line.lower().startswith("echo"):
                for token in line.split():
                    values += self._token(token, now)
        except ValueError as exc:
            values = [f"stdin:1:1: error #20: ILLEGAL CMD: {exc}"]
        return "".join(f"{text}\r\n" for text in (line, *values, "\x06")).encode()

    def _token(self, token: str, now: float) -> list[str]:
        if token.upper() == "VERS":
            return ["Power PMAC simulator"]
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise ValueError(token)
        name, index = match["name"].lower(), match["index"]
        if match["value"] is not None:
            self._set(name, index, match["value"], token, now)
            return []
        count, step = int(match["count"] or 1), int(match["step"] or 1)
        if match["count"] is not None and not (2 <= count <= len(STATUS) and step >= 1):
            raise ValueError(token)  # one value is asked for without a count
        return [number_text(value) for value in self._get(name, index, token)[::step][:count]]

    def _get(self, name: str, index: str | None, token: str) -> list[float]:
        """Returns the values from a variable on to the end of its block."""
        if name == "c_par" and int(index or 0) < PARAMETERS:
            return self._parameters[int(index or 0) :]
        if name in self._registers and index is None:
            return [self._registers[name]]
        if name in STATUS and index is None:
            return self._status(name)
        raise ValueError(token)

    def _set(self, name: str, index: str | None, value: str, token: str, now: float) -> None:
        if name == "c_par" and int(index or 0) < PARAMETERS and not value.startswith("C_"):
            self._parameters[int(index or 0)] = float(value)
        elif name == "c_cmd" and index is None:
            if value.startswith("C_") and value not in self._commands:
                raise ValueError(token)
            self._registers[name] = self._execute(value, now)
        elif name in self._registers and index is None and not value.startswith("C_"):
            self._registers[name] = float(value)
        else:
            raise ValueError(token)

    def _execute(self, name: str, now: float) -> int:
        command = self._commands.get(name)
        if command is None:
            return 0 if float(name) == 0 else -30
        try:
            command(now)
        except RefusedError as exc:
            return _CODES[exc.why]
        except _ReturnCodeError as exc:
            return int(exc.args[0])
        return 0

    # -- commands

    def _command_table(self) -> dict[str, Callable[[float], object]]:
        return {
            "C_STOP": lambda now: self.platform.stop(),
            "C_CONTROLON": lambda now: self.platform.switch_control(True),
            "C_CONTROLOFF": lambda now: self.platform.switch_control(False),
            "C_HOME": lambda now: self.platform.home(now),
            "C_HOMEVIRTUAL": lambda now: self.platform.home_virtually(self._parameters[:6]),
            "C_CLEARERROR": lambda now: self.platform.clear_errors(),
            "C_CFG_CS": self._configure_frames,
            "C_CFG_SPEED": self._configure_speed,
            "C_CFG_LIMIT": self._configure_limit,
            "C_CFG_LIMITENABLE": self._enable_limit,
            "C_CFG_DEFAULT": self._configure_default,
            "C_MOVE_PTP": self._move,
            "C_MOVE_SPECIFICPOS": self._move_to_specific,
            "C_VALID_PTP": self._validate,
            "C_VERSION": lambda now: self._answer(*VERSION),
            "C_JOG": self._jog,
            "C_MAINTENANCE": self._maintain,
        }

    def _answer(self, *values: float) -> None:
        self._parameters[: len(values)] = [float(value) for value in values]

    def _sets(self) -> bool:
        return self._registers["c_cfg"] != 0

    def _configure_frames(self, now: float) -> None:
        if self._sets():
            self.platform.set_frames(self._parameters[:6], self._parameters[6:12])
        else:
            self._answer(*self.platform.frame_vectors)

    def _configure_speed(self, now: float) -> None:
        if self._sets():
            self.platform.set_speed(*self._parameters[:2])
        else:
            self._answer(*self.platform.speed, *self.mechanism.speeds[2:])

    def _workspace(self) -> tuple[int, Workspace]:
        number = int(self._parameters[0])
        if number not in (0, 1, 2):
            raise _ReturnCodeError(-10)
        if number == 0 and self._sets():
            raise _ReturnCodeError(-31)
        return number, (self.platform.factory, self.platform.machine, self.platform.user)[number]

    def _configure_limit(self, now: float) -> None:
        number, workspace = self._workspace()
        if self._sets():
            low, high = self._parameters[1:7], self._parameters[7:13]
            wrong = [i for i, (a, b) in enumerate(zip(low, high, strict=True), start=1) if a > b]
            if wrong:
                raise _ReturnCodeError(-10 - wrong[0])
            workspace.low, workspace.high = low, high
        else:
            self._answer(number, *workspace.low, *workspace.high)

    def _enable_limit(self, now: float) -> None:
        platform = self.platform
        if self._sets():
            self._workspace()[1].enabled = bool(self._parameters[1])
        else:
            self._answer(*(space.enabled for space in (platform.factory, platform.machine, platform.user)))

    def _configure_default(self, now: float) -> None:
        if not self._sets():
            raise _ReturnCodeError(-32)
        self.platform.set_frames((0,) * 6, (0,) * 6)
        self.platform.set_default_limits()

    def _move(self, now: float) -> None:
        mode, *position = self._parameters[:7]
        self.platform.move(self.platform.target(int(mode), position), now)

    def _move_to_specific(self, now: float) -> None:
        names = {1: "user zero", 2: "retracted", 3: "machine zero"}
        self.go_to_specific(names.get(int(self._parameters[0]), ""), now)

    def _validate(self, now: float) -> None:
        validation_mode, mode, *position = self._parameters[:8]
        if validation_mode != 1:
            raise _ReturnCodeError(-10)
        limits = self.platform.violations(self.platform.target(int(mode), position))
        if Limit.NOT_HOMED in limits:
            self._answer(_CODES[Why.NOT_HOMED])
        else:
            self._answer(sum(_LIMIT_BITS.get(limit, 0) for limit in limits))

    def _jog(self, now: float) -> None:
        axis = int(self._registers["c_ax"])
        if axis not in AXES:
            raise _ReturnCodeError(-33)
        self.platform.jog(axis, self._parameters[0], now)

    def _maintain(self, now: float) -> None:
        what, axis = int(self._parameters[0]), int(self._parameters[1])
        if what not in (1, 2, 3):
            raise _ReturnCodeError(-10)
        if what == 2 and axis not in AXES:
            raise _ReturnCodeError(-33)
        self.platform.to_jog_zero([axis] if what == 2 else AXES, now)

    # -- status

    def _status(self, name: str) -> list[float]:
        """Returns the status block from one value on to its end."""
        platform = self.platform
        groups: tuple[tuple[int, Callable[[], Sequence[float]]], ...] = (
            (2, lambda: (self._general_state(), 0)),
            (6, lambda: platform.user_vector),
            (6, lambda: platform.vector),
            (6, self._actuator_states),
            (6, lambda: platform.lengths),
            (6, lambda: [round(celsius, 2) for celsius in platform.temperatures]),
            (11, lambda: [0] * 11),
            (7, lambda: [len(platform.errors), *[0] * 6]),
        )
        place, found = STATUS.index(name), []
        for size, work_out in groups:
            if place < size:
                found += list(work_out())[max(place, 0) :]
            place -= size
        return found

    def _general_state(self) -> int:
        platform = self.platform
        homing = platform.homing is Homing.RUNNING
        return bits(
            _0=bool(platform.errors),
            _1=True,
            _2=platform.control,
            _3=platform.reached,
            _4=platform.moving and not homing,
            _5=homing,
            _6=platform.homing is Homing.DONE,
            _7=platform.virtual,
            _8="phasing" not in platform.errors,
            _9=not platform.control,
            _11=True,
            _12=True,
            _13=not platform.emergency,
            _14=platform.emergency,
        )

    def _actuator_states(self) -> list[int]:
        platform, errors = self.platform, self.platform.errors
        homing = platform.homing is Homing.RUNNING
        return [
            bits(
                _0=axis in errors.values(),
                _1=platform.control,
                _2=platform.reached,
                _3=platform.moving and not homing,
                _4=homing,
                _5=platform.homing is Homing.DONE,
                _6=errors.get("phasing") != axis,
                _7=not platform.control,
                _12=errors.get("following_error") == axis,
                _13=errors.get("amplifier") == axis,
                _14=errors.get("encoder") == axis,
            )
            for axis in AXES
        ]


class PunaPlusModel(AlphaPlusModel):
    """A PUNA with an Alpha+ controller."""

    mechanism: ClassVar[Mechanism] = PUNA


class ZondaModel(AlphaPlusModel):
    """A ZONDA."""

    mechanism: ClassVar[Mechanism] = ZONDA


class JoranModel(AlphaPlusModel):
    """A JORAN."""

    mechanism: ClassVar[Mechanism] = JORAN
