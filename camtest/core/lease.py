"""Keeps the lease of an observation alive for as long as this process lives."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from camtest.core import services
from camtest.core.variables import LEASE_VARIABLE
from egse.confman import ObservationError

LOGGER = logging.getLogger(__name__)

INTERACTIVE_LEASE = 60.0
"""Lease of an observation that a person opened in a kernel [s]: a busy kernel is not a dead one."""
SUPERVISED_LEASE = 12.0
"""Lease of an observation held by a runner [s]: when runner and kernel die, it is closed within 15 s."""


def supervised_lease() -> float:
    """Returns the lease of a run [s]: `CAMTEST_LEASE` when that is set, else 12 s.

    Raises:
        ValueError: when the variable holds no number of at least 1.
    """
    text = os.environ.get(LEASE_VARIABLE, "").strip()
    if not text:
        return SUPERVISED_LEASE
    try:
        lease = float(text)
    except ValueError:
        lease = 0.0
    if not lease >= 1.0:
        raise ValueError(f"{LEASE_VARIABLE} must be a number of seconds, at least 1; it is {text!r}")
    return lease


class LeaseKeeper:
    """Renews a lease from a background thread.

    Args:
        run_id: the observation.
        lease: its lease [s]; it is renewed four times in that time.
        on_lost: called with the reason when the configuration manager says that the observation is over.

    Attributes:
        ending: this process is about to end the observation itself; that it is over is no news then.
    """

    def __init__(self, run_id: str, lease: float, on_lost: Callable[[str], None]) -> None:
        self.run_id = run_id
        self.period = lease / 4
        self.ending = False
        self._on_lost = on_lost
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observation-lease", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops renewing; may be called twice."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self.period):
            try:
                with services.configuration_manager(timeout=self.period) as manager:
                    manager.renew_lease(run_id=self.run_id)
            except (ConnectionError, TimeoutError) as exc:
                LOGGER.warning("the lease of %s could not be renewed: %s", self.run_id, exc)
            except ObservationError as exc:
                if self.ending:
                    return
                LOGGER.error("observation %s is over: %s", self.run_id, exc)
                self._on_lost(str(exc))
                return
