"""How a simulated instrument takes SCPI apart: keywords in short or long form, several messages in a line, errors.

A keyword is written as in a manual, short form in capitals (`VOLTage`), a node that may be left out in brackets
(`POWer[:DC]`); the instrument takes either form in any case, and nothing in between.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Handler = Callable[[list[str], float], str | None]
"""Takes the arguments and the time [s]; returns the answer of a query, None for a command."""


class RefusedError(ValueError):
    """The instrument does not do it.

    Args:
        code: what it puts into its error queue.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


@dataclass(frozen=True)
class Codes:
    """What an instrument calls the errors of a message.

    Attributes:
        unknown: unknown command.
        character: a character that is not allowed.
        syntax: an argument that is none.
        count: wrong number of arguments.
        range: argument out of range.
        overflow: the queue was full; None: the newest error is lost silently.
    """

    unknown: int
    character: int
    syntax: int
    count: int
    range: int
    overflow: int | None = None


STANDARD_CODES = Codes(unknown=-113, character=-101, syntax=-104, count=-109, range=-222, overflow=-350)
"""Those of the SCPI standard (volume 2, chapter 21.8)."""
STANDARD_TEXTS = {
    0: "No error",
    -101: "Invalid character",
    -104: "Data type error",
    -109: "Missing parameter",
    -113: "Undefined header",
    -221: "Settings conflict",
    -222: "Data out of range",
    -230: "Data corrupt or stale",
    -350: "Queue overflow",
}
QUEUE_LENGTH = 16


class CommandTable:
    """The commands of an instrument and its error queue.

    Args:
        commands: header as in the manual, with ? for a query (`MEASure:VOLTage?`), and what executes it.
        codes: numbers of errors.

    Attributes:
        errors: the queue, oldest first.
    """

    def __init__(self, commands: Mapping[str, Handler], codes: Codes) -> None:
        self._commands = [(_pattern(header), handler) for header, handler in commands.items()]
        self._found: dict[str, Handler] = {}
        self.codes = codes
        self.errors: deque[int] = deque()

    def execute(self, line: bytes, now: float) -> str:
        """Executes a line; returns the answers of its queries, joined with `;`."""
        text = line.decode("latin-1")
        answers = []
        path = ""
        for message in split_outside(text, ";"):
            if not message.strip():
                continue
            try:
                path, answer = self._execute(message.strip(), path, now)
            except RefusedError as exc:
                self.push(exc.code)
            else:
                if answer is not None:
                    answers.append(answer)
        return ";".join(answers)

    def _execute(self, message: str, path: str, now: float) -> tuple[str, str | None]:
        """Executes one message unit, relative to the path of the one before; returns its own path and its answer."""
        if not (message.isascii() and message.isprintable()):
            raise RefusedError(self.codes.character)
        header, _, rest = message.partition(" ")
        arguments = [part.strip() for part in split_outside(rest, ",")] if rest.strip() else []
        relative = path and header[0] not in ":*"
        for candidate in (f"{path}:{header}", header) if relative else (header,):
            handler = self._handler(candidate)
            if handler is not None:
                below = path if header[0] == "*" else candidate.rpartition(":")[0]
                return below, handler(arguments, now)
        raise RefusedError(self.codes.unknown)

    def _handler(self, header: str) -> Handler | None:
        handler = self._found.get(header)
        if handler is None:
            handler = next((found for pattern, found in self._commands if pattern.fullmatch(header)), None)
            if handler is not None and len(self._found) < 4096:
                self._found[header] = handler
        return handler

    def push(self, code: int) -> None:
        """Puts an error into the queue; a full one keeps the oldest."""
        if len(self.errors) < QUEUE_LENGTH:
            self.errors.append(code)
        elif self.codes.overflow is not None:
            self.errors[-1] = self.codes.overflow

    def pop(self) -> int:
        """Takes the oldest error out of the queue, 0 when there is none."""
        return self.errors.popleft() if self.errors else 0

    # -- arguments

    def number(self, arguments: list[str], low: float, high: float) -> float:
        """Returns the only argument, a number."""
        return self.numbers(arguments, 1, low, high)[0]

    def numbers(self, arguments: list[str], count: int, low: float, high: float) -> list[float]:
        """Returns so many numbers between two limits."""
        self._check_count(arguments, count)
        try:
            values = [float(argument) for argument in arguments]
        except ValueError as exc:
            raise RefusedError(self.codes.syntax) from exc
        if not all(low <= value <= high for value in values):
            raise RefusedError(self.codes.range)
        return values

    def whole(self, arguments: list[str], count: int, low: int, high: int) -> list[int]:
        """Returns so many whole numbers between two limits."""
        self._check_count(arguments, count)
        words = [{"ON": "1", "OFF": "0"}.get(argument.upper(), argument) for argument in arguments]
        try:
            values = [int(word) for word in words]
        except ValueError as exc:
            raise RefusedError(self.codes.syntax) from exc
        if not all(low <= value <= high for value in values):
            raise RefusedError(self.codes.range)
        return values

    def _check_count(self, arguments: list[str], count: int) -> None:
        if len(arguments) != count:
            raise RefusedError(self.codes.count)


