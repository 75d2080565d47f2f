"""Brings the events of an observation from the local spool to the storage manager, in batches, in order, once."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

from camtest.core import services
from camtest.core.spool import EventSpool, SpoolReader, abandoned_spools, collect_abandoned
from egse.env import EnvError
from egse.parameter import CommandError
from egse.settings import SettingsError
from egse.storage import StorageError, StorageProxy

LOGGER = logging.getLogger(__name__)

PERIOD = 1.0
"""Time between two batches [s]."""
BATCH = 500
"""Events in one message."""


class Forwarder:
    """Forwards the events of one spool file from a background thread until it is stopped.

    Args:
        run_id: the observation.
        path: its spool file.
        spool: the same as this process writes it, for what other processes of the observation have written beside it.
    """

    def __init__(self, run_id: str, path: Path, spool: EventSpool | None = None) -> None:
        self.run_id = run_id
        self.path = path
        self._spool = spool
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-forwarder", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def finish(self, patience: float = services.PATIENCE) -> int:
        """Stops the thread and forwards what is left.

        Args:
            patience: how long it is tried while the storage manager is away [s].

        Returns:
            How many events the storage manager has.

        Raises:
            ConnectionError: when the storage manager stays away; the events stay in the spool.
            TimeoutError: when it does not answer.
            StorageError: when it does not have the observation open.
        """
        self._stopping.set()
        self._thread.join()
        self._collect()
        return services.patiently(
            lambda: forward_spool(self.run_id, self.path), f"forwarding the events of {self.run_id}", patience
        )

    def _collect(self) -> None:
        if self._spool is not None:
            self._spool.collect()

    def _run(self) -> None:
        reader: SpoolReader | None = None
        while not self._stopping.wait(PERIOD):
            self._collect()
            try:
                with services.storage_manager() as storage:
                    reader = reader or _positioned(storage, self.run_id, self.path)
                    while not self._stopping.is_set() and _forward_batch(storage, self.run_id, reader):
                        pass
            except (
                ConnectionError,
                TimeoutError,
                StorageError,
                CommandError,
                SettingsError,
                EnvError,
            ) as exc:
                # Not there, or (after a restart) not told of the observation yet; or the site's files are gone.
                LOGGER.debug("events of %s wait in the spool: %s", self.run_id, exc)
                reader = None


def _positioned(storage: StorageProxy, run_id: str, path: Path) -> SpoolReader:
    """Returns a reader at the first event that the storage manager does not have."""
    reader = SpoolReader(path)
    reader.skip_to(storage.append_events(run_id=run_id, first_seq=0, events=[]))
    return reader


def _forward_batch(storage: StorageProxy, run_id: str, reader: SpoolReader) -> bool:
    """Forwards one batch; returns False when there was nothing to forward."""
    first = reader.position
    events = reader.read(BATCH)
    if not events:
        return False
    expected = storage.append_events(run_id=run_id, first_seq=first, events=events)
    if expected != reader.position:
        reader.skip_to(expected)
    return True


def forward_spool(run_id: str, path: Path) -> int:
    """Forwards all complete events of a spool file; returns how many the storage manager has afterwards."""
    with services.storage_manager() as storage:
        reader = _positioned(storage, run_id, path)
        while _forward_batch(storage, run_id, reader):
            pass
        return reader.position


def forward_abandoned() -> list[str]:
    """Forwards what processes that died left in their spools; returns the run ids that are settled.

    Events of an observation that was sealed in the meantime become a supplement of it. A spool is deleted once the
    storage manager has acknowledged all of it. That of an observation that is open still stays as it is: whoever makes
    safe what its process has left (a watchdog, or who claims it) reads there what that is.
    """
    settled: list[str] = []
    try:
        left = abandoned_spools()
    except OSError as exc:  # the folder is gone, and whatever was in it
        LOGGER.warning("what earlier runs have left is not looked after: %s", exc)
        return settled
    for run_id, path in left:
        try:
            if _is_open(run_id):
                continue
            _settle(run_id, path)
        except (ConnectionError, TimeoutError) as exc:
            LOGGER.warning("the events left in %s wait for the storage manager: %s", path, exc)
        except (StorageError, LookupError, RuntimeError, OSError) as exc:
            LOGGER.warning("the events left in %s cannot be delivered now: %s", path, exc)
        else:
            settled.append(run_id)
    return settled


def _is_open(run_id: str) -> bool:
    with services.configuration_manager() as manager:
        observation = manager.find_observation(run_id=run_id)
    return observation is not None and not observation.get("status")


def _settle(run_id: str, path: Path) -> None:
    collect_abandoned(path)
    try:
        forward_spool(run_id, path)
    except StorageError:
        _supplement(run_id, path)
    path.unlink(missing_ok=True)


def _supplement(run_id: str, path: Path) -> None:
    """Adds the events to an observation that is closed already.

    Raises:
        LookupError: when there is no such observation, or it is not closed yet.
    """
    with services.configuration_manager() as manager:
        observation = manager.find_observation(run_id=run_id)
    if observation is None or not observation.get("status"):
        raise LookupError(f"the configuration manager knows no closed observation {run_id}")
    events = SpoolReader(path).read(limit=2**31)
    lines = "".join(json.dumps(event) + "\n" for event in events)
    with services.storage_manager() as storage:
        storage.add_supplement(
            obsid=observation["obsid"], name=f"{run_id}-late-events.jsonl", data=lines.encode()
        )
