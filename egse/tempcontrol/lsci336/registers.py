"""The settings of a LakeShore 336, as a table: command, index, fields, factory values.

Most of the instrument's commands set or read one row of numbers (`PID 1,50,20,0`, `PID? 1`). They differ only in what
the table says, so one parser and one formatter serve all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from egse.tempcontrol.lsci336.fields import (
    ArgumentError,
    Field,
    InputLetter,
    Real,
    Text,
    Whole,
    split_arguments,
)
from egse.tempcontrol.lsci336.sensors import STANDARD_CURVES

INPUTS = ("A", "B", "C", "D")
SCANNER_INPUTS = ("D2", "D3", "D4", "D5")
OUTPUTS = (1, 2, 3, 4)
HEATERS = (1, 2)
USER_CURVES = range(21, 60)

FLAG = Whole(0, 1)
KELVIN = Real(0.0, 9999.0, "+07.1f")
VALUE = Real(-99999.0, 99999.0, "+.3f")

Values = tuple[Any, ...]


@dataclass(frozen=True)
class Register:
    """One command that sets and reads a row of values.

    Attributes:
        name: the header.
        index: arguments that say which row.
        fields: the values of a row.
        default: factory values, or a function of the index that returns them.
        check: looks at index and values together and raises `ArgumentError`.
        optional: how many trailing fields may be missing; a field given empty always keeps its value.
    """

    name: str
    index: tuple[Field, ...]
    fields: tuple[Field, ...]
    default: Values | Callable[[Values], Values]
    check: Callable[[Values, Values], None] | None = None
    optional: int = 0

    @property
    def has_text(self) -> bool:
        """True when blanks may be part of an argument."""
        return any(isinstance(f, Text) for f in self.fields)

    def factory_values(self, index: Values) -> Values:
        """Returns the row as it comes from the factory."""
        return self.default(index) if callable(self.default) else self.default


def _outmode_default(index: Values) -> Values:
    return {1: (1, 1, 0), 2: (1, 2, 0)}.get(index[0], (0, 0, 0))


def _outmode_check(index: Values, values: Values) -> None:
    if index[0] in HEATERS and values[0] > 3:
        raise ArgumentError("monitor and warm-up modes belong to outputs 3 and 4")


def _range_check(index: Values, values: Values) -> None:
    if index[0] not in HEATERS and values[0] > 1:
        raise ArgumentError("outputs 3 and 4 are off or on")


def _intype_check(index: Values, values: Values) -> None:
    kind, _, sensor_range = values[:3]
    highest = {1: 1, 2: 8, 3: 8}.get(kind, 0)
    if sensor_range > highest:
        raise ArgumentError(f"sensor type {kind} has ranges 0..{highest}")


def _curve_header_default(index: Values) -> Values:
    name, form, limit, coefficient, _ = STANDARD_CURVES.get(index[0], ("", 2, 375.0, 1, []))
    return (name, "STANDARD" if name else "", form, limit, coefficient)


def _user_curve_check(index: Values, values: Values) -> None:
    if index[0] not in USER_CURVES:
        raise ArgumentError("only curves 21..59 can be written")


def registers(inputs: tuple[str, ...] = INPUTS) -> dict[str, Register]:
    """Returns the table for an instrument with these inputs, by header."""
    one_input, output, heater = InputLetter(inputs), Whole(1, 4), Whole(1, 2)
    last_input = len(inputs)
    rows = [
        # inputs
        Register(
            "INTYPE", (one_input,), (Whole(0, 5), FLAG, Whole(0, 8), FLAG, Whole(1, 3)), (1, 0, 0, 0, 1), _intype_check
        ),
        Register("INNAME", (one_input,), (Text(15),), lambda index: (f"Input {index[0]}",)),
        Register("INCRV", (one_input,), (Whole(0, 59),), (2,)),
        Register("FILTER", (one_input,), (FLAG, Whole(2, 64, "02d"), Whole(1, 10, "02d")), (0, 8, 10)),
        Register("TLIMIT", (one_input,), (KELVIN,), (0.0,)),
        Register("DIOCUR", (one_input,), (FLAG,), (0,)),
        Register(
            "ALARM", (one_input,), (FLAG, VALUE, VALUE, VALUE, FLAG, FLAG, FLAG), (0, 1000.0, 0.0, 0.0, 0, 0, 0)
        ),
        Register(
            "CRVHDR",
            (Whole(1, 59),),
            (Text(15), Text(10), Whole(1, 4), Real(0.0, 9999.0), Whole(1, 2)),
            _curve_header_default,
            _user_curve_check,
        ),
        # outputs and control
        Register("SETP", (output,), (VALUE,), (0.0,)),
        Register("RANGE", (output,), (Whole(0, 3),), (0,), _range_check),
        Register(
            "PID",
            (output,),
            (Real(0.1, 1000.0, "+07.1f"), Real(0.1, 1000.0, "+07.1f"), Real(0.0, 200.0, "+04.0f")),
            (50.0, 20.0, 0.0),
        ),
        Register(
            "OUTMODE", (output,), (Whole(0, 5), Whole(0, last_input), FLAG), _outmode_default, _outmode_check
        ),
        Register(
            "HTRSET", (heater,), (Whole(1, 2), Whole(0, 4), Real(0.0, 2.0, "+.3f"), Whole(1, 2)), (1, 2, 1.0, 1)
        ),
        Register("MOUT", (output,), (Real(0.0, 100.0, "+06.2f"),), (0.0,)),
        Register("RAMP", (output,), (FLAG, Real(0.1, 100.0, "+06.1f")), (0, 0.1)),
        Register(
            "ZONE",
            (output, Whole(1, 10)),
            (
                KELVIN,
                Real(0.1, 1000.0, "+07.1f"),
                Real(0.1, 1000.0, "+07.1f"),
                Real(0.0, 200.0, "+04.0f"),
                Real(0.0, 100.0, "+06.2f"),
                Whole(0, 3),
                Whole(0, last_input),
                Real(0.0, 100.0, "+06.1f"),
            ),
            (0.0, 50.0, 20.0, 0.0, 0.0, 0, 0, 0.1),
        ),
        Register("WARMUP", (Whole(3, 4),), (FLAG, Real(0.0, 100.0, "+06.1f")), (0, 100.0)),
        Register(
            "ANALOG",
            (Whole(3, 4),),
            (Whole(0, last_input), Whole(1, 3), VALUE, VALUE, FLAG),
            (0, 1, 1000.0, 0.0, 0),
        ),
        Register(
            "RELAY", (Whole(1, 2),), (Whole(0, 2), one_input, Whole(0, 2)), (0, "A", 0), optional=2
        ),
        # front panel and interfaces
        Register("MODE", (), (Whole(0, 2),), (1,)),
        Register("LOCK", (), (FLAG, Whole(0, 999, "03d")), (0, 123), optional=1),
        Register("DISPLAY", (), (Whole(0, 8), Whole(0, 2), Whole(0, 4)), (4, 1, 1), optional=2),
        Register("DISPFLD", (Whole(1, 8),), (Whole(0, last_input), Whole(1, 6)), lambda index: (1 + (index[0] - 1) % 4, 1)),
        Register("BRIGT", (), (Whole(0, 32),), (2,)),
        Register("LEDS", (), (FLAG,), (1,)),
        Register("INTSEL", (), (Whole(0, 2),), (1,)),
        Register("IEEE", (), (Whole(1, 30),), (12,)),
        Register("WEBLOG", (), (Text(15), Text(15)), ("user", "user")),
        Register(
            "NET",
            (),
            (FLAG, FLAG, *(Text(15, padded=False) for _ in range(5)), *(Text(31, padded=False) for _ in range(3))),
            (1, 1, "127.0.0.1", "255.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0", "LSCI-336", "", "simulator"),
            optional=8,
        ),
    ]  # fmt: skip
    return {row.name: row for row in rows}


@dataclass
class RegisterFile:
    """The present values of all registers.

    Args:
        table: the registers, by header.
    """

    table: Mapping[str, Register]
    _values: dict[tuple[Any, ...], Values] = field(default_factory=dict)

    def get(self, name: str, *index: Any) -> Values:
        """Returns the row of a register."""
        key = (name, *index)
        row = self._values.get(key)
        if row is None:
            row = self._values[key] = self.table[name].factory_values(index)
        return row

    def set(self, name: str, *index: Any, values: Values) -> None:
        """Replaces the row of a register."""
        self._values[(name, *index)] = values

    def reset(self) -> None:
        """Brings back the factory values."""
        self._values.clear()

    def read(self, name: str, text: str) -> str:
        """Executes a query: returns the row that `text` points at, formatted.

        Raises:
            ArgumentError: when there is no such row.
        """
        register = self.table[name]
        index = _parse_index(register, split_arguments(text))
        values = self.get(name, *index)
        return ",".join(f.format(v) for f, v in zip(register.fields, values, strict=True))

    def write(self, name: str, text: str) -> Values:
        """Executes a set command and returns the index of the row that was written.

        Raises:
            ArgumentError: when an argument is missing, superfluous or impossible; nothing changes then.
        """
        register = self.table[name]
        arguments = split_arguments(text, blanks_separate=not register.has_text)
        count = len(register.index)
        index = _parse_index(register, arguments[:count])
        given = arguments[count:]
        if not len(register.fields) - register.optional <= len(given) <= len(register.fields):
            raise ArgumentError(f"{name} takes {count + len(register.fields)} arguments")
        row = list(self.get(name, *index))
        for position, argument in enumerate(given):
            if argument:
                row[position] = register.fields[position].parse(argument)
        if register.check is not None:
            register.check(index, tuple(row))
        self.set(name, *index, values=tuple(row))
        return index


def _parse_index(register: Register, arguments: list[str]) -> Values:
    if len(arguments) != len(register.index):
        raise ArgumentError(f"{register.name} needs {len(register.index)} arguments to say which")
    return tuple(f.parse(a) for f, a in zip(register.index, arguments, strict=True))
