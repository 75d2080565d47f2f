"""Waiting on the clock of the session, and checks of services and devices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from camtest.core.devices import device
from camtest.core.exec import Abort
from camtest.core.waiting import Progress
from camtest.state import GlobalState
from egse import timing
from egse.clock import system_clock
from egse.device import DeviceError
from egse.proxy import Proxy

__all__ = ["check_devices", "device", "require_devices", "wait_until"]

LOGGER = logging.getLogger(__name__)

PATIENCE = 20.0
"""How long a question may stay without answer in one stretch [s of the wall]: a supervised restart takes a few seconds."""


class _Question:
    """A condition that is asked again and again.

    A server that is being restarted does not end a wait: questions may be asked again, whatever became of the last one.
    """

    def __init__(self, condition: Callable[[], bool], what: str) -> None:
        self._condition = condition
        self._what = what
        self._silent_since: float | None = None

    def ask(self) -> bool:
        """Returns the answer, False when there is none for a while.

        Raises:
            ConnectionError, TimeoutError: when nobody has answered for too long; in a dry run at once.
        """
        try:
            answer = self._condition()
        except (ConnectionError, TimeoutError) as exc:
            now = system_clock().monotonic()
            if self._silent_since is None:
                self._silent_since = now
                LOGGER.warning("No answer while waiting for %s, asking again: %s", self._what, exc)
            if GlobalState.dry_run or now - self._silent_since > PATIENCE:
                raise
            return False
        self._silent_since = None
        return answer


DRY_SLACK = 0.04
"""In a dry run a pause between two questions may be this part of the time waited so far: nobody is waiting for an answer."""


def wait_until(
    condition: Callable[[], bool],
    *,
    timeout: float,
    interval: float = 0.5,
    what: str = "the condition",
    progress: Callable[[], object] | None = None,
) -> float:
    """Waits until `condition()` is true; in a dry run the time is virtual.

    Operators can pause and abort it; interlocks are watched; what takes long is reported (`camtest.core.waiting`).

    Args:
        condition: asked again and again; a question to a device, for instance. When it gets no answer because a server
            is being restarted, waiting goes on.
        timeout: longest time to wait [s of the session's clock].
        interval: time between two questions [s].
        what: what is waited for, for the error and the log.
        progress: a figure that moves while there is hope; when it has moved by the time-out, waiting goes on. A camera
            that is late on a busy machine is not a camera that stands still.

    Returns:
        How long it took [s].

    Raises:
        TimeoutError: when it did not become true in time.
        ConnectionError, TimeoutError: when nobody answered for `PATIENCE` seconds.
    """
    question = _Question(condition, what)
    clock = GlobalState.clock
    started = clock.monotonic()
    LOGGER.info("Waiting for %s (at most %g s)", what, timeout)
    report = Progress(what, timeout, lambda: clock.monotonic() - started)

    def ask() -> bool:
        report.tick(progress)
        return question.ask()

    seen = None if progress is None else progress()
    try:
        slack = DRY_SLACK if GlobalState.dry_run else 0.0
        while timing.wait_until(ask, timeout=timeout, interval=interval, slack=slack, clock=clock):
            now = None if progress is None else progress()
            if now == seen:
                raise TimeoutError(f"waited {timeout:g} s for {what}, in vain")
            LOGGER.warning("Still waiting for %s after %g s", what, clock.monotonic() - started)
            seen = now
    finally:
        report.end()
    return clock.monotonic() - started


def check_devices(paths: Iterable[str]) -> dict[str, bool]:
    """Returns, for each device of the Setup, whether it is connected behind its control server.

    Args:
        paths: where the devices are in the Setup, `["gse.ogse", "camera.dpu"]`.
    """
    return {path: _is_connected(device(path)) for path in paths}


def _is_connected(proxy: Proxy) -> bool:
    try:
        return bool(proxy.is_connected())  # type: ignore[attr-defined]
    except (OSError, DeviceError) as exc:
        LOGGER.warning("%s does not answer: %s", proxy.name, exc)
        return False


def require_devices(paths: Iterable[str]) -> None:
    """Does nothing when all devices answer.

    Raises:
        Abort: naming the devices that do not.
    """
    missing = [path for path, connected in check_devices(paths).items() if not connected]
    if missing:
        raise Abort(
            f"These devices of the Setup are not connected: {', '.join(missing)}. Start their control servers "
            "(`cgse device NAME start`) and see their status (`cgse device NAME status`)."
        )
