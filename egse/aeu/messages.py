"""How the drivers of the AEU ask and command, and read the answers.

All three kinds of units keep silent when they are told something, and put what they refuse into an error queue. So the
driver sends the question for that queue on the line behind each setting: it has an answer, and nothing is refused unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from egse.aeu.lines import Six
from egse.command import CommandError, dynamic_command
from egse.device import DeviceError
from egse.response import register_error

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@register_error
class AEUError(DeviceError):
    """A unit of the AEU refused a command or gave an answer that makes no sense."""


@dataclass(frozen=True)
class Dialect:
    """How one kind of unit is spoken to.

    Attributes:
        name: of the unit, for messages.
        end: between two lines of a message.
        error_query: asks for the oldest error.
        reasons: what the numbers of errors mean.
    """

    name: str
    end: str
    error_query: str
    reasons: dict[int, str]

    def question(
        self, cmd_string: str, convert: Callable[[str], Any]
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Declares a command that asks something; `convert` makes the result of the text of the answer."""
        return dynamic_command(
            cmd_type="query", cmd_string=cmd_string, process_response=self.decoded(convert)
        )

    def setting(self, cmd_string: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Declares a command that changes something; its answer is that of the error queue."""
        return dynamic_command(
            cmd_type="transaction",
            cmd_string=cmd_string,
            process_cmd_string=self.with_check,
            process_response=self.done,
        )

    def with_check(self, cmd_string: str) -> str:
        """Appends the question for the error queue.

        Raises:
            CommandError: when a text argument would break out of its line; nothing is sent.
        """
        if not (cmd_string.isascii() and cmd_string.isprintable()):
            raise CommandError(f"this cannot be sent to {self.name}: {cmd_string!r}")
        return cmd_string + self.end + self.error_query

    def done(self, response: bytes) -> None:
        """Decodes the answer to a setting.

        Raises:
            AEUError: when there is an error in the queue, or the answer is not one.
        """
        code = self.decoded(error_code)(response)
        if code:
            reason = self.reasons.get(code, "for a reason of its own")
            raise AEUError(f"{self.name} refused: {reason} (error {code})")

    def decoded(self, convert: Callable[[str], T]) -> Callable[..., T]:
        """Returns a decoder for answers that `convert` understands."""

        def decode(response: bytes) -> T:
            try:
                return convert(response.decode("latin-1").strip())
            except (ValueError, IndexError, KeyError) as exc:
                raise AEUError(f"{self.name} answered {response!r}, which makes no sense here") from exc

        return decode


CRIO = Dialect(
    "the cRIO",
    "\r\n",
    "SYST:ERR?",
    {
        1: "unknown command",
        2: "a character that is not allowed",
        3: "an argument that makes no sense",
        4: "wrong number of arguments",
        5: "out of range",
        6: "not allowed in this operating mode",
    },
)
PSU = Dialect(
    "the power supply",
    "\n",
    "SYST:ERR?",
    {
        -113: "unknown command",
        -221: "settings conflict",
        -222: "out of range",
        101: "a protection is active",
        102: "the output is on",
        155: "not during an alarm (see the questionable status, then clear_alarms)",
        156: "not while the output is on",
        157: "under external control",
        301: "no such channel",
    },
)
AWG = Dialect(
    "the waveform generator",
    "\n",
    "EER?",
    {-111: "unknown command", -112: "unknown parameter", -27: "more than 8192 points"},
)


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


def six(text: str) -> Six:
    """Reads six numbers, one for each line."""
    a, b, c, d, e, f = floats(6)(text)
    return a, b, c, d, e, f
