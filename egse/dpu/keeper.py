"""The bookkeeping of the DPU control server: which observation a cycle belongs to, and finished files.

It talks to configuration and storage manager in a thread for each, and is patient with both: what cannot be delivered waits, and
one that is away does not hold up what the other has to know.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from egse.channel import OutcomeUnknownError
from egse.confman import ConfigurationManagerProxy
from egse.h5.index import RawFileIndex
from egse.storage import StorageError, StorageProxy
from egse.system import unix_time

LOGGER = logging.getLogger(__name__)

TIMEOUT = 2.0
RETRY_INTERVAL = 1.0
RECENT = 20
"""How many observations are looked through for the one that was running when a cycle began."""
MOST_UNSURE = 100
"""So many cycles are remembered while the configuration manager is away."""
PATIENCE = 5
"""The files of so many cycles wait for it to come back when no observation is known; later ones are written without."""

SetObsid = Callable[[int, str], None]


class _Worker:
    """Handles events one after the other in a thread; a tick when none came for a while."""

    def __init__(
        self, name: str, handle: Callable[[str, dict[str, Any]], None], end: Callable[[], None]
    ) -> None:
        self._handle = handle
        self._end = end
        self._events: SimpleQueue[tuple[str, dict[str, Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, name: str, values: dict[str, Any]) -> None:
        self._events.put((name, values))

    def close(self) -> None:
        self._events.put(None)
        if self._thread.is_alive():
            self._thread.join(3.0)

    def _run(self) -> None:
        while (event := self._next()) is not None:
            try:
                self._handle(*event)
            except Exception:
                LOGGER.exception("an error in the bookkeeping of the DPU; it goes on")
        self._end()

    def _next(self) -> tuple[str, dict[str, Any]] | None:
        try:
            return self._events.get(timeout=RETRY_INTERVAL)
        except Empty:
            return ("tick", {})


class RecordKeeper:
    """Follows the events of the processor.

    Args:
        root: data folder of the site.
        set_obsid: tells the processor the observation (empty for none) of a cycle, by its number.
    """

    def __init__(self, root: Path, set_obsid: SetObsid) -> None:
        self._set_obsid = set_obsid
        self._index = RawFileIndex(root)
        self._files: deque[tuple[str, str]] = deque()
        self._configuration = ConfigurationManagerProxy(timeout=TIMEOUT)
        self._storage = StorageProxy(timeout=TIMEOUT)
        self._last_obsid = ""
        self._unsure: deque[tuple[int, float]] = deque(maxlen=MOST_UNSURE)
        self._away: set[str] = set()
        self._observations = _Worker("dpu-observations", self._follow, self._configuration.close)
        self._deliveries = _Worker("dpu-deliveries", self._deliver, self._end_deliveries)

    @property
    def waiting_files(self) -> int:
        """Finished files that the storage manager does not know yet."""
        return len(self._files)

    def start(self) -> None:
        """Starts the threads."""
        self._observations.start()
        self._deliveries.start()

    def close(self) -> None:
        """Delivers what can be delivered now and ends the threads."""
        self._observations.close()
        self._deliveries.close()

    def on_event(self, name: str, values: dict[str, Any]) -> None:
        """Takes an event of the processor; returns at once."""
        if name == "cycle":
            self._observations.put(name, values)
        elif name == "file":
            self._deliveries.put(name, values)

    def hdf5_files(self, obsid: str) -> list[str]:
        """Returns the raw files of an observation, in the order of time."""
        return [str(path) for path in self._index.find(obsid)]

    # -- observations --------------------------------------------------------------------------------------------

    def _follow(self, name: str, values: dict[str, Any]) -> None:
        if name != "cycle" or self._stamp(values["cycle"], values["timestamp"]):
            self._settle()

    def _stamp(self, cycle: int, timestamp: float) -> bool:
        """Tells the observation that is running now that a cycle has just begun.

        While nobody can tell, the last known one is assumed, and the question is asked again (`_settle`); a file without
        an assumption waits a moment for the answer (`ProcessorConfig.obsid_wait`).

        Returns:
            False when nobody could tell.
        """
        try:
            observation = self._configuration.get_observation()
        except (ConnectionError, OutcomeUnknownError) as exc:
            self._note_away("configuration manager", exc)
            self._unsure.append((cycle, timestamp))
            if self._last_obsid or len(self._unsure) > PATIENCE:
                self._set_obsid(cycle, self._last_obsid)
            return False
        self._away.discard("configuration manager")
        self._last_obsid = ""
        if observation is not None and _started_by(observation, timestamp):
            self._last_obsid = str(observation["obsid"])
        self._set_obsid(cycle, self._last_obsid)
        return True

    def _settle(self) -> None:
        """Asks about the cycles that began while the configuration manager was away; their files may still be open."""
        if not self._unsure:
            return
        try:
            observations = self._configuration.list_observations(last=RECENT)
        except (ConnectionError, OutcomeUnknownError) as exc:
            self._note_away("configuration manager", exc)
            return
        self._away.discard("configuration manager")
        while self._unsure:
            cycle, timestamp = self._unsure.popleft()
            running = [item for item in observations if _was_running(item, timestamp)]
            self._set_obsid(cycle, str(running[-1]["obsid"]) if running else "")

    # -- files ------------------------------------------------------------------------------------------------

    def _deliver(self, name: str, values: dict[str, Any]) -> None:
        if name == "file":
            self._index.add(Path(values["path"]), values["obsid"])
            if values["obsid"]:
                self._files.append((values["path"], values["obsid"]))
        self._deliver_files()

    def _end_deliveries(self) -> None:
        self._deliver_files()
        self._storage.close()

    def _deliver_files(self) -> None:
        while self._files:
            path, obsid = self._files[0]
            try:
                self._storage.register_raw_file(path=path, obsid=obsid)
            except (ConnectionError, OutcomeUnknownError) as exc:
                self._note_away("storage manager", exc)
                return
            except (StorageError, ValueError, OSError) as exc:
                LOGGER.error("%s could not be made part of observation %s: %s", path, obsid, exc)
            self._away.discard("storage manager")
            self._files.popleft()

    def _note_away(self, who: str, exc: Exception) -> None:
        if who not in self._away:
            self._away.add(who)
            LOGGER.warning("the %s does not answer: %s", who, exc)


def _started_by(observation: dict[str, Any], timestamp: float) -> bool:
    """Returns True when an observation had started at `timestamp`; a millisecond is what its start is rounded to."""
    try:
        return unix_time(str(observation["start"])) <= timestamp + 0.001
    except (KeyError, ValueError):
        return True


def _was_running(observation: dict[str, Any], timestamp: float) -> bool:
    """Returns True when an observation had started at `timestamp` and not ended; see `_started_by`."""
    if not _started_by(observation, timestamp):
        return False
    try:
        return not observation.get("end") or timestamp <= unix_time(str(observation["end"]))
    except ValueError:
        return True
