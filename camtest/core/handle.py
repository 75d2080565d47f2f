"""An observation that this process holds open: record, lease, events and files."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from camtest.core import services
from camtest.core.control import DeskFollower, claim_safes
from camtest.core.forwarding import Forwarder
from camtest.core.lease import LeaseKeeper
from camtest.core.safes import pending_safes, run_elsewhere
from camtest.core.spool import EventSpool, read_events, spool_path
from camtest.core.values import plain
from camtest.core.variables import OBSERVATION_VARIABLE, RUN_ID_VARIABLE, SPOOL_VARIABLE
from egse.confman import ObservationError
from egse.confman.desk import ENDING, RANKS, Desk, VerbRequest
from egse.mode import current_mode
from egse.proxy import command_origin
from egse.settings import SettingsError
from egse.storage import StorageError
from egse.version import get_version_info

LOGGER = logging.getLogger(__name__)

VERSIONS_FILE = "versions.json"
"""Versions of software, Python and packages, and the state of the checkout."""
SOFTWARE_PATIENCE = 5.0
"""How long the end of an observation waits for git and the list of packages [s]."""

SEAL_INTERVAL = 0.5
"""How often is looked whether an observation is sealed by now [s]."""

software = cache(get_version_info)
"""What this process runs, as found when it is first asked for."""

Observation = dict[str, Any]
"""The configuration manager's record: run_id, obsid, test_id, setup_id, prefix, folder, start, status, ..."""


