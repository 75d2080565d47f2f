"""The synoptics manager itself: translates, remembers, stores, and follows the Setup."""

from __future__ import annotations

import logging
import threading
from typing import Any

from egse.clock import Clock, system_clock
from egse.control import ControlServer
from egse.setup import Setup
from egse.storage.loaded_setup import LoadedSetup, SetupFollower
from egse.synoptics.interface import COMMON, SITE, SynopticsError, SynopticsManagerInterface
from egse.synoptics.table import SynopticsTable, Update
from egse.system import format_datetime, from_unix_time, unix_time
from egse.telemetry import HousekeepingStore
from egse.tmdict import TMDictionaryError, find_dictionary

LOGGER = logging.getLogger(__name__)

STORED_WITHIN = 0.5
"""How long a producer waits for its row to be stored; then it is kept in memory [s]."""
ROWS_KEPT = 20_000
"""Rows that are kept while the storage manager is away."""
STALE_AFTER = 60.0
"""Default of the settings key of the same name [s]."""
SHOWN = 10
"""So many refused names stand in the text of an error."""
NO_SETUP = "no Setup is loaded, so there is no TM dictionary; load one: cm_cs load-setup ID"


class SynopticsManagerController(SetupFollower, SynopticsManagerInterface):
    """Executes the commands of the synoptics manager.

    Args:
        site_id: the site.
        store: hands rows to the storage manager, and keeps them while it is away.
        control_server: the server, for tasks outside a command.
        stale_after: a value that was not renewed for so long is not current any more [s].
        clock: all times.
    """

    def __init__(
        self,
        site_id: str,
        store: HousekeepingStore,
        control_server: ControlServer | None = None,
        *,
        stale_after: float = STALE_AFTER,
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.loaded_setup = LoadedSetup()
        self.updates = 0
        self.refused = 0
        self._site_id = site_id
        self._control_server = control_server
        self._stale_after = stale_after
        self._clock = clock or system_clock()
        self._lock = threading.Lock()
        self._setup: Setup | None = None
        self._table: SynopticsTable | None = None
        self._problem = NO_SETUP

    # -- commands ------------------------------------------------------------------------------------------------

    def store_common_synoptics(self, hk: dict[str, Any]) -> int:
        return self._store(hk, COMMON)

    def store_th_synoptics(self, hk: dict[str, Any]) -> int:
        return self._store(hk, SITE)

    def get_synoptics(self) -> dict[str, Any]:
        with self._lock:
            table = self._current_table()
            return {} if table is None else table.current(self._clock.monotonic())

    def get_origins(self) -> dict[str, list[str]]:
        with self._lock:
            table = self._current_table()
            return {COMMON: [], SITE: []} if table is None else table.origins

    # -- state ---------------------------------------------------------------------------------------------------

    @property
    def problem(self) -> str:
        """Why no synoptics can be stored at the moment; empty when they can."""
        with self._lock:
            return "" if self._current_table() is not None else self._problem

    @property
    def dictionary(self) -> str:
        """Path of the TM dictionary in use; empty when there is none."""
        with self._lock:
            table = self._current_table()
            return "" if table is None else str(table.dictionary.where)

    def _current_table(self) -> SynopticsTable | None:
        """Returns the table of the loaded Setup; made anew (without values) when another one was loaded."""
        setup = self.loaded_setup.setup
        if setup is not self._setup and setup is not None:
            self._setup = setup
            try:
                dictionary = find_dictionary(setup)
            except TMDictionaryError as exc:
                self._table, self._problem = None, str(exc)
                LOGGER.error("no synoptics with Setup %s: %s", setup.get_id(), exc)
            else:
                self._table = SynopticsTable(dictionary, self._site_id, self._stale_after)
                LOGGER.info("%d synoptics of %s", len(self._table.names), dictionary.where)
        return self._table

    def _store(self, hk: dict[str, Any], kind: str) -> int:
        with self._lock:
            table = self._current_table()
            if table is None:
                raise SynopticsError(self._problem)
            now, age = self._clock.monotonic(), self._age(hk)
            update = table.update(hk, kind, now, age)
            row = {"timestamp": self._timestamp(), **table.current(now)}
            self.updates += update.taken
            self.refused += len(update.refused)
        if update.taken:
            self._put_away(row)
        if update.refused:
            raise SynopticsError(self._complaint(table, update, kind))
        return update.taken

    def _put_away(self, row: dict[str, Any]) -> None:
        """Waits for a moment until the row is stored, unless older rows wait anyhow: what is acknowledged is on disk."""
        behind = self.store.waiting > 0
        self.store.save(row)
        if not behind:
            self.store.flush(STORED_WITHIN)

    def _age(self, hk: dict[str, Any]) -> float:
        timestamp = hk.get("timestamp")
        try:
            return self._clock.now() - unix_time(timestamp) if isinstance(timestamp, str) else 0.0
        except ValueError:
            return 0.0

    def _timestamp(self) -> str:
        return format_datetime(from_unix_time(self._clock.now()))

    def _complaint(self, table: SynopticsTable, update: Update, kind: str) -> str:
        shown = [f"{name} {reason}" for name, reason in list(update.refused.items())[:SHOWN]]
        if len(update.refused) > SHOWN:
            shown.append(f"and {len(update.refused) - SHOWN} more")
        where = "" if kind == COMMON else f" at {self._site_id}"
        return (
            f"not taken as synoptics{where}: {'; '.join(shown)} (TM dictionary {table.dictionary.where}); "
            f"{update.taken} other value(s) were taken"
        )
