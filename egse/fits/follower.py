"""Makes the cubes of every observation by itself, as soon as it is sealed; killed at any point, it goes on where it was."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from egse.archive import Observation
from egse.channel import OutcomeUnknownError
from egse.fits.cube import CubesAbandonedError
from egse.fits.queue import DONE, FAILED, PROCESSING, FileQueue
from egse.h5 import get_file, get_obsid, parse_file_name
from egse.storage import StorageError

LOGGER = logging.getLogger(__name__)

INTERVAL = 2.0
"""Time between two looks at the folders [s]."""
RECENT_DAYS = 7
"""Daily folders that are looked at; older observations are made with `fitsgen for-obsid`."""

Make = Callable[[Observation], list[Path]]


class Follower:
    """Watches the raw files of a site and has cubes made, in a thread.

    A raw file is waiting until its observation is sealed; then all files of the observation are processed together. What was
    being processed when the process died is processed again: making cubes can be repeated.

    Args:
        site_folder: data folder of the site.
        make: makes the cubes of an observation that are not there yet.
        interval: time between two looks [s].
    """

    def __init__(self, site_folder: Path, make: Make, interval: float = INTERVAL) -> None:
        self._site_folder = site_folder
        self._make = make
        self._interval = interval
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fits-follower", daemon=True)
        self._queue = FileQueue(site_folder)
        self._known = self._queue.names()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; what it was about is gone on with at the next start."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(2.5)
        if not self._thread.is_alive():
            self._queue.close()

    def counts(self) -> dict[str, int]:
        """Returns the number of raw files in each state."""
        return self._queue.counts()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self.look()
            except Exception:
                # Whatever is wrong with one file or disk, the next observation must get its cubes.
                LOGGER.exception("the FITS generator goes on after an error")
            self._ending.wait(self._interval)

    def look(self) -> None:
        """Takes in new raw files and processes the observations that are sealed."""
        self._take_in()
        for obsid in self._queue.waiting():
            if self._ending.is_set():
                return
            self._process(obsid)

    def _take_in(self) -> None:
        days = sorted((self._site_folder / "daily").glob("[0-9]*"))[-RECENT_DAYS:]
        new = [path for day in days for path in sorted(day.glob("*.hdf5")) if path.name not in self._known]
        found = [(path.name, _obsid_of(path)) for path in new if parse_file_name(path.name)]
        if found:
            self._queue.add(found)
        self._known.update(path.name for path in new)

    def _process(self, obsid: str) -> None:
        try:
            observation = Observation(obsid, self._site_folder)
            if observation.manifest is None:
                return  # still running, or being sealed
            self._queue.mark(obsid, PROCESSING)
            cubes = self._make(observation)
        except CubesAbandonedError:
            return  # it stays in the queue
        except (ConnectionError, OutcomeUnknownError) as exc:
            LOGGER.warning("no cubes of observation %s yet: %s", obsid, exc)
            return
        except (LookupError, ValueError, OSError, StorageError) as exc:
            LOGGER.exception("no cubes of observation %s", obsid)
            self._queue.mark(obsid, FAILED, str(exc))
            return
        self._queue.mark(obsid, DONE)
        LOGGER.info("observation %s has %d cubes", obsid, len(cubes))


def _obsid_of(path: Path) -> str:
    try:
        with get_file(path) as file:
            return get_obsid(file)
    except OSError as exc:
        LOGGER.warning("%s cannot be read: %s", path, exc)
        return ""
