"""SIGINT, SIGTERM and SIGHUP during a run: the kernel is interrupted, so that its `finally` clauses run.

A signal never leaves the run half closed. While a cell runs, the signal is handed on to the kernel as an interrupt and
the cell ends with KeyboardInterrupt; when it does not end within the grace time, or at a second signal, the kernel is
killed. Between cells the run ends before the next cell. While the observation is being closed, signals only count.

A batch takes signals too. The run inside it takes those that came before it began, and the batch gets to know those that
came during the run, also when they came too late to end it.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

GRACE = 10.0
"""How long an interrupted cell may take to end [s] before its kernel is killed."""
BY_SIGNAL = "interrupted by SIG"
"""How the reason of a run begins that a signal has ended."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Takes the signals of this process while a notebook runs; a context manager.

    Attributes:
        reason: why the run has to end ("interrupted by SIGTERM"), None as long as it has not.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._kernel: int | None = None
        self._timer: threading.Timer | None = None
        self._previous: dict[int, Any] = {}
        self._outer: Interrupts | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before is signal.SIG_IGN:  # nohup
                    continue
                outer = getattr(before, "__self__", None)
                if isinstance(outer, Interrupts):
                    self._outer = outer
                self._previous[number] = signal.signal(number, self._on_signal)
        if self._outer is not None:
            self.reason = self._outer.reason
        return self

    def __exit__(self, *_: object) -> None:
        self.cell_ended()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        self._outer = None

    @property
    def signalled(self) -> bool:
        """True when a signal has come."""
        return self.reason is not None and self.reason.startswith(BY_SIGNAL)

    def cell_started(self, kernel_group: int | None) -> None:
        """From now on a signal interrupts the kernel.

        Args:
            kernel_group: process group of the kernel; None when it has none of its own.
        """
        self._kernel = kernel_group

    def cell_ended(self) -> None:
        """From now on a signal is only noted."""
        self._kernel = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self, reason: str) -> None:
        """Ends the run: the running cell is interrupted, later ones are not started; a second time kills the kernel.

        Args:
            reason: why, for the record.
        """
        again = self.reason is not None
        self.reason = self.reason or reason
        kernel = self._kernel
        if kernel is None:
            return
        if again:
            _send(kernel, signal.SIGKILL)
            return
        _send(kernel, signal.SIGINT)
        self._timer = threading.Timer(GRACE, _send, (kernel, signal.SIGKILL))
        self._timer.daemon = True
        self._timer.start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        reason = f"interrupted by {signal.Signals(number).name}"
        outer = self._outer
        while outer is not None:
            outer.reason = outer.reason or reason
            outer = outer._outer
        self.stop(reason)


def _send(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
