"""How the OGSE driver reads the device's one-line replies."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from egse.device import DeviceError
from egse.response import register_error

T = TypeVar("T")

_LEVEL = re.compile(r"att-level:\s*(\*)?\s*(\S+)\s+#(\d+)")
_READING = re.compile(r"pm(\d): (\S+) W (\S+) ºC")
_STATUS = re.compile(
    r"power: (?P<power>\w+), lamp: (?P<lamp>\w+), interlock: (?P<interlock>\w+), psu: (?P<psu>\w+), "
    r"att: (?P<moving>\* *)?(?P<factor>\S+) #(?P<index>\d+), "
    r"power-ch1: (?P<power1>\S+) W, power-ch2: (?P<power2>\S+) W, "
    r"temp-ch1: (?P<temp1>\S+) ºC, temp-ch2: (?P<temp2>\S+) ºC"
)


@register_error
class OGSEError(DeviceError):
    """The OGSE refused a command or gave an answer that makes no sense."""


def text_of(response: bytes) -> str:
    """Returns a reply as text.

    Raises:
        OGSEError: when it says ERROR in the first place.
    """
    text = response.decode("utf-8", errors="replace").strip()
    if text.startswith("ERROR"):
        raise OGSEError(f"the OGSE refused: {text.removeprefix('ERROR:').strip()}")
    return text


def done(response: bytes) -> None:
    """Decodes the answer to a set command, `OK`."""
    if text_of(response) != "OK":
        raise OGSEError(f"the OGSE answered {response!r}; expected OK")


def decoded(convert: Callable[[str], T]) -> Callable[..., T]:
    """Returns a decoder for answers that `convert` understands."""

    def decode(response: bytes) -> T:
        text = text_of(response)
        try:
            return convert(text)
        except (ValueError, TypeError) as exc:
            raise OGSEError(f"the OGSE answered {response!r}, which makes no sense here") from exc

    return decode


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return match


def level(text: str) -> dict[str, Any]:
    """Reads `att-level: *      1E+0  #46`."""
    moving, factor, index = _match(_LEVEL, text).groups()
    return {"att_moving": bool(moving), "att_factor": float(factor), "att_index": int(index)}


def readings(text: str) -> dict[str, float]:
    """Reads `pm1: -2.3e-14 W +21.6 ºC, pm2: ...`; an absent meter gives nan."""
    found = _READING.findall(text)
    if [channel for channel, _, _ in found] != ["1", "2"]:
        raise ValueError(text)
    return {f"{name}{n}": float(v) for n, p, t in found for name, v in (("power", p), ("temp", t))}


def status(text: str) -> dict[str, Any]:
    """Reads the reply to `status`."""
    found = _match(_STATUS, text).groupdict()
    result: dict[str, Any] = {name: found[name] for name in ("power", "lamp", "interlock", "psu")}
    result |= {
        "att_moving": bool(found["moving"]),
        "att_factor": float(found["factor"]),
        "att_index": int(found["index"]),
    }
    return result | {name: float(found[name]) for name in ("power1", "temp1", "power2", "temp2")}


def pairs(text: str) -> dict[str, str]:
    """Reads `pm1: OK, pm2: OK`."""
    return dict(_pair(part) for part in text.split(","))


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":")
    if not separator:
        raise ValueError(text)
    return name.strip(), value.strip()


FLAG_NAMES = ("interlock", "power", "lamp", "laser", "lamp_fault", "controller_fault", "psu", "operate")
"""Flags from the most to the least significant bit."""


def flags(text: str) -> dict[str, bool]:
    """Reads `flags: 0x80  1000 0000`.

    Raises:
        OGSEError: when it is not that.
    """
    try:
        number = int(text.split()[1], 16)
    except (ValueError, IndexError) as exc:
        raise OGSEError(f"{text!r} are no flags") from exc
    return {name: bool(number & (0x80 >> bit)) for bit, name in enumerate(FLAG_NAMES)}
