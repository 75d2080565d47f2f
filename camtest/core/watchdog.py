"""The watchdog of observations: makes safe and closes when the client of an observation is gone.

It looks at the observation that is open once a second. It takes over when the lease has lapsed, when the process that holds it
has ended (on this host), and when an `abort` or `halt` was not obeyed in time. From then on the configuration manager refuses
the old client; the safes run in a fresh process, and the observation is closed with its true status.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from camtest.core import services
from camtest.core.conditions import SafeCall
from camtest.core.forwarding import Forwarder
from camtest.core.handle import joining_environment
from camtest.core.safes import pending_safes, reaction_of, run_elsewhere
from camtest.core.spool import EventSpool, read_events, spool_path
from camtest.core.variables import SAFES_VARIABLE
from egse.clock import system_clock
from egse.confman import ObservationError
from egse.proxy import command_origin
from egse.setup import Setup, SetupError
from egse.storage import StorageError

LOGGER = logging.getLogger(__name__)

PERIOD = 1.0
"""Time between two looks [s]."""
OBEDIENCE = 30.0
"""A run that has not obeyed `abort` or `halt` after this time is taken over [s]."""
LOOKS = 2
"""So many looks in a row must find the process gone: one that ends well closes its observation itself."""
_URGENT = ("abort", "halt")


class Watchdog:
    """Watches the observations of a site.

    Args:
        name: who it is, for the records.
        obedience: how long a run may take to obey `abort` or `halt` [s].
        besides: what else is looked at, as often.
    """

    def __init__(
        self, name: str = "", obedience: float = OBEDIENCE, besides: Callable[[], object] = lambda: None
    ) -> None:
        self.name = f"watchdog {name or command_origin()}"
        self.watching = ""
        self.taken_over: list[str] = []
        self._obedience = obedience
        self._besides = besides
        self._gone = ("", 0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread; safes that are running are not waited for longer than a moment."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stopping.wait(PERIOD):
            try:
                self._besides()
                self.look()
            except (OSError, LookupError, ObservationError) as exc:
                LOGGER.debug("the configuration manager cannot be asked: %s", exc)
            except Exception:  # the watchdog itself must not end, whatever it stumbles over
                LOGGER.exception("The watchdog has stumbled")

    def look(self) -> str | None:
        """Looks once, and takes over when it must; returns why, None when all is well."""
        with services.configuration_manager() as manager:
            record = manager.watch_observation(by=self.name)
        self.watching = "" if record is None else str(record["obsid"])
        reason = None if record is None else self.verdict(record)
        if record is not None and reason is not None:
            self.take_over(record, reason)
        return reason

    def verdict(self, record: Mapping[str, Any]) -> str | None:
        """Returns why an observation must be taken over, None when all is well."""
        desk = record["desk"]
        if desk["holder"] and desk["holder"] != self.name:
            return None  # another watchdog; when that dies its lease lapses, and the observation is closed
        who = record.get("origin") or "whoever started it"
        left = record.get("lease_left")
        if left is not None and left < 0:
            return f"no sign of life from {who} for {record['lease']:g} s"
        urgent = [verb for verb in desk["verbs"] if verb["verb"] in _URGENT and not verb["reached"]]
        for verb in urgent:
            if verb["age"] > self._obedience:
                return f"{verb['verb']} by {verb['by']} was not obeyed within {self._obedience:g} s"
        if self._is_gone(record):
            return f"no sign of life from {who}: its process has ended"
        return None

    def _is_gone(self, record: Mapping[str, Any]) -> bool:
        run_id = str(record["run_id"])
        if not process_has_ended(record):
            self._gone = ("", 0)
            return False
        looks = self._gone[1] + 1 if self._gone[0] == run_id else 1
        self._gone = (run_id, looks)
        return looks >= LOOKS

    def take_over(
        self,
        record: Mapping[str, Any],
        reason: str,
        *,
        status: str = "",
        hand_over: Callable[[list[SafeCall]], object] | None = None,
    ) -> dict[str, Any]:
        """Takes an observation over, makes safe and closes it; returns the record as closed.

        Args:
            record: the open observation, with its `desk`.
            reason: why, for the record.
            status: how it has ended; empty for what follows from verbs and who held it.
            hand_over: takes the safes that are due instead of having them run now: somebody else runs them at once.
        """
        run_id = str(record["run_id"])
        LOGGER.warning("observation %s is taken over: %s", record["obsid"], reason)
        keeper = _Keeper(run_id, self.name, reason, float(record["lease"]))
        keeper.renew()
        keeper.start()
        try:
            trace = _Trace(dict(record))
            if hand_over is None:
                problems = self._make_safe(record, trace)
            else:
                problems, due = [], pending_safes(trace.events())
                trace.mark("safes-handed-over", safes=[safe.name for safe in due])
                hand_over(due)
            trace.mark("taken-over", by=self.name, reason=reason, problems=problems)
            trace.deliver()
            text = reason if not problems else f"{reason}; making safe: {'; '.join(problems)}"
            with services.configuration_manager(timeout=30.0) as manager:
                closed = manager.end_observation(
                    run_id=run_id, status=status or status_of(record), reason=text, by=self.name
                )
            trace.close()
        finally:
            keeper.stop()
        self.taken_over.append(str(record["obsid"]))
        return dict(closed)

    def _make_safe(self, record: Mapping[str, Any], trace: _Trace) -> list[str]:
        setup = _setup_of(record)
        reaction = _reaction(record, setup)
        events = trace.events()
        done = any(event.get("event") == "safes-done" for event in events)
        with_state = reaction == "safe_state" and not done
        if reaction == "nothing" or not (pending_safes(events) or with_state):
            return []
        environment = joining_environment(dict(record), trace.path) | {SAFES_VARIABLE: self.name}
        folder = (record.get("details") or {}).get("folder")
        problems = run_elsewhere(environment, folder, with_state=with_state)
        for problem in problems:
            LOGGER.error("making safe after %s: %s", record["obsid"], problem)
        return problems


def process_has_ended(record: Mapping[str, Any]) -> bool:
    """Says whether the process that holds an observation was on this host and is not there any more."""
    details = record.get("details") or {}
    pid = details.get("pid")
    origin = str(details.get("origin") or "")
    if not isinstance(pid, int) or origin.rpartition("@")[2].partition(":")[0] != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        started = datetime.fromisoformat(str(record["start"])).timestamp()
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > started + 1.0
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, ValueError):
        return False


def status_of(record: Mapping[str, Any]) -> str:
    """Returns how an observation has ended whose client is gone."""
    verbs = {verb["verb"] for verb in record["desk"]["verbs"]}
    if verbs.intersection(_URGENT):
        return "aborted"
    return "interrupted" if record.get("supervised") else "orphaned"


def _reaction(record: Mapping[str, Any], setup: Setup | None) -> str:
    verbs = {verb["verb"] for verb in record["desk"]["verbs"]}
    if "halt" in verbs:
        return "nothing"
    if "abort" in verbs:
        return "safe_state"
    return reaction_of(setup, supervised=bool(record.get("supervised")))


def _setup_of(record: Mapping[str, Any]) -> Setup | None:
    """Returns the Setup of an observation, None when it cannot be had."""
    try:
        with services.configuration_manager() as manager:
            answer = manager.get_setup(setup_id=int(record["setup_id"]))
        return Setup.from_yaml_string(str(answer["yaml"]))
    except (OSError, LookupError, SetupError, ValueError) as exc:
        LOGGER.error("the Setup of %s is not known: %s", record["obsid"], exc)
        return None


class _Keeper(threading.Thread):
    """Keeps the lease of an observation that was taken over."""

    def __init__(self, run_id: str, by: str, reason: str, lease: float) -> None:
        super().__init__(name="watchdog-lease", daemon=True)
        self._arguments = {"run_id": run_id, "by": by, "reason": reason}
        self._period = max(0.5, lease / 4) if lease > 0 else 60.0
        self._stopping = threading.Event()

    def renew(self) -> None:
        with services.configuration_manager() as manager:
            manager.safe_take_over(**self._arguments)

    def run(self) -> None:
        while not self._stopping.wait(self._period):
            try:
                self.renew()
            except (OSError, LookupError, ObservationError) as exc:
                LOGGER.warning("the lease of what was taken over could not be renewed: %s", exc)

    def stop(self) -> None:
        self._stopping.set()
        self.join(2.0)


class _Trace:
    """The events of an observation whose client is gone: its spool on this host, else what the storage manager has."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.run_id = str(record["run_id"])
        named = (record.get("details") or {}).get("spool")
        self.path = Path(named) if named and os.access(str(named), os.R_OK) else spool_path(self.run_id)
        self._spool: EventSpool | None = None
        if not self.path.exists():
            self._copy_from_folder(Path(record["folder"]), str(record["prefix"]))
        try:
            self._spool = EventSpool(self.path, owner=True)
            self._spool.collect(after_death=True)
        except (RuntimeError, OSError) as exc:
            LOGGER.warning(
                "the events of %s are in the hands of a client that is silent: %s", self.run_id, exc
            )

    def _copy_from_folder(self, folder: Path, prefix: str) -> None:
        """Begins a spool with what the storage manager has, so that events are numbered on."""
        known = folder / f"{prefix}_events.jsonl"
        lines = known.read_bytes().splitlines() if known.is_file() else []
        spool = EventSpool(self.path, owner=True)
        for line in lines:
            event = {key: value for key, value in json.loads(line).items() if key != "seq"}
            spool.write_event(event)
        spool.close()

    def events(self) -> list[dict[str, Any]]:
        return read_events(self.path)

    def mark(self, event: str, **fields: Any) -> None:
        if self._spool is not None:
            now = system_clock().now()
            self._spool.write_event({"t": now, "event": event, "pid": os.getpid(), **fields})

    def deliver(self) -> None:
        """Brings the events to the storage manager."""
        if self._spool is None:
            return
        forwarder = Forwarder(self.run_id, self.path, self._spool)
        try:
            forwarder.start()
            forwarder.finish(patience=10.0)
        except (OSError, StorageError) as exc:
            LOGGER.error("the last events of %s wait in %s: %s", self.run_id, self.path, exc)
            self._spool.close()
            self._spool = None

    def close(self) -> None:
        """Removes the spool, which is delivered."""
        if self._spool is not None:
            self._spool.close()
            self.path.unlink(missing_ok=True)
