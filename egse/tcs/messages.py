"""How the TCS EGSE says things: lines with tabs, one ETX at the end, dates of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from egse.command import CommandError
from egse.device import DeviceError
from egse.response import register_error

T = TypeVar("T")

ETX = b"\x03"
LINE_END = "\r\n"
DATE_FORMAT = "%Y/%m/%d %H:%M:%S"
UNSET = "tbd"
"""What the TCS EGSE says, in any case, for a value that it does not have (yet)."""
_WORDS = re.compile(r"[A-Za-z][\w :;,.=()/+-]*", re.ASCII)
REFUSALS = ("not_allowed", "invalid", "unknown", "error", "refused")
"""How replies begin that refuse something; other wordings than those of the reference are taken as consent."""
HINTS = {
    "not_allowed_remote_mode_not_active": "it is not in remote mode: press its button, or call request_remote_operation()",
    "invalid_tm_item_id": "it has no housekeeping of this name; get_all_housekeeping() tells the names",
    "invalid_parameter": "no parameter of this name, or no such value; get_configuration() tells the names",
}


@register_error
class TCSError(DeviceError):
    """The TCS EGSE refused a command or gave an answer that makes no sense."""


class TMItem(NamedTuple):
    """One item of housekeeping.

    Attributes:
        timestamp: when it was taken, by the clock of the TCS EGSE: `YYYY/MM/DD HH:MM:SS.fff UTC`.
        name: of the item.
        value: a number where it is one, else text, `tbd` for none.
    """

    timestamp: str
    name: str
    value: float | int | str


def sendable(cmd_string: str) -> str:
    """Returns a command as it is.

    Raises:
        CommandError: when an argument would end it, or be taken for two; nothing is sent.
    """
    if (
        not cmd_string.isascii()
        or not cmd_string.isprintable()
        or "  " in cmd_string
        or cmd_string.endswith(" ")
    ):
        raise CommandError(
            f"empty text and control characters cannot be sent to the TCS EGSE: {cmd_string!r}"
        )
    return cmd_string


def text_of(response: bytes) -> str:
    """Returns a reply without its ETX.

    Raises:
        TCSError: when it refuses the command, or holds bytes that are no text.
    """
    body = response.removesuffix(ETX)
    if ETX in body:
        raise TCSError(f"the TCS EGSE answered twice at once: {response!r}")
    text = body.decode("latin-1").strip(" \r\n")
    if not text or not all(c.isprintable() or c in "\t\r\n" for c in text):
        raise TCSError(f"the TCS EGSE answered {response!r}, which makes no sense")
    if text.startswith(REFUSALS):
        raise TCSError(f"the TCS EGSE refused ({text}): {HINTS.get(text, 'see get_error()')}")
    return text


def decoded(convert: Callable[[str], T]) -> Callable[..., T]:
    """Returns a decoder for answers that `convert` understands."""

    def decode(response: bytes) -> T:
        text = text_of(response)
        try:
            return convert(text)
        except (ValueError, KeyError) as exc:
            raise TCSError(f"the TCS EGSE answered {response!r}, which makes no sense here") from exc

    return decode


def consent(text: str) -> str:
    """Returns an acknowledgement of unknown wording, when it is words at all."""
    if not _WORDS.fullmatch(text):
        raise ValueError(text)
    return text


def acknowledged(word: str) -> Callable[..., str]:
    """Returns a decoder for the one acknowledgement that is documented."""
    return decoded(lambda text: {word: text}[text])


def number(text: str) -> float | int | str:
    """Returns a value as number where it is one; older firmware puts a unit behind it, which is left out."""
    first = text.split()[0] if text.strip() else text
    for kind in (int, float):
        try:
            return kind(first)
        except ValueError:
            continue
    return text


def remote_status(text: str) -> bool:
    """Reads `remote_mode_active`."""
    return {"remote_mode_active": True, "remote_mode_not_active": False}[text]


def tm_item(text: str) -> TMItem:
    """Reads `date TAB name TAB value`."""
    timestamp, name, value = text.split("\t")
    return TMItem(timestamp, name, number(value))


def task_state(text: str) -> bool:
    """Reads the item `task_is_running`: 0, 1, or no value yet."""
    value = tm_item(text).value
    if isinstance(value, str) and value.lower() == UNSET:
        return False
    return {0: False, 1: True}[int(value)]


def all_items(text: str) -> list[list[Any]]:
    """Reads the reply to `get_tm_all`, lines `name TAB date TAB value`."""
    rows: list[list[Any]] = []
    for line in text.split(LINE_END):
        name, timestamp, value = line.split("\t")
        rows.append([name, timestamp, number(value)])
    return rows


def burst(data: bytes) -> list[TMItem]:
    """Reads one burst of the telemetry port; lines that are not complete are skipped."""
    lines = (line.split("\t") for line in data.removesuffix(ETX).decode("latin-1").split(LINE_END))
    return [TMItem(line[0], line[1], number(line[2])) for line in lines if len(line) == 3 and all(line)]


def configuration(text: str) -> dict[str, Any]:
    """Reads the reply to `get_conf_all`: parameters by name, and sensor tables by serial number in `rtd_list`."""
    found: dict[str, Any] = {}
    sensors: dict[str, list[float]] = {}
    for keyword, *fields in _lines(text):
        if keyword in ("rtd_list", ""):
            serial, *coefficients = fields
            if len(coefficients) != 6:
                raise ValueError(text)
            sensors[serial] = [float(c) for c in coefficients]
        else:
            (value,) = fields
            found[keyword] = number(value)
    return found | {"rtd_list": sensors}


def errors(text: str) -> list[list[str]]:
    """Reads the reply to `get_error`; an empty list for none."""
    if text == "no errors":
        return []
    found = list(_lines(text))
    if any(len(fields) < 3 for fields in found):
        raise ValueError(text)
    return found


def _lines(text: str) -> Iterator[list[str]]:
    return (line.split("\t") for line in text.split(LINE_END))
