"""The wire to the BENCH_PSU: how bytes get there and back, and what its replies mean.

The instrument speaks ASCII over TCP. A command is one line and gets one line in reply: a value, `OK`, or
`ERROR: <reason>`.

An instrument on USB gets a class `BenchPsuUSBInterface(DeviceTransport)` here, with `connect`, `disconnect`,
`is_connected`, `write` and `read` (one reply, terminator included) over the library of its maker. Nothing else changes:
`BenchPsuController(transport=BenchPsuUSBInterface(...))`.
"""

from __future__ import annotations

from egse.device import DeviceError
from egse.instrument import NetworkInterface, Wire
from egse.response import register_error

SETTINGS = "BENCH_PSU Control Server"
"""Block of this device in the settings."""


@register_error
class BenchPsuError(DeviceError):
    """The BENCH_PSU refused a command or gave a reply that makes no sense."""


class BenchPsuEthernetInterface(NetworkInterface):
    """The network port of the BENCH_PSU; where it is stands in the settings."""

    wire = Wire(SETTINGS, port=9221, command_end=b"\n", reply_end=b"\n")


def text(response: bytes) -> str:
    """Returns a reply as text, without its terminator.

    Raises:
        BenchPsuError: when it reports an error.
    """
    reply = response.decode("ascii", errors="replace").strip()
    if reply.startswith("ERROR"):
        reason = reply.removeprefix("ERROR:").strip()
        raise BenchPsuError(f"the BENCH_PSU refused: {reason}")
    return reply


def number(response: bytes) -> float:
    """Returns a reply as a number."""
    try:
        return float(text(response))
    except ValueError as exc:
        raise unexpected(response, "a number") from exc


def done(response: bytes) -> None:
    """Checks the reply to a command that has no value, `OK`."""
    if text(response) != "OK":
        raise unexpected(response, "OK")


def unexpected(response: bytes, expected: str) -> BenchPsuError:
    """Returns the error for a reply that makes no sense."""
    message = f"the BENCH_PSU answered {response!r}, expected {expected}"
    return BenchPsuError(message)
