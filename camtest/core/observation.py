"""The observation of this process: start, end, and joining the one that a runner holds.

Without an observation no building block runs. In a kernel started by a runner (`camtest run`, papermill) the runner
holds the observation; `start_observation` then joins it and `end_observation` leaves it open for the runner to close.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from camtest.core.context import ACTIVE, ExecutionContext
from camtest.core.control import Place
from camtest.core.forwarding import forward_abandoned
from camtest.core.handle import open_observation
from camtest.core.lease import INTERACTIVE_LEASE
from camtest.core.recording import ObservationContext, status_of
from camtest.core.services import PATIENCE
from camtest.core.spool import EventSpool
from camtest.core.variables import OBSERVATION_VARIABLE, RUN_ID_VARIABLE, SPOOL_VARIABLE
from camtest.core.waiting import Waiting, watch_waits
from camtest.state import active_dry_run
from egse.clock import system_clock
from egse.confman import ObservationError
from egse.confman.desk import VerbRequest
from egse.context import guard_commands
from egse.proxy import command_origin, set_command_context
from egse.system import format_datetime

LOGGER = logging.getLogger(__name__)

UNKNOWN_FUNCTION = "unknown_function()"
EXIT_PATIENCE = 3.0
"""How long a session that ends waits for core services that are away [s]."""

_lock = threading.RLock()
_current: ObservationContext | None = None
_ended = ""


def current_context() -> ExecutionContext:
    """Returns where building blocks register now: the dry run, or the observation (joined when a runner holds one).

    Raises:
        ObservationError: when there is none.
    """
    dry_run = active_dry_run()
    if dry_run is None:
        current = _current
        if current is not None and (not current.attention or current.lost is None):
            return current
        with _lock:
            current = _running() or _join()
        if current is not None:
            return current
    elif dry_run.observing:
        return dry_run
    raise ObservationError(
        "building blocks run inside an observation only: call start_observation(description) first, or use "
        f"execute(building_block, name=value, ...){_ended}"
    )


def current_obsid() -> str | None:
    """Returns the obsid of the observation that this process takes part in, None when there is none."""
    dry_run = active_dry_run()
    if dry_run is not None:
        return dry_run.obsid if dry_run.observing else None
    context = running_context()
    return None if context is None else context.obsid


def running_context() -> ObservationContext | None:
    """Returns the observation that this process takes part in, None when there is none."""
    with _lock:
        return _running() or _join()


def _running() -> ObservationContext | None:
    if _current is not None and _current.lost is not None:
        raise ObservationError(
            f"observation {_current.obsid} is over: {_current.lost}. Call end_observation() and start a new one"
        )
    return _current


def _join() -> ObservationContext | None:
    """Joins the observation of the runner that started this process, if there is one."""
    global _current
    run_id = os.environ.get(RUN_ID_VARIABLE)
    if not run_id:
        return None
    record = json.loads(os.environ[OBSERVATION_VARIABLE])
    spool = EventSpool(Path(os.environ[SPOOL_VARIABLE]), owner=False)
    _current = ObservationContext(record, spool, None)
    set_command_context(obsid=_current.obsid)
    _current.start()
    return _current


def joined_context() -> ObservationContext:
    """Returns the observation that this process joins by its variables.

    Raises:
        ObservationError: when it joins none.
    """
    with _lock:
        context = _running() or _join()
    if context is None:
        raise ObservationError(f"{RUN_ID_VARIABLE} is not set: this process takes part in no observation")
    return context


def start_observation(description: str = "") -> str:
    """Starts an observation; building blocks can run until `end_observation()`.

    In a kernel that a runner started, this joins the runner's observation. In a dry run no observation is opened.

    Args:
        description: free text for the obsid table.

    Returns:
        The obsid, SITE_SETUP_TEST.

    Raises:
        ObservationError: when an observation is running.
        ConnectionError: when the configuration manager is not there.
    """
    return begin_observation(UNKNOWN_FUNCTION, description)


def begin_observation(function: str, description: str = "") -> str:
    """Starts or joins an observation on behalf of `function`; see `start_observation`.

    Args:
        function: what is executed: `name(arg="value", ...)`.
        description: free text for the obsid table.
    """
    global _current, _ended
    dry_run = active_dry_run()
    if dry_run is not None:
        return dry_run.begin_observation(function)
    with _lock:
        context = _running() or _join()
        if context is not None:
            return _nest(context, function, description)
        handle = open_observation(
            function,
            description,
            supervised=False,
            lease=INTERACTIVE_LEASE,
            details={"session": "interactive"},
        )
        _current = ObservationContext(handle.record, handle.spool, handle, finish_observation)
        _ended = ""
        set_command_context(obsid=handle.obsid, setup=f"{int(handle.record.get('setup_id') or 0):05d}")
    try:
        _current.start()
    except BaseException as exc:
        finish_observation(status_of(exc), f"{type(exc).__name__}: {exc}")
        raise
    threading.Thread(target=forward_abandoned, name="event-leftovers", daemon=True).start()
    return handle.obsid


def _nest(context: ObservationContext, function: str, description: str) -> str:
    if not context.joined or context.nested is not None:
        running = "" if context.nested is None else f" ({context.nested})"
        raise ObservationError(
            f"an observation is running: obsid {context.obsid}{running}; call end_observation() first, or call the "
            "building block directly"
        )
    context.nested = function
    context.mark("nested-start", function=function, description=description)
    return context.obsid


def end_observation() -> None:
    """Ends the running observation with status `done`; does nothing when none is running.

    In a kernel that a runner started, the runner's observation stays open until the notebook has ended.

    Raises:
        ConnectionError: when the configuration manager stays away; the observation is still open then.
    """
    finish_observation("done")


def finish_observation(status: str, reason: str = "", patience: float = PATIENCE) -> None:
    """Ends the running observation, if there is one, with the given status.

    Args:
        status: done, failed, aborted or interrupted.
        reason: why, in a few words.
        patience: how long it is tried while a core service is away [s].
    """
    global _current, _ended
    dry_run = active_dry_run()
    if dry_run is not None:
        dry_run.failure = None
        dry_run.end_observation()
        return
    context = _current
    if context is None:
        return
    context.await_operators_end()
    status, reason = context.true_end(status, reason)
    if context.handle is not None and status != "done":
        context.make_safe(context.pending())
    with _lock:
        if _current is not context:
            return
        if context.handle is None:
            if context.nested is not None:
                context.mark("nested-end", function=context.nested, status=status, reason=reason)
                context.nested = None
            return
        context.handle.close(status, reason, patience)
        context.close()
        _ended = f" (the last one, {context.obsid}, has ended: {reason})" if reason else ""
        _current = None
        set_command_context(obsid="")


@contextmanager
def observation(description: str = "") -> Iterator[str]:
    """Runs the `with` block as an observation and closes it with the true status.

    Args:
        description: free text for the obsid table.

    Yields:
        The obsid.
    """
    with observing(UNKNOWN_FUNCTION, description) as obsid:
        yield obsid


@contextmanager
def observing(function: str, description: str = "") -> Iterator[str]:
    """Runs the `with` block as an observation on behalf of `function`; see `observation`."""
    obsid = begin_observation(function, description)
    context = _current
    if context is not None:
        context.managed = True
    try:
        yield obsid
    except BaseException as exc:
        finish_observation(status_of(exc), f"{type(exc).__name__}: {exc}")
        raise
    finish_observation("done")


def decide(decision: str, reason: str = "") -> Any:
    """Says what becomes of the observation after a building block has failed.

    Args:
        decision: "continue" (go on as if it had not), "retry" (call it again with the same arguments), or "abort" (make
            safe and end the observation).
        reason: why, for the record.

    Returns:
        What the building block returns when it is repeated, None otherwise.

    Raises:
        ObservationError: when no building block has failed.
        ValueError: when it is no decision.
    """
    if decision not in ("continue", "retry", "abort"):
        raise ValueError(f'{decision!r} is no decision; use "continue", "retry" or "abort"')
    context = current_context()
    failure = context.failure
    if failure is None:
        raise ObservationError("nothing is to be decided: no building block has failed")
    if not isinstance(context, ObservationContext):
        context.failure = None
    elif decision == "abort":
        context.mark("verb", number=0, verb="abort", by=command_origin(), reason=reason)
        request = VerbRequest(
            number=0, verb="abort", reason=reason, by=command_origin(), at=format_datetime(), reached=True
        )
        context.control.ending, context.control.obeyed = request, True
        context.end_by_operator(request)
        return None
    else:
        context.decide(decision, reason, command_origin())
    return failure.block.run(**failure.arguments) if decision == "retry" else None


def go_on_after_failure(number: int) -> None:
    """Takes what an operator has told the runner about a failed cell: the cell is executed again, or left behind.

    Args:
        number: of that verb on the operator's desk.
    """
    context = _current
    if context is not None:
        context.decided_up_to = max(context.decided_up_to, number)
        context.forget_failure()


def checkpoint() -> None:
    """A place where an operator's `pause` or `stop` may take effect, inside a long building block for instance.

    Raises:
        OperatorStop, OperatorAbort, HaltAbort: when an operator wants the observation to end.
    """
    context = _current
    if active_dry_run() is None and context is not None and context.attention:
        context.pass_by(Place.CHECKPOINT)


def _guard_command() -> None:
    """Asked before each command of this process: those of an active building block are where a verb reaches it."""
    context = _current
    if context is not None and context.attention and ACTIVE.get():
        context.pass_by(Place.COMMAND)


class _Watch:
    """Lets the waits of a building block of this observation be paused and ended, and records long ones."""

    def __init__(self, context: ObservationContext) -> None:
        self._context = context

    def pass_by(self) -> float:
        context = self._context
        if not context.attention:
            return 0.0
        started = system_clock().monotonic()
        context.pass_by(Place.WAIT)
        spent = system_clock().monotonic() - started
        context.watch_interlocks()
        return spent

    def sleep(self, seconds: float) -> bool:
        return self._context.control.sleep(seconds)

    def report(self, waiting: Waiting) -> None:
        self._context.mark(
            "waited" if waiting.over else "waiting",
            what=waiting.what,
            elapsed=round(waiting.elapsed, 1),
            timeout=waiting.timeout,
            figure=waiting.figure,
        )


def _find_watch() -> _Watch | None:
    context = _current
    return _Watch(context) if context is not None and ACTIVE.get() and active_dry_run() is None else None


guard_commands(_guard_command)
watch_waits(_find_watch)


def _close_at_exit() -> None:
    if _current is None or _current.pid != os.getpid():  # a fork of the session does not own it
        return
    try:
        finish_observation(
            "interrupted", "the session ended without end_observation()", patience=EXIT_PATIENCE
        )
    except (OSError, ObservationError) as exc:
        LOGGER.error("the observation could not be closed at exit: %s", exc)


atexit.register(_close_at_exit)
