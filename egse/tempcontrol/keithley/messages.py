"""How the driver of the DAQ6510 asks and commands, and reads the answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from egse.command import dynamic_command
from egse.device import DeviceError, DeviceTransport
from egse.dialect import Dialect
from egse.response import register_error

P = ParamSpec("P")
R = TypeVar("R")
ERROR = re.compile(rb'-?\d+,"')
"""Begin of an answer of the error queue."""


@register_error
class DAQ6510Error(DeviceError):
    """The DAQ6510 refused a command or gave an answer that makes no sense."""


DAQ = Dialect(
    "the DAQ6510",
    "\n",
    "SYST:ERR?",
    {
        -104: "an argument of the wrong kind",
        -109: "an argument is missing",
        -113: "unknown command",
        -221: "settings conflict",
        -222: "out of range: a value, a channel, or a reading that is not there",
        1115: "there is a buffer with this name already, or none",
    },
    DAQ6510Error,
    before="*CLS\n",
)


def guarded(cmd_string: str, convert: Callable[[str], Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a question that the instrument may refuse, which it does in silence.

    The question for the error queue follows on a line of its own: what comes first is the answer or the error.
    """
    decode = DAQ.decoded(convert)

    def answer(response: bytes) -> Any:
        refused(response)
        return decode(response)

    return dynamic_command(
        cmd_type="query",
        cmd_string=cmd_string,
        process_cmd_string=with_error_query,
        process_response=answer,
        post_cmd=no_error_after,
    )


def with_error_query(line: str) -> str:
    """Appends the question for the error queue."""
    return f"{DAQ.sendable(line)}\n{DAQ.error_query}"


def refused(response: bytes) -> None:
    """Raises DAQ6510Error when a reply is not the answer but the error."""
    if ERROR.match(response):
        DAQ.done(response)


def no_error_after(transport: DeviceTransport, response: Any) -> Any:
    """Reads the answer of the error queue behind that of the question."""
    DAQ.done(transport.read())
    return response


def quoted(text: str) -> str:
    """Returns the text in an answer without its quotes."""
    return text.strip('"')
