"""The signals that end a process of this system."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Each of them ends a server or simulator cleanly and at once."""


@contextmanager
def on_signals(stop: Callable[[], None], user: Callable[[], None] | None = None) -> Iterator[None]:
    """Has functions called on signals for the length of the `with` block; to be used in the main thread.

    Args:
        stop: called on SIGTERM, SIGHUP and SIGINT; returns at once.
        user: called on SIGUSR1; None leaves that signal as it is.
    """

    def handler(action: Callable[[], None]) -> Callable[[int, Any], None]:
        return lambda number, frame: action()

    before = {number: signal.signal(number, handler(stop)) for number in ENDING}
    if user is not None:
        before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, handler(user))
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
