"""Keeps a process away from hardware: what a dry run relies on, whatever path the code takes.

`lock_hardware` makes the transports refuse to connect. Below them an audit hook of the interpreter refuses every network
connection and every device file, also those of libraries that know nothing of this package. Allowed stay local sockets of
the operating system (the kernel's own plumbing) and ports on which this very process listens (simulators of its own).
C libraries that open connections by themselves are asked at their one entrance (`refuse_hardware`).
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any


class HardwareLockedError(ConnectionRefusedError):
    """A connection or a device file was refused: nothing may reach hardware from this process now."""


_DEVICE_FILES = (
    "/dev/tty",
    "/dev/usb",
    "/dev/bus/",
    "/dev/hidraw",
    "/dev/gpib",
    "/dev/serial",
    "/dev/spw",
    "/dev/i2c",
)
_HARMLESS_FILES = ("/dev/tty",)
_LOOPBACK = ("127.", "::1", "localhost")

_reason: str | None = None
_hooked = False


def lock_hardware(reason: str | None) -> None:
    """Forbids (or with None allows again) every connection to hardware from this process.

    Args:
        reason: why, for the error message.
    """
    global _reason, _hooked
    if reason is not None and not _hooked:
        sys.addaudithook(_audit)  # it cannot be taken away again, and costs nothing while nothing is locked
        _hooked = True
    _reason = reason


def locked_reason() -> str | None:
    """Returns why nothing may reach hardware now, None when it may."""
    return _reason


def refuse_hardware(what: str) -> None:
    """Called by whatever is about to open a connection that the interpreter does not see.

    Raises:
        HardwareLockedError: while hardware is locked.
    """
    if _reason is not None:
        raise HardwareLockedError(f"{what} refused: {_reason}")


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _reason is None:
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        _check_address(arguments[0], arguments[1])
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        name = os.fsdecode(arguments[0])
        if name.startswith(_DEVICE_FILES) and name not in _HARMLESS_FILES:
            raise HardwareLockedError(f"device file {name} refused: {_reason}")


def _check_address(sock: socket.socket, address: Any) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return
    host, port = str(address[0]), int(address[1])
    if not (host.startswith(_LOOPBACK) and port in _own_ports()):
        raise HardwareLockedError(f"connection to {host}:{port} refused: {_reason}")


def _own_ports() -> set[int]:
    """Returns the ports on which this process listens."""
    import psutil  # a dry run needs it, a server does not

    process = psutil.Process()
    found = process.net_connections("inet") if hasattr(process, "net_connections") else process.connections()
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}
