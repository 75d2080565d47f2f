"""The life of observations: start, lease, end, and what to do when a process was killed in between.

Order of a start: record `open` (allocates the test id), folder at the storage manager, line in the obsid table. Order of
an end: record `closing` with the final status, seal at the storage manager, record `closed` with the checksum of the
manifest. Each step can be repeated; after a crash the record says which one is next.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from egse.clock import Clock
from egse.confman.observations import (
    CLOSED,
    CLOSING,
    OPEN,
    ObservationBook,
    ObservationError,
    ObservationRecord,
)
from egse.confman.obsid_table import ObsidTable
from egse.decorators import fail_point
from egse.response import RemoteError
from egse.storage.interface import StorageInterface
from egse.storage.naming import utc_text
from egse.storage.observation import ObservationInfo
from egse.storage.persistence import StorageError

LOGGER = logging.getLogger(__name__)
T = TypeVar("T")

AWAY = (ConnectionError, TimeoutError)
"""The storage manager did not answer: the request is repeated."""
REFUSED = (StorageError, OSError, RemoteError)
"""The storage manager cannot do it."""
RETRY = 0.1
"""Pause between two attempts while a client waits [s]."""
WATCHED = 5.0
"""A watchdog that was not heard for so long is not there [s]."""
TAKE_OVER = 5.0
"""How long a lapsed observation is left open for a watchdog [s]."""
MAX_BACKOFF = 10.0
"""Longest pause between two attempts in the background [s]."""


class ObservationLife:
    """Drives the observations of a site through their states.

    All methods are called from one thread.

    Args:
        book: the record.
        storage: the storage manager.
        clock: true time.
        files_of: makes what is in the folder of an observation from the beginning (the frozen Setup).
        is_storage_there: a quick look whether the storage manager answers, before background work.
        patience: how long a client waits for a storage manager that is away [s].
    """

    def __init__(
        self,
        book: ObservationBook,
        storage: StorageInterface,
        clock: Clock,
        files_of: Callable[[ObservationInfo], dict[str, bytes]],
        is_storage_there: Callable[[], bool] = lambda: True,
        patience: float = 5.0,
    ) -> None:
        self.book = book
        self._storage = storage
        self._clock = clock
        self._files_of = files_of
        self._is_storage_there = is_storage_there
        self._patience = patience
        self._table = ObsidTable(storage)
        self._opened_at_storage = False
        self._backoff = 0.0
        self._next_attempt = float("-inf")
        self._never = threading.Event()
        self._watched = float("-inf")
        self.holder_of: Callable[[str], str] = lambda run_id: ""
        current = book.current
        # Whoever held the lease could not renew it while this process was down: it starts anew.
        self._lease_ends = float("-inf") if current is None else clock.monotonic() + current.info.lease
        if current is not None:
            LOGGER.warning("observation %s was found %s", current.info.obsid, current.state)

    # -- start ---------------------------------------------------------------------------------------------------

    def start(self, info: ObservationInfo) -> ObservationRecord:
        """Starts an observation; a repeated request of the same run returns the observation that it started.

        Args:
            info: what is known; `test_id` and `start` are filled in here.

        Raises:
            ObservationError: when an observation is running, this run has ended already, or the storage manager
                cannot open it (it is recorded as failed then).
        """
        record = self.book.find(info.run_id)
        if record is None:
            self.refuse_while_running()
            start = utc_text(self._clock.now())
            number, previous = self.book.next_test_id(), self.book.last_link()
            record = self.book.open(
                msgspec.structs.replace(info, test_id=number, start=start, previous=previous)
            )
            self._opened_at_storage = False
        elif record.state != OPEN:
            raise ObservationError(
                f"observation {record.info.obsid} of this run has ended already: {record.status}"
                + (f" ({record.reason})" if record.reason else "")
            )
        self._lease_ends = self._clock.monotonic() + record.info.lease
        self._open_or_fail(record)
        self._project()
        fail_point("cm.start.after_table")
        LOGGER.info("Observation started with obsid=%s", record.info.obsid)
        return record

    def _open_or_fail(self, record: ObservationRecord) -> None:
        try:
            self._patiently(lambda: self._open_at_storage(record))
        except REFUSED as exc:
            reason = f"the storage manager could not open it: {exc}"
            self.book.closing(record, "failed", reason, utc_text(self._clock.now()))
            self._seal_later()
            raise ObservationError(
                f"observation {record.info.obsid} is recorded as failed: {reason}"
            ) from exc
        # The lease counts from the moment at which the client can know about it.
        self._lease_ends = self._clock.monotonic() + record.info.lease

    def _open_at_storage(self, record: ObservationRecord) -> None:
        """Has the folder made, unless it was already in the life of this process."""
        if not self._opened_at_storage:
            info = record.info
            self._storage.start_observation(msgspec.to_builtins(info), self._files_of(info))
            self._opened_at_storage = True
            fail_point("cm.start.after_storage")

    def refuse_while_running(self) -> None:
        """Raises ObservationError when an observation is open or closing."""
        current = self.book.current
        if current is None:
            return
        info = current.info
        if current.state == CLOSING:
            raise ObservationError(
                f"observation {info.obsid} is being closed ({current.status}); the storage manager has not sealed it yet"
            )
        by = f" by {info.origin}" if info.origin else ""
        raise ObservationError(f"an observation is running: obsid {info.obsid}, started{by} at {info.start}")

    def _patiently(self, request: Callable[[], T]) -> T:
        """Repeats a request while the storage manager is away, for as long as a client waits."""
        deadline = self._clock.monotonic() + self._patience
        while True:
            try:
                return request()
            except AWAY:
                if self._clock.monotonic() >= deadline:
                    raise
                self._clock.wait(self._never, RETRY)

    # -- lease ---------------------------------------------------------------------------------------------------

    def open_run(self) -> str | None:
        """Returns the run id of the observation that is open, None when there is none."""
        current = self.book.current
        return current.info.run_id if current is not None and current.state == OPEN else None

    def watched(self) -> None:
        """A watchdog is there: it gets some time to take a lapsed observation over before that is closed."""
        self._watched = self._clock.monotonic()

    def lease_left(self) -> float | None:
        """Returns how long the lease of the open observation lasts [s], negative when it has lapsed; None for ever."""
        current = self.book.current
        if current is None or current.info.lease <= 0:
            return None
        return self._lease_ends - self._clock.monotonic()

    def renew_lease(self, run_id: str, by: str = "") -> float:
        """Gives the running observation another lease and returns its length [s].

        Args:
            run_id: the observation.
            by: who has taken it over; empty for its client.

        Raises:
            ObservationError: when this run is not open any more, or somebody else has taken it over.
        """
        record = self.book.find(run_id)
        if record is None or record.state != OPEN:
            said = "is not known" if record is None else f"has ended: {record.status} ({record.reason})"
            raise ObservationError(f"the lease of run {run_id} cannot be renewed, it {said}")
        holder = self.holder_of(run_id)
        if holder != by:
            raise ObservationError(f"observation {record.info.obsid} was taken over by {holder or 'nobody'}")
        self._lease_ends = self._clock.monotonic() + record.info.lease
        return record.info.lease

    def _check_lease(self, record: ObservationRecord) -> None:
        lease = record.info.lease
        now = self._clock.monotonic()
        if lease <= 0 or now < self._lease_ends:
            return
        if (
            now - self._watched < WATCHED
            and now < self._lease_ends + TAKE_OVER
            and not self.holder_of(record.info.run_id)
        ):
            return
        status = "interrupted" if record.info.supervised else "orphaned"
        who = record.info.origin or "whoever started it"
        LOGGER.warning("observation %s: no sign of life from %s for %g s", record.info.obsid, who, lease)
        self.book.closing(
            record, status, f"no sign of life from {who} for {lease:g} s", utc_text(self._clock.now())
        )
        self._seal_later()

    # -- end -----------------------------------------------------------------------------------------------------

    def end(self, run_id: str, status: str, reason: str = "") -> ObservationRecord:
        """Ends an observation; a repeated request returns how it ended.

        The first status that is recorded stays. When the storage manager is away, the answer is the record in state
        `closing` with a message; sealing goes on in the background.

        Raises:
            ObservationError: when the run is not known or the status is none.
        """
        record = self.book.find(run_id)
        if record is None:
            raise ObservationError(f"there is no observation of run {run_id}")
        if record.state == OPEN:
            record = self.book.closing(record, status, reason, utc_text(self._clock.now()))
        elif record.status != status:
            LOGGER.warning("observation %s stays %s, not %s", record.info.obsid, record.status, status)
        return self._seal_patiently(record) if record.state == CLOSING else record

    def _seal_patiently(self, record: ObservationRecord) -> ObservationRecord:
        try:
            return self._patiently(lambda: self._seal(record))
        except REFUSED as exc:
            self._seal_later()
            message = (
                f"observation {record.info.obsid} has ended ({record.status}) but is not sealed yet, because the "
                f"storage manager does not answer: {exc}. It is sealed as soon as it does."
            )
            LOGGER.warning("%s", message)
            return msgspec.structs.replace(record, message=message)

    def _seal(self, record: ObservationRecord) -> ObservationRecord:
        """Has the folder sealed and closes the record.

        Raises:
            OSError: when that is not possible now.
        """
        info = msgspec.to_builtins(record.info)
        try:
            self._open_at_storage(record)
            sealed = self._storage.end_observation(record.info.run_id, record.status, record.reason, info)
            checksum = str(sealed["manifest_sha256"])
        except StorageError as exc:
            # A refusal will not turn into consent; the record must not block the site for ever.
            LOGGER.error("observation %s is closed without a seal: %s", record.info.obsid, exc)
            checksum = ""
        fail_point("cm.end.after_seal")
        closed = self.book.closed(record, checksum)
        self._backoff = 0.0
        LOGGER.info("Observation ended with obsid=%s, status %s", closed.info.obsid, closed.status)
        return closed

    # -- background ----------------------------------------------------------------------------------------------

    def _seal_later(self) -> None:
        self._backoff = 0.0
        self._next_attempt = float("-inf")

    def tick(self) -> None:
        """Does what is due: ends an observation whose lease has lapsed, seals, opens, completes the obsid table."""
        current = self.book.current
        if current is not None and current.state == OPEN:
            try:
                self._check_lease(current)
            except OSError as exc:  # the disk is full: the next tick tries again
                LOGGER.error("the end of observation %s cannot be recorded: %s", current.info.obsid, exc)
                return
            current = self.book.current
        if self._clock.monotonic() < self._next_attempt or not self._has_work(current):
            return
        if not self._is_storage_there():
            self._wait_longer()
            return
        try:
            self._work(current)
        except REFUSED as exc:
            LOGGER.warning("the storage manager cannot follow yet: %s", exc)
            self._wait_longer()

    def _has_work(self, current: ObservationRecord | None) -> bool:
        if current is not None and (current.state == CLOSING or not self._opened_at_storage):
            return True
        return not self._table.is_complete(record.info for record in self.book.records)

    def _work(self, current: ObservationRecord | None) -> None:
        if current is not None and current.state == CLOSING:
            self._seal(current)
        elif current is not None:
            self._open_at_storage(current)
        self._table.project(record.info for record in self.book.records)

    def _wait_longer(self) -> None:
        self._backoff = min(MAX_BACKOFF, max(0.5, 2 * self._backoff))
        self._next_attempt = self._clock.monotonic() + self._backoff

    def _project(self) -> None:
        """Brings the obsid table up to date; when that fails it is done later."""
        try:
            self._table.project(record.info for record in self.book.records)
        except REFUSED as exc:
            LOGGER.warning("the obsid table will be completed later: %s", exc)

    # -- looking -------------------------------------------------------------------------------------------------

    def last(self, count: int | None) -> list[ObservationRecord]:
        """Returns the last `count` observations, all for None, oldest first."""
        records = self.book.records
        return records if count is None else records[len(records) - min(len(records), max(0, count)) :]

    def summary(self) -> dict[str, Any]:
        """Returns what the status shows; may be called from another thread."""
        current = self.book.current
        return {
            "observation": None if current is None else current.as_dict(self.book.site_folder),
            "closed": sum(1 for record in self.book.records if record.state == CLOSED),
        }
