"""How the driver asks and commands a LakeShore 336, and reads its answers.

The instrument reports nothing as text: a refused command only sets a bit of its standard event register, and a refused
query is not answered at all. So the driver ends every message with `;*ESR?`; then each command has an answer, errors
are seen at once, and no query has to run into its time-out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from egse.command import CommandError, dynamic_command
from egse.device import DeviceError
from egse.response import register_error

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

EVENT_QUERY = ";*ESR?"
QUERY_ERROR, EXECUTION_ERROR, COMMAND_ERROR = 4, 16, 32

_REASONS = {
    COMMAND_ERROR: "it does not know the command",
    EXECUTION_ERROR: "the command cannot be executed with these arguments",
    QUERY_ERROR: "a query error occurred",
}


@register_error
class LakeShore336Error(DeviceError):
    """The LakeShore 336 refused a command or gave an answer that makes no sense."""


def with_events(template: str) -> Callable[[str], str]:
    """Returns what appends the query of the event register to a message.

    It raises `CommandError` when a text argument would break out of its quotes or of the message; nothing is sent then.

    Args:
        template: format string of the message; it has the only quotes that there may be.
    """
    quotes = template.count('"')

    def append(cmd_string: str) -> str:
        if not cmd_string.isprintable() or cmd_string.count('"') != quotes:
            raise CommandError(
                f"quotes and control characters cannot be sent to the LakeShore 336: {cmd_string!r}"
            )
        return cmd_string + EVENT_QUERY

    return append


def text_of(response: bytes) -> str:
    """Returns the reply without the event register.

    Raises:
        LakeShore336Error: when the event register reports an error, or the answer is not one.
    """
    text, _, events = response.decode("ascii", errors="replace").strip("\r\n").rpartition(";")
    if not events.isdigit():
        raise LakeShore336Error(
            f"the LakeShore 336 answered {response!r}; expected its event register at the end"
        )
    reasons = [reason for bit, reason in _REASONS.items() if int(events) & bit]
    if reasons:
        raise LakeShore336Error(f"the LakeShore 336 refused: {' and '.join(reasons)} (*ESR? {events})")
    return text


def done(response: bytes) -> None:
    """Decodes the answer to a set command: nothing but the event register."""
    if text_of(response):
        raise LakeShore336Error(f"the LakeShore 336 answered {response!r} to a command that has no answer")


def decoded(convert: Callable[[str], T]) -> Callable[..., T]:
    """Returns a decoder for answers that `convert` understands."""

    def decode(response: bytes) -> T:
        text = text_of(response)
        try:
            return convert(text)
        except (ValueError, KeyError) as exc:
            raise LakeShore336Error(
                f"the LakeShore 336 answered {response!r}, which makes no sense here"
            ) from exc

    return decode


def row(*converts: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Returns a converter for comma-separated fields, one function per field."""

    def convert(text: str) -> tuple[Any, ...]:
        return tuple(c(field) for c, field in zip(converts, text.split(","), strict=True))

    return convert


def named(**converts: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    """Returns a converter for comma-separated fields into a dictionary."""
    convert_row = row(*converts.values())

    def convert(text: str) -> dict[str, Any]:
        return dict(zip(converts, convert_row(text), strict=True))

    return convert


def flag(text: str) -> bool:
    """Reads 0 or 1."""
    return bool(int(text))


def question(cmd_string: str, convert: Callable[[str], Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a command that asks something.

    Args:
        cmd_string: format string of the query.
        convert: makes the result of the text of the answer.
    """
    return dynamic_command(
        cmd_type="query",
        cmd_string=cmd_string,
        use_format=True,
        process_cmd_string=with_events(cmd_string),
        process_response=decoded(convert),
    )


def setting(cmd_string: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a command that changes something and has no answer but the event register.

    Args:
        cmd_string: format string of the command.
    """
    return dynamic_command(
        cmd_type="transaction",
        cmd_string=cmd_string,
        use_format=True,
        process_cmd_string=with_events(cmd_string),
        process_response=done,
    )