def new_run_id() -> str:
    """Returns a unique id for a run, in order of time: `20260102T030405-1f2e3d4c`."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


class ObservationHandle:
    """An open observation; made by `open_observation`.

    Attributes:
        record: the configuration manager's record of it.
        spool: where its events are written.
        lost: why the observation is over although nobody here closed it, None while all is well.
        when_lost: called with that reason when it is found out, in another thread.
        verbs: what operators wanted, oldest first.
        when_verb: called with each of them, in another thread.
        room: tells how long files and the end of the observation wait for room on a full data disk [s].
        when_full: called when they begin or go on to do that.
        state: what the run last said of itself to the operator's desk.
        when_state: called with that, and more about it for people, in another thread.
    """

    def __init__(self, record: Observation, lease: float) -> None:
        self.record = record
        self.run_id: str = record["run_id"]
        self.lost: str | None = None
        self.when_lost: Callable[[str], None] = lambda reason: None
        self.spool = EventSpool(spool_path(self.run_id), owner=True)
        self._lease = LeaseKeeper(self.run_id, lease, self._on_lost)
        self._forwarder = Forwarder(self.run_id, self.spool.path, self.spool)
        self.verbs: list[VerbRequest] = []
        self._seen: Desk | None = None
        self.when_verb: Callable[[VerbRequest], None] = lambda request: None
        self.room: Callable[[], float] = lambda: 0.0
        self.when_full: Callable[[], None] = lambda: None
        self.state = "running"
        self._detail = ""
        self.when_state: Callable[[str, str], None] = lambda state, detail: None
        self._deliver: Callable[[Desk], None] = lambda desk: None
        self._desk = DeskFollower(self.run_id, self._on_desk)
        self._lease.start()
        self._forwarder.start()
        self._desk.start()
        self._software = threading.Thread(target=self._store_software, name="software-record", daemon=True)
        self._software.start()

    @property
    def obsid(self) -> str:
        """Full obsid, SITE_SETUP_TEST."""
        return str(self.record["obsid"])

    @property
    def folder(self) -> Path:
        """The folder of the observation, as the storage manager sees it."""
        return Path(self.record["folder"])

    def _on_lost(self, reason: str) -> None:
        self.lost = reason
        self.when_lost(reason)

    def follow(self, deliver: Callable[[Desk], None]) -> None:
        """Has everything that is new on the operator's desk delivered, in another thread; what is there already too."""
        self._deliver = deliver
        if self._seen is not None:
            deliver(self._seen)

    def _on_desk(self, desk: Desk) -> None:
        self._seen = desk
        for request in desk.verbs[len(self.verbs) :]:
            self.verbs.append(request)
            self.mark("verb", number=request.number, verb=request.verb, by=request.by, reason=request.reason)
            self.when_verb(request)
        if (desk.state, desk.detail) != (self.state, self._detail):
            self.state, self._detail = desk.state, desk.detail
            self.when_state(desk.state, desk.detail)
        self._deliver(desk)

    @property
    def ending(self) -> VerbRequest | None:
        """The verb that ends the observation, None when no operator ends it."""
        found = [request for request in self.verbs if RANKS[request.verb] >= ENDING]
        return max(found, key=lambda request: RANKS[request.verb]) if found else None

    def mark(self, event: str, **fields: Any) -> None:
        """Writes a marker into the events."""
        self.spool.write_event({"t": time.time(), "event": event, "pid": os.getpid(), **fields})

    def add_file(self, name: str, data: bytes) -> str:
        """Puts a file into the observation's folder; the prefix of the observation goes before `name`.

        Returns:
            The path of the file, as the storage manager sees it.
        """

        if name == VERSIONS_FILE:  # the early one must not come after it
            self._software.join(SOFTWARE_PATIENCE)

        def send() -> str:
            with services.storage_manager(timeout=30.0) as storage:
                return str(storage.add_file(run_id=self.run_id, name=name, data=data))

        return services.patiently(send, f"storing {name}", room=self.wait_for_room)

    def wait_for_room(self) -> float:
        """Says that the data disk is full; returns how long room is waited for [s]."""
        patience = self.room()
        if patience:
            self.when_full()
        return patience

    def _store_software(self) -> None:
        """Puts versions and the state of the checkout into the folder, early: this process may be killed later."""
        try:
            data = json.dumps(software(), indent=1, ensure_ascii=False).encode() + b"\n"
            with services.storage_manager(timeout=30.0) as storage:
                storage.add_file(run_id=self.run_id, name=VERSIONS_FILE, data=data)
        except (OSError, StorageError, SettingsError) as exc:
            LOGGER.warning("the versions of the software are not recorded in %s: %s", self.obsid, exc)

    def close(self, status: str, reason: str = "", patience: float = services.PATIENCE) -> Observation:
        """Forwards the events that are left and closes the observation, which seals it.

        Args:
            status: done, failed, aborted, interrupted, kernel-lost.
            reason: why, in a few words.
            patience: how long it is tried while a core service is away [s].

        Returns:
            The record as closed; in state `closing` when it is not sealed yet, which it will be.

        Raises:
            ConnectionError: when the configuration manager stays away; the observation is still open then and
                `close` can be called again.
            StorageFullError: when it cannot be recorded, because the data disk is full; the same holds.
        """
        self._make_safe(status)
        self._software.join(SOFTWARE_PATIENCE)
        try:
            self.mark("observation-end", status=status, reason=reason)
        except OSError as exc:  # the disk of the spool is full
            LOGGER.error("the last event of %s is lost: %s", self.obsid, exc)
        delivered = self._deliver_events(patience)
        self._lease.ending = True
        try:
            self.record = services.patiently(
                lambda: self._end(status, reason),
                f"closing observation {self.obsid}",
                patience,
                self.wait_for_room,
            )
        except BaseException:
            self._lease.ending = False
            raise
        self._desk.stop()
        self._lease.stop()
        self.spool.close()
        if delivered:
            self.spool.path.unlink(missing_ok=True)
        LOGGER.info("Observation %s ended with status %s", self.obsid, self.record.get("status", status))
        return self.record

    def wait_until_sealed(self, patience: float = services.PATIENCE) -> Observation:
        """Waits for the seal of an observation whose folder could not be sealed at once; returns its record.

        Args:
            patience: how long the storage manager may be away [s]; while there is no room, as long as `room` says.
        """
        started, pause = time.monotonic(), threading.Event()
        while self.record.get("state") == "closing" and time.monotonic() - started < max(
            patience, self.room()
        ):
            pause.wait(SEAL_INTERVAL)
            with (
                suppress(ConnectionError, TimeoutError),
                services.configuration_manager() as manager,
            ):
                self.record = dict(manager.find_observation(run_id=self.run_id) or self.record)
        return self.record

    def release(self) -> None:
        """Lets go of an observation that could not be closed: its lease lapses, and whoever is there ends it."""
        self._desk.stop()
        self._lease.stop()
        self.spool.close()

    def _make_safe(self, status: str) -> None:
        """Runs in a fresh process what is due and was not run: the kernel is gone, or not asked any more."""
        ending = self.ending
        aborted = ending is not None and ending.verb == "abort"
        if self.lost is not None or (status == "done" and not aborted):
            return
        self.spool.collect()
        events = read_events(self.spool.path)
        done = any(event.get("event") == "safes-done" for event in events)
        if (not pending_safes(events) and (done or not aborted)) or not claim_safes(self.run_id):
            return
        environment = joining_environment(self.record, self.spool.path)
        folder = str(self.record.get("details", {}).get("folder", "")) or None
        for problem in run_elsewhere(environment, folder, with_state=aborted and not done):
            LOGGER.error("making safe: %s", problem)

    def _deliver_events(self, patience: float) -> bool:
        try:
            self._forwarder.finish(patience)
        except (OSError, StorageError) as exc:
            LOGGER.error("the last events of %s wait in %s: %s", self.obsid, self.spool.path, exc)
            return False
        return True

    def _end(self, status: str, reason: str) -> Observation:
        with services.configuration_manager() as manager:
            try:
                return dict(manager.end_observation(run_id=self.run_id, status=status, reason=reason))
            except ObservationError:
                found = manager.find_observation(run_id=self.run_id)
                if self.lost is None or found is None:
                    raise
                return dict(found)


