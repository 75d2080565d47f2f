"""Arguments of the LakeShore 336: how each kind is read off a message and written into a reply."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Protocol

MESSAGE_UNIT = re.compile(r":?\s*(\*?[A-Za-z]+)(\?)?\s*(.*)", re.DOTALL)


class UnknownCommandError(ValueError):
    """Not a command of the instrument: sets bit 5 (CME) of the standard event register."""


class ArgumentError(ValueError):
    """A known command with an impossible argument: sets bit 4 (EXE) of the standard event register."""


class Field(Protocol):
    """One argument."""

    def parse(self, text: str) -> Any:
        """Returns the value; raises `ArgumentError` when the text is no possible one."""
        ...

    def format(self, value: Any) -> str:
        """Returns the value as the instrument writes it into a reply."""
        ...


@dataclass(frozen=True, slots=True)
class Real:
    """A real number from `low` to `high`, written with the format specification `form`."""

    low: float
    high: float
    form: str = "+.3f"

    def parse(self, text: str) -> float:
        value = _number(text)
        if not self.low <= value <= self.high:
            raise ArgumentError(f"{value:g} is not in {self.low:g}..{self.high:g}")
        return value

    def format(self, value: Any) -> str:
        return format(float(value), self.form)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`; `1`, `1.0` and `1E0` are the same."""

    low: int
    high: int
    form: str = "d"

    def parse(self, text: str) -> int:
        value = _number(text)
        if value != int(value) or not self.low <= value <= self.high:
            raise ArgumentError(f"{text} is not a whole number in {self.low}..{self.high}")
        return int(value)

    def format(self, value: Any) -> str:
        return format(int(value), self.form)


@dataclass(frozen=True, slots=True)
class Text:
    """Text of up to `width` characters, quoted or not; filled up with blanks in a reply when `padded`."""

    width: int
    padded: bool = True

    def parse(self, text: str) -> str:
        if len(text) >= 2 and text[0] in "\"'" and text[-1] == text[0]:
            text = text[1:-1]
        return text[: self.width]

    def format(self, value: Any) -> str:
        return str(value).ljust(self.width) if self.padded else str(value)


@dataclass(frozen=True, slots=True)
class InputLetter:
    """An input: A..D or 1..4, with the scanner option also D2..D5 or 5..8; the value is the letter."""

    names: tuple[str, ...] = ("A", "B", "C", "D")
    none_allowed: bool = False

    def parse(self, text: str) -> str:
        name = text.upper()
        if name in self.names:
            return name
        number = int(_number(text))
        if number == 0 and self.none_allowed:
            return ""
        if not 1 <= number <= len(self.names):
            raise ArgumentError(f"there is no input {text}")
        return self.names[number - 1]

    def format(self, value: Any) -> str:
        return str(value)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError as exc:
        raise ArgumentError(f"{text!r} is not a number") from exc
    if not math.isfinite(value):
        raise ArgumentError(f"{text!r} is not a number")
    return value


def split_message(message: str) -> list[str]:
    """Splits a message at its semicolons, outside of quotes; empty parts are left out."""
    return [unit for unit in (part.strip() for part in _split_outside_quotes(message, ";")) if unit]


def parse_unit(unit: str) -> tuple[str, bool, str]:
    """Takes one command apart.

    Returns:
        Header in capitals without question mark, whether it is a query, and the text of its arguments.

    Raises:
        UnknownCommandError: when it does not even look like a command.
    """
    match = MESSAGE_UNIT.fullmatch(unit)
    if match is None:
        raise UnknownCommandError(unit)
    return match[1].upper(), match[2] is not None, match[3].strip()


def split_arguments(text: str, *, blanks_separate: bool = True) -> list[str]:
    """Splits arguments at commas and, as one PLATO driver separates them, at blanks.

    Args:
        text: everything after the header.
        blanks_separate: False for commands with text among their arguments.
    """
    if not text:
        return []
    arguments = [part.strip() for part in _split_outside_quotes(text, ",")]
    if not blanks_separate:
        return arguments
    return [word for argument in arguments for word in (argument.split() or [""])]


def _split_outside_quotes(text: str, separator: str) -> list[str]:
    parts, start, quote = [], 0, ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character == '"':
            quote = character
        elif character == separator:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return parts
