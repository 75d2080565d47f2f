"""How the driver of the gimbal reads its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from egse.command import dynamic_command
from egse.device import DeviceError
from egse.response import register_error

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

BITS = ("tip_moving", "tilt_moving", "tip_homed", "tilt_homed", "limit", "fault")
"""Bits of the status word, the lowest first."""


@register_error
class GimbalError(DeviceError):
    """The gimbal refused a command or gave an answer that makes no sense."""


def question(
    cmd_string: str, convert: Callable[[str], Any] = str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a command that asks something."""
    return dynamic_command(cmd_type="query", cmd_string=cmd_string, process_response=decoded(convert))


def setting(cmd_string: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a command that is acknowledged with OK."""
    return dynamic_command(cmd_type="transaction", cmd_string=cmd_string, process_response=decoded(_ok))


def decoded(convert: Callable[[str], T]) -> Callable[..., T]:
    """Returns a decoder for answers that `convert` understands; raises GimbalError on a refusal and on nonsense."""

    def decode(response: bytes) -> T:
        text = response.decode("ascii", "replace").strip()
        if text.startswith("ERR"):
            raise GimbalError(f"the gimbal refused: {text.removeprefix('ERR').strip()}")
        try:
            return convert(text)
        except ValueError as exc:
            raise GimbalError(f"the gimbal answered {response!r}, which makes no sense here") from exc

    return decode


def _ok(text: str) -> None:
    if text != "OK":
        raise ValueError(text)


def angles(text: str) -> tuple[float, float]:
    """Reads `+1.2500 -0.5000`."""
    tip, tilt = text.split()
    return float(tip), float(tilt)


def status(text: str) -> dict[str, bool]:
    """Reads the status word, hexadecimal."""
    word = int(text, 16)
    return {name: bool(word >> bit & 1) for bit, name in enumerate(BITS)}


def limits(text: str) -> dict[str, tuple[float, float]]:
    """Reads `-10.0000 +10.0000 -10.0000 +10.0000`."""
    a, b, c, d = (float(word) for word in text.split())
    return {"tip": (a, b), "tilt": (c, d)}
