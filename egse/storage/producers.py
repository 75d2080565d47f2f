"""All producers of a site: registration, days, rows in and out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from egse.clock import Clock
from egse.storage.ledger import Ledger
from egse.storage.observation import ObservationFolder
from egse.storage.persistence import StorageError
from egse.storage.registry import Place, Producer, Registration
from egse.storage.syncing import Syncer

LOGGER = logging.getLogger(__name__)

SECONDS_PER_DAY = 86_400.0
LONGEST_SESSION = 40
"""Length of the name of a producer's session."""


class Producers:
    """The producers that are registered.

    Args:
        place: where their files go.
        clock: gives the UTC day.
        syncer: puts their files on disk.

    Attributes:
        rows: rows stored.
        repeated: rows that came again and were there already.
    """

    def __init__(self, place: Place, clock: Clock, syncer: Syncer) -> None:
        self._place = place
        self._clock = clock
        self._syncer = syncer
        self._ledger = Ledger(place.site_folder / ".sm_ledger")
        self._producers: dict[str, Producer] = {}
        self._day_begins = _begin_of_day(clock.now())
        self.rows = 0
        self.repeated = 0

    def __iter__(self) -> Iterator[Producer]:
        return iter(list(self._producers.values()))

    def __len__(self) -> int:
        return len(self._producers)

    # -- life ----------------------------------------------------------------------------------------------------

    def recover(self, registrations: Iterable[Registration]) -> None:
        """Goes on with these producers after a restart."""
        for registration in registrations:
            producer = self._make(registration)
            producer.recover()
            self._producers[registration.origin] = producer
        self._ledger.keep_only(list(self._producers))

    def open(self) -> None:
        """Opens all files; a full disk is no reason not to come up."""
        for producer in self:
            _open_if_possible(producer)

    def close(self) -> None:
        """Closes all files."""
        for producer in self:
            producer.close()
        self._ledger.close()

    def cycle(self) -> None:
        """Goes to the files of another UTC day when one has begun, or when the clock was set back into one."""
        now = self._clock.now()
        if self._day_begins <= now < self._day_begins + SECONDS_PER_DAY:
            return
        for producer in self:
            if producer.cycle(now):
                _open_if_possible(producer)
        self._day_begins = _begin_of_day(now)

    # -- registration --------------------------------------------------------------------------------------------

    def register(self, item: Mapping[str, Any], folder: ObservationFolder | None) -> tuple[Producer, bool]:
        """Returns the producer that `item` describes, and whether it is another one than before; not opened yet."""
        registration = Registration.from_item(item)
        known = self._producers.get(registration.origin)
        if known is not None and known.registration.is_like(registration):
            known.open()
            return known, False
        if known is not None:
            LOGGER.warning("%s registers again; its new registration takes over", registration.origin)
            known.close()
        return self._add(self._make(registration), folder), True

    def begin_file(
        self, item: Mapping[str, Any], use_counter: bool, folder: ObservationFolder | None
    ) -> Producer:
        """Returns the producer that `item` describes, with a new file; not opened yet."""
        registration = Registration.from_item(item)
        known = self._producers.get(registration.origin)
        if known is not None:
            counters = known.registration
            registration = msgspec.structs.replace(
                registration, counter=counters.counter, counter_day=counters.counter_day
            )
            known.close()
        producer = self._make(registration)
        if use_counter:
            producer.use_counter(producer.next_counter())
        return self._add(producer, folder)

    def unregister(self, origin: str) -> bool:
        """Forgets a producer and closes its files; returns False for an unknown one."""
        producer = self._producers.pop(origin, None)
        if producer is None:
            return False
        producer.close()
        self._ledger.forget(origin)
        return True

    def _make(self, registration: Registration) -> Producer:
        return Producer(registration, self._place, self._ledger.track(registration.origin), self._clock.now())

    def _add(self, producer: Producer, folder: ObservationFolder | None) -> Producer:
        producer.track.save()
        if folder is not None:
            producer.start_mirror(folder)
        self._producers[producer.registration.origin] = producer
        return producer

    def find(self, item: Mapping[str, Any]) -> Producer:
        """Returns the producer `item["origin"]`.

        Raises:
            StorageError: when it is not registered.
        """
        origin = str(item.get("origin"))
        producer = self._producers.get(origin)
        if producer is None:
            raise StorageError(f"{origin!r} is not registered at the storage manager; register it first")
        return producer

    @property
    def filenames(self) -> dict[str, list[str]]:
        """Names of all producers with the paths of their files; may be asked for from any thread."""
        return {producer.registration.origin: producer.filenames for producer in self}

    # -- rows ----------------------------------------------------------------------------------------------------

    def save(self, item: Mapping[str, Any]) -> int:
        """Writes rows of a producer; see `StorageInterface.save`."""
        producer = self.find(item)
        data = item.get("data")
        rows: Sequence[Any] = data if isinstance(data, (list, tuple)) else [data]
        if not rows or data is None:
            return 0
        session, first = _numbering(item)
        self.cycle()
        written = producer.save(rows, session, first)
        if written:
            self._syncer.touch([*written, self._ledger])
            self.rows += len(rows)
        else:
            self.repeated += len(rows)
        return len(rows)

    def read(self, item: Mapping[str, Any]) -> Any:
        """Returns what the current main file of a producer holds; see `StorageInterface.read`."""
        producer = self.find(item)
        select = item.get("select")
        if select is not None and not isinstance(select, Mapping):
            raise StorageError(f"`select` must be a mapping, e.g. {{'last': 10}}, got {select!r:.80}")
        try:
            return producer.main.read(select)
        except (TypeError, ValueError) as exc:
            raise StorageError(f"{producer.registration.origin} cannot be read with {select}: {exc}") from exc


def _open_if_possible(producer: Producer) -> None:
    try:
        producer.open()
    except OSError as exc:  # e.g. a full disk; the next row tries again
        LOGGER.error("%s cannot be opened yet: %s", producer.main.path, exc)


def _begin_of_day(now: float) -> float:
    return now // SECONDS_PER_DAY * SECONDS_PER_DAY


def _numbering(item: Mapping[str, Any]) -> tuple[str, int]:
    """Returns session and number of the first row of an item; an empty session when its rows are not numbered."""
    session, first = item.get("session") or "", item.get("number") or 0
    if (
        not isinstance(session, str)
        or len(session) > LONGEST_SESSION
        or not isinstance(first, int)
        or first < 0
    ):
        raise StorageError("`session` is a short text and `number` a number from 0 on")
    return session, first
