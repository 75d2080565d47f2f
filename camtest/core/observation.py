"""The observation of this process: start, end, and joining the one that a runner holds.

Without an observation no building block runs. In a kernel started by a runner (`camtest run`, papermill) the runner
holds the observation; `start_observation` then joins it and `end_observation` leaves it open for the runner to close.
"""

from __future__ import annotations

import atexit
import itertools
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from camtest.core.blocks import BlockDefinition
from camtest.core.context import RED_LINE, Abort, Call, ExecutionContext
from camtest.core.forwarding import forward_abandoned
from camtest.core.handle import Observation, ObservationHandle, open_observation
from camtest.core.lease import INTERACTIVE_LEASE
from camtest.core.sequence import CommandSequence, SequenceEntry
from camtest.core.services import PATIENCE
from camtest.core.spool import EventSpool
from camtest.core.values import to_json_bytes
from camtest.core.variables import OBSERVATION_VARIABLE, RUN_ID_VARIABLE, SPOOL_VARIABLE
from camtest.state import active_dry_run, set_command_sequence
from egse.confman import ObservationError
from egse.mode import current_mode
from egse.proxy import set_command_context

LOGGER = logging.getLogger(__name__)

UNKNOWN_FUNCTION = "unknown_function()"
LONGEST_SEQUENCE = 10_000
"""How many building blocks the command sequence of a session shows; all of them are in the events."""
EXIT_PATIENCE = 3.0
"""How long a session that ends waits for core services that are away [s]."""


class _StartEvent(msgspec.Struct, tag_field="event", tag="start"):
    t: float
    pid: int
    call: int
    parent: int
    block: str
    bbid: str
    bbcount: int
    args: dict[str, Any]


class _EndEvent(msgspec.Struct, tag_field="event", tag="end"):
    t: float
    pid: int
    call: int
    block: str
    bbcount: int


class _FailedEvent(msgspec.Struct, tag_field="event", tag="failed"):
    t: float
    pid: int
    call: int
    block: str
    bbcount: int
    error: str
    aborted: bool


class ObservationContext(ExecutionContext):
    """Registers building blocks in the events of the running observation.

    Args:
        record: the configuration manager's record of the observation.
        spool: where the events are written.
        handle: the observation, when this process holds it; None when a runner does.
    """

    def __init__(self, record: Observation, spool: EventSpool, handle: ObservationHandle | None) -> None:
        self.record = record
        self.handle = handle
        self.nested: str | None = None
        self._spool = spool
        self._obsid = str(record["obsid"])
        self.pid = os.getpid()
        self._numbers = itertools.count(1)
        self._bbcount = itertools.count(1)
        self._entries = 0
        self._began = time.monotonic()
        details = {"obsid": self._obsid, "setup_id": str(record.get("setup_id", ""))}
        self.sequence = CommandSequence(str(record.get("function", "")), mode=current_mode(), details=details)
        set_command_sequence(self.sequence)

    @property
    def obsid(self) -> str:
        return self._obsid

    @property
    def joined(self) -> bool:
        """True when a runner holds the observation."""
        return self.handle is None

    @property
    def lost(self) -> str | None:
        """Why the observation is over, None while it runs."""
        return None if self.handle is None else self.handle.lost

    def begin(self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None) -> Call:
        number = next(self._numbers)
        event = _StartEvent(
            time.time(),
            self.pid,
            number,
            0 if parent is None else parent.number,
            block.qualified_name,
            block.bbid,
            next(self._bbcount),
            arguments,
        )
        self._spool.write(to_json_bytes(event) + b"\n")
        return Call(block, number, self._noted(block, arguments, parent))

    def _noted(
        self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None
    ) -> SequenceEntry | None:
        """Adds the building block to the command sequence of this session, as long as that is of a readable length."""
        if self._entries >= LONGEST_SEQUENCE:
            self.sequence.details["incomplete"] = (
                f"only the first {LONGEST_SEQUENCE} building blocks are here"
            )
            return None
        self._entries += 1
        above = None if parent is None else parent.token
        entry = above if isinstance(above, SequenceEntry) else None
        start = time.monotonic() - self._began
        return self.sequence.add(
            entry, "block", block.name, start=start, arguments=arguments, red_line=RED_LINE.get()
        )

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def _done(self, call: Call, error: str = "") -> None:
        if isinstance(call.token, SequenceEntry):
            call.token.end = time.monotonic() - self._began
            call.token.error = error

    def end(self, call: Call, result: Any) -> None:
        self._done(call)
        event = _EndEvent(time.time(), self.pid, call.number, call.block.qualified_name, next(self._bbcount))
        self._spool.write(to_json_bytes(event) + b"\n")

    def fail(self, call: Call, error: BaseException) -> None:
        self._done(call, f"{type(error).__name__}: {error}")
        event = _FailedEvent(
            time.time(),
            self.pid,
            call.number,
            call.block.qualified_name,
            next(self._bbcount),
            f"{type(error).__name__}: {error}",
            isinstance(error, Abort),
        )
        self._spool.write(to_json_bytes(event) + b"\n")

    def mark(self, event: str, **fields: Any) -> None:
        """Writes a marker into the events."""
        self._spool.write_event({"t": time.time(), "event": event, "pid": self.pid, **fields})


_lock = threading.RLock()
_current: ObservationContext | None = None


def current_context() -> ExecutionContext:
    """Returns where building blocks register now: the dry run, or the observation (joined when a runner holds one).

    Raises:
        ObservationError: when there is none.
    """
    dry_run = active_dry_run()
    if dry_run is None:
        current = _current
        if current is not None and current.lost is None:
            return current
        with _lock:
            current = _running() or _join()
        if current is not None:
            return current
    elif dry_run.observing:
        return dry_run
    raise ObservationError(
        "building blocks run inside an observation only: call start_observation(description) first, or use "
        "execute(building_block, name=value, ...)"
    )


def current_obsid() -> str | None:
    """Returns the obsid of the observation that this process takes part in, None when there is none."""
    dry_run = active_dry_run()
    if dry_run is not None:
        return dry_run.obsid if dry_run.observing else None
    with _lock:
        context = _running() or _join()
    return None if context is None else context.obsid


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
    return _current


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
    global _current
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
            details={"session": "interactive", "mode": "operations"},
        )
        _current = ObservationContext(handle.record, handle.spool, handle)
        set_command_context(obsid=handle.obsid, setup=f"{int(handle.record.get('setup_id') or 0):05d}")
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
    global _current
    dry_run = active_dry_run()
    if dry_run is not None:
        dry_run.end_observation()
        return
    with _lock:
        context = _current
        if context is None:
            return
        if context.handle is None:
            if context.nested is not None:
                context.mark("nested-end", function=context.nested, status=status, reason=reason)
                context.nested = None
            return
        context.handle.close(status, reason, patience)
        _current = None
        set_command_context(obsid="")


def status_of(error: BaseException) -> str:
    """Returns the status with which an observation ends that `error` ended."""
    if isinstance(error, Abort):
        return "aborted"
    return "failed" if isinstance(error, Exception) else "interrupted"


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
    try:
        yield obsid
    except BaseException as exc:
        finish_observation(status_of(exc), f"{type(exc).__name__}: {exc}")
        raise
    finish_observation("done")


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
