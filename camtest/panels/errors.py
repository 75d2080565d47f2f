"""What becomes of errors in panels: the operator reads one line, the log has the trace, tests see the exception."""

from __future__ import annotations

import os

from egse.authority import ControlError
from egse.command import CommandError
from egse.device import DeviceError
from egse.monitor import AlarmError
from egse.proxy import OutcomeUnknownError
from egse.settings import SettingsError

RAISE = "CAMTEST_PANELS_RAISE"
"""Environment variable; when it is set, errors of a panel's own code are raised by `Panel.close()`. For tests."""

EXPECTED: tuple[type[Exception], ...] = (
    *(AlarmError, CommandError, ControlError, DeviceError, OutcomeUnknownError, SettingsError),
    *(ConnectionError, TimeoutError, PermissionError, FileNotFoundError),
)
"""What a server, the authority or the laboratory may answer at any time: shown as it is, no fault of the panel."""


class PanelError(RuntimeError):
    """A callback of a panel failed."""


def is_expected(error: BaseException) -> bool:
    """Says whether an error came from a server or from the laboratory, not from the panel's own code."""
    notes = getattr(error, "__notes__", ())
    return isinstance(error, EXPECTED) or any(
        note.startswith("Traceback of the control server") for note in notes
    )


def raises_in_tests() -> bool:
    """True when errors of a panel's own code shall reach the test that runs it."""
    return bool(os.environ.get(RAISE))


def one_line(error: BaseException) -> str:
    """Returns an error as an operator reads it: its text without trace; its type where the text alone says too little."""
    text = " ".join(str(error).split())
    if not text:
        return type(error).__name__
    if isinstance(error, KeyError | ZeroDivisionError | AttributeError | TypeError | IndexError):
        return f"{type(error).__name__}: {text}"
    return text
