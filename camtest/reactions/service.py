"""The work of `fdir_cs`: looks at the alarms twice a second, announces reactions and carries them out.

Everything that happens is in the journal before anything follows from it. What was running when the process died is watched
to its end and not run again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camtest.core import services
from camtest.reactions.book import (
    ANNOUNCED,
    ENDED,
    FAILED,
    INTERRUPTED,
    RUNNING,
    Case,
    ReactionBook,
    ReactionEvent,
)
from camtest.reactions.journal import ReactionJournal, read_reactions
from camtest.reactions.perform import Outcome, Performer
from camtest.reactions.process import RecoveryProcess
from camtest.reactions.table import TIMEOUT, Reaction, ReactionTable, read_table
from camtest.reactions.teller import Teller
from egse.clock import Clock, system_clock
from egse.confman import ObservationError
from egse.monitor.interface import LimitMonitorProxy
from egse.process.identity import is_same_process
from egse.setup import Setup

LOGGER = logging.getLogger(__name__)

PERIOD = 0.5
"""Time between two looks at the alarms [s]."""
ANSWER = 3.0
"""How long the limit monitor may take to answer [s]."""
PATIENCE = 120.0
"""How long a reaction is begun anew while the configuration manager is away [s]; nothing has been commanded then."""

Look = Callable[[], list[dict[str, Any]]]


def alarms_of_monitor() -> list[dict[str, Any]]:
    """Returns the alarms that there are, as the limit monitor tells.

    Raises:
        OSError: when it does not answer.
    """
    with LimitMonitorProxy(timeout=ANSWER) as monitor:
        return list(monitor.get_alarms())


class ReactionService:
    """Watches over the alarms of a site.

    Args:
        site: data folder of the site.
        name: who it is, for the records.
        look: returns the alarms that there are.
        clock: true time.
    """

    def __init__(
        self, site: Path, name: str = "fdir_cs", look: Look = alarms_of_monitor, clock: Clock | None = None
    ) -> None:
        self.table = ReactionTable()
        self.book = ReactionBook(read_reactions(site))
        self.performer = Performer(name)
        self._journal = ReactionJournal(site)
        self._teller = Teller(name)
        self._look = look
        self._clock = clock or system_clock()
        self._lock = threading.RLock()
        self._ready: dict[str, RecoveryProcess] = {}
        self._running: RecoveryProcess | None = None
        self._stopping = threading.Event()
        self._blind = False
        self._thread = threading.Thread(target=self._run, name="reactions", daemon=True)

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to watch; takes care of what was running when the life before this one ended."""
        self._teller.start()
        left = self.book.running
        if left is not None:
            threading.Thread(
                target=self._see_to_its_end, args=(left,), name="reaction-left", daemon=True
            ).start()
        self._thread.start()

    def stop(self) -> None:
        """Ends watching; a building block that is running is ended, and that is recorded."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(0.5)
        with self._lock:
            processes = [*self._ready.values(), *([self._running] if self._running else [])]
            self._ready = {}
            case = self.book.running
            if case is not None and self._running is not None:
                self._note(
                    self._event(case, INTERRUPTED, "its server was stopped in the middle of it"), tell=False
                )
        for process in processes:
            process.end()
        self._teller.stop()

    def use_setup(self, setup: Setup) -> None:
        """Takes over the table of a Setup; mistakes in it are logged as errors."""
        table = read_table(setup)
        for problem in table.problems:
            LOGGER.error("a reaction of Setup %s is left out: %s", setup.get_id(), problem)
        LOGGER.info("%d reactions of Setup %s are watched for", len(table), setup.get_id())
        with self._lock:
            self.table = table

    def _run(self) -> None:
        while not self._stopping.wait(PERIOD):
            try:
                self.step()
                self._blind = False
            except (OSError, LookupError) as exc:
                if not self._blind:
                    LOGGER.warning("the limit monitor cannot be asked, nothing is reacted to: %s", exc)
                self._blind = True
            except (
                Exception
            ):  # the one that reacts to everything else must not end, whatever it stumbles over
                LOGGER.exception("The reactions have stumbled")

    # -- what is done ------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Looks once at the alarms, and does what is to be done.

        Raises:
            OSError: when the limit monitor does not answer.
        """
        if not self.table and not self.book.cases:
            return
        alarms = self._look()
        for name, reason, by in self._teller.answers():
            self._cancel_for(name, reason, by)
        with self._lock:
            orders = self.book.look(self.table, alarms, self._clock.now())
            for event in orders.events:
                self._note(event, applied=True)
                self._prepare(event)
            if orders.run is not None:
                self._begin(orders.run)

    def _prepare(self, event: ReactionEvent) -> None:
        """Has the process of an announced reaction ready; ends that of one that is not needed any more."""
        if event.stage == ANNOUNCED:
            self._ready[event.reaction] = RecoveryProcess([self.table.find(event.reaction).call])
        elif (process := self._ready.pop(event.reaction, None)) is not None:
            process.end()

    def _begin(self, reaction: Reaction) -> None:
        process = self._ready.pop(reaction.name, None)
        if process is None or not process.is_alive:
            process = RecoveryProcess([reaction.call])
        self._running = process
        case = self.book.cases[reaction.name]
        event = self._event(case, RUNNING, reaction.function, pid=process.pid, identity=process.identity)
        self._note(event)
        threading.Thread(
            target=self._carry_out,
            args=(reaction, list(case.alarms), process),
            name=f"reaction-{reaction.name}",
            daemon=True,
        ).start()

    def _carry_out(self, reaction: Reaction, alarms: list[str], process: RecoveryProcess) -> None:
        try:
            outcome = self._patiently(reaction, alarms, process)
        except Exception as exc:  # however it fails, that is told, and the next reaction can begin
            LOGGER.exception("The reaction %s has failed", reaction.name)
            outcome = Outcome(FAILED, f"{reaction.function} was not run: {type(exc).__name__}: {exc}")
        process.end()
        with self._lock:
            self._running = None
            case = self.book.running
            if case is not None and not self._stopping.is_set():
                self._note(self._event(case, outcome.stage, outcome.text, obsid=outcome.obsid))

    def _patiently(self, reaction: Reaction, alarms: list[str], process: RecoveryProcess) -> Outcome:
        """Carries it out, again and again while the configuration manager is away and nothing was commanded."""
        opened: list[str] = []

        def on_open(record: dict[str, Any]) -> None:
            opened.append(str(record["obsid"]))
            with self._lock:
                case = self.book.cases[reaction.name]
                found = {"run_id": str(record["run_id"]), "obsid": opened[-1]}
                event = self._event(
                    case,
                    RUNNING,
                    f"in observation {opened[-1]}",
                    pid=process.pid,
                    identity=process.identity,
                    **found,
                )
                self._note(event)

        deadline = self._clock.monotonic() + PATIENCE
        while True:
            try:
                return self.performer.perform(reaction, alarms, process, on_open)
            except (ConnectionError, TimeoutError) as exc:
                if opened or self._stopping.wait(1.0) or self._clock.monotonic() > deadline:
                    raise
                LOGGER.error("the reaction %s cannot begin yet: %s", reaction.name, exc)

    def _see_to_its_end(self, case: Case) -> None:
        """Waits for the process of a reaction that the life before this one began, and ends its observation."""
        last, began = case.last, self._clock.monotonic()
        while is_same_process(last.pid, last.identity):
            self._renew(last.run_id)
            if self._clock.monotonic() - began > self._timeout_of(case.name):
                LOGGER.error("%s takes too long and is ended", case.last.function or case.name)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(last.pid, signal.SIGKILL)
            if self._stopping.wait(1.0):
                return
        text = f"{case.last.function or case.name} was begun by a life of this server that has died; it is not repeated"
        reason = f"automatic reaction {case.name}: its server has died in the middle of it"
        try:
            if last.run_id:
                self.performer.finish_lost(last.run_id, reason)
        except (OSError, ObservationError) as exc:
            LOGGER.error("the observation %s of a reaction is not ended yet: %s", last.obsid, exc)
        with self._lock:
            self._note(
                self._event(case, INTERRUPTED, f"{text}; look at observation {last.obsid or '(none)'}")
            )

    def _timeout_of(self, name: str) -> float:
        return next((one.timeout for one in self.table if one.name == name), TIMEOUT)

    def _renew(self, run_id: str) -> None:
        try:
            if run_id:
                with services.configuration_manager(timeout=2.0) as manager:
                    manager.renew_lease(run_id=run_id)
        except (OSError, ObservationError) as exc:
            LOGGER.debug("the lease of %s was not renewed: %s", run_id, exc)

    # -- what operators do -------------------------------------------------------------------------------------------

    def cancel(self, name: str, reason: str, by: str) -> ReactionEvent:
        """Cancels an announced reaction.

        Raises:
            ValueError: when it is not announced, or no reason is given.
        """
        with self._lock:
            event = self.book.cancel(name, reason, by, self._clock.now())
            self._note(event, applied=True)
            self._prepare(event)
        return event

    def _cancel_for(self, name: str, reason: str, by: str) -> None:
        try:
            self.cancel(name, reason, by)
        except ValueError as exc:
            LOGGER.warning("the answer of %s came too late: %s", by, exc)

    def describe(self) -> list[dict[str, Any]]:
        """Returns the table with how each reaction stands, see `ReactionInterface.get_reactions`."""
        with self._lock:
            return [_described(reaction, self.book.cases.get(reaction.name)) for reaction in self.table]

    # -- events ------------------------------------------------------------------------------------------------------

    def _event(self, case: Case, stage: str, text: str, **fields: Any) -> ReactionEvent:
        return ReactionEvent(
            time=self._clock.now(),
            reaction=case.name,
            stage=stage,
            alarms=list(case.alarms),
            text=text,
            **fields,
        )

    def _note(self, event: ReactionEvent, *, applied: bool = False, tell: bool = True) -> None:
        """Writes an event down, has it in the book, and tells of it."""
        try:
            self._journal.write(event)
        except OSError as exc:  # on a full disk, too, the equipment has to be made safe
            LOGGER.critical("the journal of reactions cannot be written: %s", exc)
        if not applied:
            self.book.apply(event)
        if tell:
            self._teller.tell(event)


def _described(reaction: Reaction, case: Case | None) -> dict[str, Any]:
    now: dict[str, Any] = {"stage": "", "due": 0.0, "because": [], "text": "", "obsid": ""}
    if case is not None:
        now = {
            "stage": case.stage,
            "due": case.due if case.stage not in ENDED else 0.0,
            "because": list(case.alarms),
            "text": case.last.text,
            "obsid": case.last.obsid,
        }
    return {
        "name": reaction.name,
        "alarms": list(reaction.alarms),
        "at": reaction.at,
        "function": reaction.function,
        "priority": reaction.priority,
        "warning": reaction.warning,
        "timeout": reaction.timeout,
        "safes": reaction.safes,
        "description": reaction.description,
        **now,
    }
