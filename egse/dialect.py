"""How a driver asks and commands an instrument that speaks in lines of text, and reads the answers.

Such instruments keep silent when they are told something, and put what they refuse into an error queue. So the driver
sends the question for that queue behind each setting: it has an answer, and nothing is refused unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from egse.command import CommandError, dynamic_command
from egse.device import DeviceError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Dialect:
    """How one kind of instrument is spoken to.

    Attributes:
        name: of the instrument, for messages.
        end: between two lines of a message.
        error_query: asks for the oldest error.
        reasons: what the numbers of errors mean.
        error: what is raised when the instrument refuses, or answers what makes no sense.
        before: sent before each setting: forgets errors of a question that nobody answered.
        checked: the instrument answers several questions of one message in one line, joined with `;`: a question too
            is followed by `error_query`, so that one that is refused is not waited for.
    """

    name: str
    end: str
    error_query: str
    reasons: Mapping[int, str] = field(default_factory=dict)
    error: type[DeviceError] = DeviceError
    before: str = ""
    checked: bool = False

    def question(
        self, cmd_string: str, convert: Callable[[str], Any] = str, *, use_format: bool = False
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Declares a command that asks something.

        Args:
            cmd_string: template (`${channel}`) or, with `use_format`, format string (`{channel}`).
            convert: makes the result of the text of the answer.
            use_format: see `cmd_string`.
        """
        return dynamic_command(
            cmd_type="query",
            cmd_string=cmd_string,
            use_format=use_format,
            process_cmd_string=self.with_check if self.checked else self.sendable,
            process_response=self.answered(convert),
        )

    def setting(
        self, cmd_string: str, *, use_format: bool = False
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Declares a command that changes something; its answer is that of the error queue.

        Args:
            cmd_string: template (`${channel}`) or, with `use_format`, format string (`{channel}`).
            use_format: see `cmd_string`.
        """
        return dynamic_command(
            cmd_type="transaction",
            cmd_string=cmd_string,
            use_format=use_format,
            process_cmd_string=self.with_check,
            process_response=self.done,
        )

    def sendable(self, cmd_string: str) -> str:
        """Returns a message that is one line.

        Raises:
            CommandError: when a text argument would break out of its line; nothing is sent.
        """
        if not (cmd_string.isascii() and cmd_string.isprintable()):
            raise CommandError(f"this cannot be sent to {self.name}: {cmd_string!r}")
        return cmd_string

    def with_check(self, cmd_string: str) -> str:
        """Appends the question for the error queue.

        Raises:
            CommandError: when a text argument would break out of its line; nothing is sent.
        """
        return self.before + self.sendable(cmd_string) + self.end + self.error_query

    def done(self, response: bytes) -> None:
        """Decodes the answer to a setting; raises `error` when there is one in the queue, or the answer is not one."""
        code = self.decoded(error_code)(response)
        if code:
            reason = self.reasons.get(code, "for a reason of its own")
            raise self.error(f"{self.name} refused: {reason} (error {code})")

    def answered(self, convert: Callable[[str], T]) -> Callable[..., T]:
        """Returns a decoder for answers to questions; behind the answer stands that of the error queue when `checked`."""
        decode = self.decoded(convert)
        if not self.checked:
            return decode

        def decode_checked(response: bytes) -> T:
            answer, _, error = response.rpartition(b";")
            self.done(error)
            return decode(answer)

        return decode_checked

    def decoded(self, convert: Callable[[str], T]) -> Callable[..., T]:
        """Returns a decoder for answers that `convert` understands."""

        def decode(response: bytes) -> T:
            try:
                return convert(response.decode("latin-1").strip())
            except (ValueError, IndexError, KeyError) as exc:
                raise self.error(f"{self.name} answered {response!r}, which makes no sense here") from exc

        return decode


def error_code(text: str) -> int:
    """Reads `0` or `0,"No error"`."""
    return int(text.partition(",")[0])


def flag(text: str) -> bool:
    """Reads 0 or 1, ON or OFF."""
    words = {"0": False, "OFF": False, "1": True, "ON": True}
    return words[text.upper()]


def words(text: str) -> tuple[str, ...]:
    """Reads words parted by commas."""
    return tuple(word.strip() for word in text.split(","))


def integer(text: str) -> int:
    """Reads a whole number, also one with an exponent."""
    number = float(text)
    if number != int(number):
        raise ValueError(text)
    return int(number)


def floats(count: int) -> Callable[[str], tuple[float, ...]]:
    """Returns a converter for so many numbers."""

    def convert(text: str) -> tuple[float, ...]:
        values = tuple(float(word) for word in words(text))
        if len(values) != count:
            raise ValueError(text)
        return values

    return convert


def integers(count: int) -> Callable[[str], tuple[int, ...]]:
    """Returns a converter for so many whole numbers."""

    def convert(text: str) -> tuple[int, ...]:
        values = tuple(integer(word) for word in words(text))
        if len(values) != count:
            raise ValueError(text)
        return values

    return convert