@dataclass(frozen=True)
class Stored:
    """A setting that the instrument keeps and gives back.

    Attributes:
        default: its value after a reset; a number, or one of `choices`.
        low, high: limits of a number.
        form: format specification of a number in a reply.
        choices: words as in the manual (`CELSius`), for a setting that is none; the short form is given back.
        words: further words for numbers, `{"ON": 1}`.
        suffix: unit that may stand behind a number.
    """

    default: float | str
    low: float = -math.inf
    high: float = math.inf
    form: str = ".6E"
    choices: tuple[str, ...] = ()
    words: Mapping[str, float] | None = None
    suffix: str = ""

    def parse(self, text: str, codes: Codes) -> float | str:
        """Returns the value that a text stands for: a number, MIN, MAX, DEF or one of the words.

        Raises:
            RefusedError: when it stands for none.
        """
        word = text.strip("\"'").upper()
        if self.choices:
            found = next((c for c in self.choices if word in (_short(c), c.upper())), None)
            if found is None:
                raise RefusedError(codes.syntax)
            return _short(found)
        named = {"MIN": self.low, "MAX": self.high, "DEF": self.default, **(self.words or {})}
        named |= {"MINIMUM": self.low, "MAXIMUM": self.high, "DEFAULT": self.default}
        if word in named:
            return named[word]
        try:
            value = float(word.removesuffix(self.suffix.upper()).rstrip())
        except ValueError as exc:
            raise RefusedError(codes.syntax) from exc
        if not self.low <= value <= self.high:
            raise RefusedError(codes.range)
        return value

    def text(self, value: float | str) -> str:
        """Returns a value as the instrument writes it."""
        if isinstance(value, str):
            return value
        return str(int(value)) if self.form == "d" else format(value, self.form)


SWITCH = Stored(0, 0, 1, "d", words={"ON": 1, "OFF": 0})
"""On or off, off after a reset."""
SWITCHED_ON = Stored(1, 0, 1, "d", words={"ON": 1, "OFF": 0})


class Settings:
    """The settings of an instrument that do nothing but keep their value, and the commands for them.

    Args:
        kinds: header as in the manual (`SENSe:AVERage:COUNt`) -> what is stored there.
        codes: numbers of errors.
    """

    def __init__(self, kinds: Mapping[str, Stored], codes: Codes) -> None:
        self.kinds = dict(kinds)
        self._codes = codes
        self._values: dict[str, float | str] = {}

    def __getitem__(self, header: str) -> Any:
        return self._values.get(header, self.kinds[header].default)

    def __setitem__(self, header: str, value: float | str) -> None:
        self._values[header] = value

    def reset(self) -> None:
        """Brings back the defaults."""
        self._values.clear()

    def commands(self) -> dict[str, Handler]:
        """Returns the setting and the query of each header, for a `CommandTable`."""
        found: dict[str, Handler] = {}
        for header in self.kinds:
            found[header] = self._setter(header)
            found[f"{header}?"] = self._getter(header)
        return found

    def _setter(self, header: str) -> Handler:
        def handler(arguments: list[str], now: float) -> None:
            if len(arguments) != 1:
                raise RefusedError(self._codes.count)
            self._values[header] = self.kinds[header].parse(arguments[0], self._codes)

        return handler

    def _getter(self, header: str) -> Handler:
        def handler(arguments: list[str], now: float) -> str:
            kind = self.kinds[header]
            return kind.text(kind.parse(arguments[0], self._codes) if arguments else self[header])

        return handler


def split_outside(text: str, separator: str) -> list[str]:
    """Splits a text at a separator that stands in no quotes and no parentheses."""
    if separator not in text:
        return [text]
    parts, start, quote, depth = [], 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == separator and depth <= 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return parts


def _short(keyword: str) -> str:
    return "".join(character for character in keyword if not character.islower())


def _pattern(header: str) -> re.Pattern[str]:
    """Returns the pattern of a header: every keyword in its short or its long form."""
    if header.startswith("*"):
        return re.compile(re.escape(header), re.IGNORECASE)
    parts = []
    for part in re.findall(r"[A-Za-z0-9-]+|[\[\]:?]", header):
        if part in "[]":
            parts.append("(?:" if part == "[" else ")?")
        elif part in ":?":
            parts.append(re.escape(part))
        else:
            parts.append(f"(?:{re.escape(_short(part))}|{re.escape(part)})")
    return re.compile(":?" + "".join(parts), re.IGNORECASE)
