"""Carrying out one reaction: take control, end what runs, run the recovery in an observation of its own, leave a report.

The recovery comes first, the bookkeeping after it where that can be: the observation that is interrupted is closed at once,
and its safes run in the observation of the reaction, behind the recovery (or before it, where the table says so).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from camtest.core import services
from camtest.core.conditions import SafeCall
from camtest.core.handle import ObservationHandle, joining_environment, open_observation
from camtest.core.lease import supervised_lease
from camtest.core.report import make_report
from camtest.core.watchdog import Watchdog, process_has_ended, status_of
from camtest.reactions.book import DONE, FAILED
from camtest.reactions.process import RecoveryProcess
from camtest.reactions.table import Reaction
from egse.archive import Observation
from egse.authority import AuthorityError, release_control, take_control
from egse.confman import ObservationError
from egse.security.token import current_token
from egse.storage import StorageError

LOGGER = logging.getLogger(__name__)

OTHERS = 5.0
"""How long a watchdog that is ending the observation is waited for, before it is ended all the same [s]."""
SEALING = 20.0
"""How long the end of the interrupted observation may take [s]."""
ATTEMPTS = 5
"""So often it is tried to end it; a watchdog that runs its safes takes it back every few seconds."""
PAUSE = 0.2
REPORT = "reaction_report.html"
FACTS = "reaction.json"


@dataclass(frozen=True)
class Outcome:
    """How a reaction has ended.

    Attributes:
        stage: done or failed.
        text: more about it.
        obsid: its observation, empty when none could be opened.
    """

    stage: str
    text: str
    obsid: str = ""


class Performer:
    """Carries out reactions, one at a time.

    Args:
        name: who it is, for the records.
    """

    def __init__(self, name: str = "fdir_cs") -> None:
        self.watchdog = Watchdog(name)

    def perform(
        self,
        reaction: Reaction,
        alarms: list[str],
        process: RecoveryProcess,
        on_open: Callable[[dict[str, Any]], None],
    ) -> Outcome:
        """Carries out a reaction.

        Args:
            reaction: what is to be done.
            alarms: what it answers.
            process: runs the building block.
            on_open: told the record of the observation before anything is commanded.
        """
        started = time.monotonic()
        reason = f"automatic reaction {reaction.name} to {', '.join(alarms)}"
        with _authority(reason):
            ended, handed = self.end_running(reason)
            handle = self._open(reaction, alarms, reason, process)
            on_open(handle.record)
            environment = joining_environment(handle.record, handle.spool.path)
            calls = _in_order(reaction, handed)
            problems = process.run(environment, calls, current_token(), reaction.timeout)
        took = time.monotonic() - started
        status = FAILED if problems else DONE
        text = f"{reaction.function}: {'; '.join(problems) or 'done'} ({took:.1f} s)"
        text += f"; {ended}" if ended else ""
        facts = {
            "reaction": reaction.name,
            "alarms": alarms,
            "function": reaction.function,
            "interrupted": ended,
            "safes": [call.name for call in calls if call is not reaction.call],
            "problems": problems,
            "seconds": round(took, 3),
        }
        _close(handle, status, "; ".join(problems) or reason, facts)
        return Outcome(status, text, handle.obsid)

    def end_running(self, reason: str) -> tuple[str, list[SafeCall]]:
        """Ends the running observation with its true status.

        Returns:
            What was ended, for people, and its safes that are due.

        Raises:
            ConnectionError: when the configuration manager does not answer.
            ObservationError: when it cannot be ended.
        """
        record = self._running_one()
        if record is None:
            return "", []
        status = status_of(record) if process_has_ended(record) else "aborted"
        handed: list[SafeCall] = []

        def take(due: list[SafeCall]) -> None:
            handed[:] = due

        for attempt in range(ATTEMPTS):
            try:
                closed = self.watchdog.take_over(record, reason, status=status, hand_over=take)
                break
            except ObservationError as exc:  # it has ended meanwhile, or another watchdog has taken it back
                with services.configuration_manager() as manager:
                    found = manager.find_observation(run_id=str(record["run_id"]))
                if found is not None and found.get("status"):
                    closed = found
                    break
                if attempt == ATTEMPTS - 1:
                    raise
                LOGGER.warning("%s is not ended yet: %s", record["obsid"], exc)
        return f"observation {record['obsid']} was ended as {closed.get('status')}", handed

    def _running_one(self) -> Mapping[str, Any] | None:
        """Returns the observation that is to be ended, None when there is none; a watchdog that is at it gets a moment."""
        deadline = time.monotonic() + OTHERS
        pause = threading.Event()
        while True:
            with services.configuration_manager() as manager:
                record = manager.watch_observation(by=self.watchdog.name)
            if record is None:
                return None
            others = record["desk"]["holder"] not in ("", self.watchdog.name)
            if not (others or record["state"] != "open") or time.monotonic() > deadline:
                return record
            pause.wait(PAUSE)

    def finish_lost(self, run_id: str, reason: str) -> None:
        """Ends the observation of a reaction whose process has ended without its server.

        Raises:
            ConnectionError: when the configuration manager does not answer.
            ObservationError: when it cannot be ended.
        """
        with services.configuration_manager() as manager:
            record = manager.watch_observation(by=self.watchdog.name)
        if record is not None and record["run_id"] == run_id and record["state"] == "open":
            self.watchdog.take_over(record, reason, status="interrupted")

    def _open(
        self, reaction: Reaction, alarms: list[str], reason: str, process: RecoveryProcess
    ) -> ObservationHandle:
        """Opens the observation of the reaction, as soon as the one before it is sealed."""
        deadline = time.monotonic() + SEALING
        pause = threading.Event()
        while True:
            try:
                return open_observation(
                    reaction.function,
                    reason,
                    supervised=True,
                    lease=supervised_lease(),
                    # The watchdog looks at the process that commands: it may outlive this one.
                    details={
                        "session": "reaction",
                        "reaction": reaction.name,
                        "alarms": alarms,
                        "pid": process.pid,
                    },
                )
            except ObservationError:
                if time.monotonic() > deadline:
                    raise
                pause.wait(PAUSE)


def _in_order(reaction: Reaction, handed: list[SafeCall]) -> list[SafeCall]:
    if reaction.safes == "never":
        return [reaction.call]
    return [*handed, reaction.call] if reaction.safes == "before" else [reaction.call, *handed]


@contextmanager
def _authority(reason: str) -> Iterator[None]:
    """Holds control of the site, taken from whoever has it; a reaction goes on also when that cannot be had.

    Where control is required, the servers refuse what comes without it, and that is told as the outcome.
    """
    try:
        take_control(reason, force=True)
    except (AuthorityError, OSError) as exc:
        LOGGER.error("control of the site could not be taken: %s", exc)
        yield
        return
    try:
        yield
    finally:
        release_control()


def _close(handle: ObservationHandle, status: str, reason: str, facts: dict[str, Any]) -> None:
    """Closes the observation of the reaction and puts its report beside it; what cannot be stored is logged."""
    try:
        handle.add_file(FACTS, msgspec.json.format(msgspec.json.encode(facts), indent=1))
    except (OSError, StorageError) as exc:
        LOGGER.error("%s of %s is not stored: %s", FACTS, handle.obsid, exc)
    try:
        handle.close(status, reason)
        handle.wait_until_sealed(SEALING)
        report = make_report(Observation(handle.obsid))
        with services.storage_manager(timeout=30.0) as storage:
            storage.add_supplement(obsid=handle.obsid, name=REPORT, data=report.encode())
    except (OSError, LookupError, ValueError, StorageError, ObservationError) as exc:
        LOGGER.error("the observation %s of the reaction is not complete: %s", handle.obsid, exc)
