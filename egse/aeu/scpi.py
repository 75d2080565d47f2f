"""How a simulated instrument takes SCPI apart: keywords in short or long form, several messages in a line, errors.

A keyword is written as in a manual, short form in capitals (`VOLTage`); the instrument takes either form in any case, and
nothing in between.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
        self.codes = codes
        self.errors: deque[int] = deque()

    def execute(self, line: bytes, now: float) -> str:
        """Executes a line; returns the answers of its queries, joined with `;`."""
        text = line.decode("latin-1")
        answers = []
        for message in text.split(";"):
            if not message.strip():
                continue
            try:
                answer = self._execute(message.strip(), now)
            except RefusedError as exc:
                self.push(exc.code)
            else:
                if answer is not None:
                    answers.append(answer)
        return ";".join(answers)

    def _execute(self, message: str, now: float) -> str | None:
        if not (message.isascii() and message.isprintable()):
            raise RefusedError(self.codes.character)
        header, _, rest = message.partition(" ")
        arguments = [part.strip() for part in rest.split(",")] if rest.strip() else []
        for pattern, handler in self._commands:
            if pattern.fullmatch(header):
                return handler(arguments, now)
        raise RefusedError(self.codes.unknown)

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


def _pattern(header: str) -> re.Pattern[str]:
    """Returns the pattern of a header: every keyword in its short or its long form."""
    query = r"\?" if header.endswith("?") else ""
    if header.startswith("*"):
        return re.compile(re.escape(header), re.IGNORECASE)
    keywords = []
    for keyword in header.removesuffix("?").split(":"):
        short = "".join(character for character in keyword if not character.islower())
        keywords.append(f"(?:{re.escape(short)}|{re.escape(keyword)})")
    return re.compile(":?" + ":".join(keywords) + query, re.IGNORECASE)
