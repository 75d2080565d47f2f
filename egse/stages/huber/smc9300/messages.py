"""How the driver of the SMC9300 asks, and reads the answers.

The controller acknowledges nothing: a refused command only leaves an error with its axis. So the driver ends each command
with the question for the error, `?errN`, in the same packet; then every command has an answer, which is no guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntFlag
from typing import Any, ParamSpec, TypeVar

from egse.command import dynamic_command
from egse.device import DeviceError, DeviceTransport
from egse.response import register_error

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

END = "\r\n"
VERSION_QUERY = "?v"
_VERSION = re.compile(r"smc \d+\.\d+\.\d+")
_ERROR = re.compile(r"(\d+):(\d+)(?: (.*))?")
_AXIS = re.compile(r"\d+")

STATUS_FIELDS = (
    "axis",
    "error",
    "error_text",
    "position",
    "encoder_position",
    "limit",
    "reference",
    "encoder_reference",
    "control",
    "oscillation",
    "oscillation_error",
    "program",
)
"""What the fields of `?status` mean, in order (device reference, section 4.2)."""


class AxisState(IntFlag):
    """Bits of the state of an axis (device reference, section 4.4)."""

    READY = 1
    REFERENCE_INSTALLED = 2
    LIMIT_MINUS = 4
    LIMIT_PLUS = 8
    HOMED = 16
    ENABLED = 32
    EXECUTING = 64
    CONTROLLER_READY = 128
    OSCILLATING = 256
    OSCILLATION_ERROR = 512
    ENCODER_REFERENCE = 1024
    SOFTWARE_LIMIT_MINUS = 4096
    SOFTWARE_LIMIT_PLUS = 8192
    AXIS_ERROR = 16384
    ERROR_PENDING = 32768
    EXTERNAL_STOP = 65536


DONE = AxisState.READY | AxisState.CONTROLLER_READY
"""Both are set when an axis is idle and so are all others."""


@register_error
class HuberError(DeviceError):
    """The SMC9300 refused a command, an axis has an error, or the answer makes no sense."""


def process_cmd_string(cmd_string: str) -> str:
    """Makes a command ready for sending (manual, section 6.6.3)."""
    return cmd_string + END


def text_of(response: bytes) -> str:
    """Returns a reply as text, without its end."""
    return response.decode("ascii", errors="replace").strip()


def _after_axis(response: bytes) -> str:
    axis, separator, value = text_of(response).rstrip(";").partition(":")
    if not separator or not axis.isdigit():
        raise HuberError(f"the SMC9300 answered {response!r}; expected <axis>:<value>;")
    return value


def decoded(response: bytes, convert: Callable[[str], T], text: str) -> T:
    """Returns what `convert` makes of a text; HuberError with the whole reply when it cannot."""
    try:
        return convert(text)
    except ValueError as exc:
        raise HuberError(f"the SMC9300 answered {response!r}, which makes no sense here") from exc


def decode_axis_float(response: bytes) -> float:
    """Reads `<axis>:<float>;` (manual, section 6.6.3)."""
    return decoded(response, float, _after_axis(response))


def decode_axis_int(response: bytes) -> int:
    """Reads `<axis>:<whole number>;`."""
    return decoded(response, int, _after_axis(response))


def number_or_text(text: str) -> int | float | str:
    """Returns the value of a parameter."""
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            pass
    return text


def decode_parameter(response: bytes) -> int | float | str:
    """Reads `ffast1:20000`."""
    name, separator, value = text_of(response).partition(":")
    if not separator or not name[-1:].isdigit():
        raise HuberError(f"the SMC9300 answered {response!r}; expected <name><axis>:<value>")
    return number_or_text(value)


def decode_parameter_int(response: bytes) -> int:
    """Reads `ffast1:20000` where the value is a whole number."""
    value = decode_parameter(response)
    if not isinstance(value, int):
        raise HuberError(f"the SMC9300 answered {response!r}; expected a whole number")
    return value


def decode_error(response: bytes) -> dict[str, Any]:
    """Reads `1:0` or `1:11 software limit +`."""
    match = _ERROR.fullmatch(text_of(response).rstrip(";"))
    if match is None:
        raise HuberError(f"the SMC9300 answered {response!r}; expected <axis>:<error>")
    return {"number": int(match[2]), "text": match[3] or ""}


def decode_status(response: bytes) -> dict[str, Any]:
    """Reads one line of `?status`; fields by their names in `STATUS_FIELDS`."""
    fields = text_of(response).rstrip(";").split(":")
    if len(fields) < len(STATUS_FIELDS) - 1:
        raise HuberError(f"the SMC9300 answered {response!r}; expected {len(STATUS_FIELDS)} fields")
    status = dict(zip(STATUS_FIELDS, map(number_or_text, fields), strict=False))
    return {**status, "error_text": fields[2]}


def accepted(response: bytes) -> None:
    """Reads the answer to `?errN` after a command.

    Raises:
        HuberError: when the axis has an error.
    """
    raise_error(text_of(response).partition(":")[0], decode_error(response))


def raise_error(axis: int | str, error: dict[str, Any]) -> None:
    """Raises HuberError when there is an error."""
    if error["number"]:
        raise HuberError(
            f"axis {axis} of the SMC9300 has error {error['number']}"
            f"{' (' + error['text'] + ')' if error['text'] else ''}: see to its cause, then clear_error({axis})"
        )


def no_error_pending(transport: DeviceTransport, cmd_string: str, **_: Any) -> None:
    """Asks before a motion whether an error is left from before, so that nothing moves until somebody has seen it.

    Raises:
        HuberError: when there is one; the motion was not commanded.
    """
    found = _AXIS.search(cmd_string)
    if found is not None:
        accepted(transport.query(f"?err{found[0]}"))


def read_lines(transport: DeviceTransport, question: str) -> list[str]:
    """Asks something with an answer of several lines, whose end cannot be recognised otherwise.

    The question for the version is sent in the same packet; its answer is the end.
    """
    lines: list[str] = []
    with transport.lock:
        transport.write(f"{question}{END}{VERSION_QUERY}")
        while not _VERSION.fullmatch(line := text_of(transport.read())):
            lines.append(line)
    return lines


def question(cmd_string: str, decode: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a question with an answer of one line."""
    return dynamic_command(
        cmd_type="query",
        cmd_string=cmd_string,
        process_cmd_string=process_cmd_string,
        process_response=decode,
    )


def action(cmd_string: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a command for one axis that is refused while the axis has an error, and asks for the error after it.

    Args:
        cmd_string: format string; `{axis}` is among its parameters.
    """
    return dynamic_command(
        cmd_type="transaction",
        cmd_string=f"{cmd_string}{END}?err{{axis}}",
        use_format=True,
        process_cmd_string=process_cmd_string,
        process_response=accepted,
        pre_cmd=no_error_pending,
    )


def order(cmd_string: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a command that is sent whatever the state of the axes is."""
    return dynamic_command(cmd_type="write", cmd_string=cmd_string, process_cmd_string=process_cmd_string)