def joining_environment(record: Observation, spool: Path) -> dict[str, str]:
    """Returns the variables by which another process joins an observation.

    Args:
        record: the configuration manager's record of it.
        spool: its spool file.
    """
    return {
        RUN_ID_VARIABLE: str(record["run_id"]),
        OBSERVATION_VARIABLE: json.dumps(plain(record)),
        SPOOL_VARIABLE: str(spool),
    }


def open_observation(
    function: str,
    description: str = "",
    *,
    supervised: bool,
    lease: float,
    details: dict[str, Any] | None = None,
) -> ObservationHandle:
    """Starts an observation and holds it.

    Args:
        function: what is executed, as it stands in the obsid table: `name(arg="value", ...)`.
        description: free text for the obsid table.
        supervised: a runner holds the lease, not the kernel that commands.
        lease: how long the observation lives without a sign of life [s].
        details: more about the run for the record.

    Raises:
        ObservationError: when the configuration manager refuses, for instance because one is running.
        ConnectionError: when it is not there.
    """
    run_id = new_run_id()
    about = {
        "origin": command_origin(),
        "pid": os.getpid(),
        "program": Path(sys.argv[0]).name,
        "folder": os.getcwd(),
        "spool": str(spool_path(run_id)),
        **(details or {}),
        "mode": current_mode(),
    }

    def start() -> Observation:
        with services.configuration_manager() as manager:
            return dict(
                manager.start_observation(
                    run_id=run_id,
                    function=function,
                    description=description,
                    supervised=supervised,
                    lease=lease,
                    details=about,
                )
            )

    try:
        record = _start_once(start)
    except (ConnectionError, TimeoutError) as exc:
        _withdraw(run_id, exc)
        raise
    handle = ObservationHandle(record, lease)
    handle.mark("observation-start", obsid=handle.obsid, function=function)
    LOGGER.info("Observation started with obsid=%s", handle.obsid)
    return handle


def _start_once(start: Callable[[], Observation]) -> Observation:
    """Starts, and when the answer got lost asks again: the run id makes sure that there is one observation."""
    try:
        return dict(start())
    except TimeoutError:
        return dict(services.patiently(start, "starting an observation"))


def _withdraw(run_id: str, error: Exception) -> None:
    """Closes an observation whose start was recorded although its client was told that it failed."""
    try:
        with services.configuration_manager(timeout=5.0) as manager:
            record = manager.find_observation(run_id=run_id)
            if record is not None and not record.get("status"):
                manager.end_observation(run_id=run_id, status="failed", reason=f"not started: {error}")
    except (ConnectionError, TimeoutError, ObservationError) as exc:
        LOGGER.debug("run %s could not be withdrawn, its lease will lapse: %s", run_id, exc)
