"""How a run really ended whose batch, or queue, was killed before it had written that down.

A runner may be killed between the end of an observation and the line that says so. The record of the run and that of the
site know; whoever goes on asks them first, so that nothing that is done is executed a second time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from camtest.core import services
from camtest.run.attempts import Attempt
from camtest.run.journal import RunRecord, list_runs
from egse.system import unix_time

SETTLING = 90.0
"""How long the end of a dead runner's observation is waited for [s]: the watchdog ends it, or its lease lapses."""
LOOK_INTERVAL = 0.5
CLOCKS = 1.0
"""An observation may seem to have begun so much before its run, by another clock [s]."""
RECENT = 50
"""It is among so many of the last observations of the site."""


class UnknownEndError(RuntimeError):
    """It cannot be found out now how a run ended."""


def how_it_ended(
    lost: Attempt, about: Mapping[str, Any], earlier: Collection[str] = (), patience: float = SETTLING
) -> Attempt:
    """Returns how a run ended whose runner was killed.

    Args:
        lost: what is known: when it began, and its obsid when that was written down.
        about: what the details of its observation say: `source`, `item`, and `batch` for one of a batch.
        earlier: obsids of earlier runs of the same item.
        patience: how long its observation may take to be ended [s].

    Raises:
        UnknownEndError: when nobody can say, or the observation is not ended in time.
    """

    def is_it(details: Mapping[str, Any], obsid: str, start: float) -> bool:
        if lost.obsid:
            return obsid == lost.obsid
        same = all(details.get(name) == value for name, value in about.items())
        return same and obsid not in earlier and start >= lost.start - CLOCKS

    run = next(
        (r for r in list_runs() if is_it(r.header, str(r.header.get("obsid")), float(r.header["t"]))), None
    )
    if run is not None and run.ended:
        return _as_recorded(lost, run, run.last | {"obsid": run.header["obsid"], "run_id": run.run_id})
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while True:
        problem = "its observation is not ended"
        try:
            with services.configuration_manager() as manager:
                records = manager.list_observations(last=RECENT)
        except (ConnectionError, TimeoutError) as exc:
            problem = str(exc)
        else:
            found = [r for r in records if is_it(r["details"], str(r["obsid"]), unix_time(r["start"]))]
            if not found:
                return lost  # it had not begun
            if found[-1]["state"] == "closed":
                return _as_recorded(lost, run, found[-1])
        if time.monotonic() > deadline:
            raise UnknownEndError(f"how it ended cannot be found out: {problem}")
        pause.wait(LOOK_INTERVAL)


def _as_recorded(lost: Attempt, run: RunRecord | None, record: Mapping[str, Any]) -> Attempt:
    """Returns the attempt with what a record says; it ended when its record was written last."""
    status = str(record["status"])
    if record.get("problems") and status == "done":
        status = "failed"
    end = record.get("t") or (unix_time(record["end"]) if record.get("end") else lost.start)
    return msgspec.structs.replace(
        lost,
        status=status,
        reason="; ".join(filter(None, [str(record.get("reason") or ""), *record.get("problems", ())])),
        obsid=str(record["obsid"]),
        run_id=str(record["run_id"]),
        end=float(end),
        notebook="" if run is None else str(run.header.get("output") or ""),
    )
