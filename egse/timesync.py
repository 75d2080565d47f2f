"""Is the host's clock synchronised? Timestamps of housekeeping are only as good as the answer."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from dataclasses import dataclass

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_OFFSET_OF_MAXERROR = 24  # in struct timex of 64-bit Linux: modes (padded), offset, freq, maxerror
_SIZE_OF_TIMEX = 512  # more than the 208 bytes that the kernel writes


@dataclass(frozen=True)
class ClockState:
    """What could be found out about the synchronisation of the clock.

    Attributes:
        synchronised: None when nothing on this machine could tell.
        source: what told it.
        max_error: largest possible error that the source admits [s], or None.
    """

    synchronised: bool | None
    source: str
    max_error: float | None = None

    def __str__(self) -> str:
        word = {True: "synchronised", False: "NOT synchronised", None: "state unknown"}[self.synchronised]
        error = "" if self.max_error is None else f", error below {self.max_error:.3f} s"
        return f"{word}{error} ({self.source})"


def clock_state() -> ClockState:
    """Asks the kernel, then timedatectl, whether the clock follows a time server (NTP, PTP)."""
    return _from_kernel() or _from_timedatectl() or ClockState(None, "no source of information on this host")


def _from_kernel() -> ClockState | None:
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    timex = ctypes.create_string_buffer(_SIZE_OF_TIMEX)  # all zero: read only, nothing is adjusted
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    microseconds = ctypes.c_long.from_buffer(timex, _OFFSET_OF_MAXERROR).value
    synchronised = state != _TIME_ERROR
    return ClockState(synchronised, "kernel clock discipline", microseconds * 1e-6 if synchronised else None)


def _from_timedatectl() -> ClockState | None:
    program = shutil.which("timedatectl")
    if program is None:
        return None
    try:
        reply = subprocess.run(
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return ClockState({"yes": True, "no": False}.get(reply), "timedatectl")
