"""A fresh process that runs safes in an observation whose own process cannot: `python -m camtest.core.safeprocess`.

It joins the observation by the variables of a runner, reads from its events which safes are due, and writes what went wrong
to its standard output, one line each.

    --state             then the safe state of the Setup
    --order MODULE ...  nothing is read from the events: imports the modules, waits for an `Order` on its standard input, and
                        runs what that says; ends when there comes none
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from camtest.core.conditions import SafeCall
from camtest.core.context import Abort
from camtest.core.logs import log_as
from camtest.core.observation import joined_context
from camtest.core.recording import ObservationContext
from camtest.core.safes import SafeError, pending_safes, safe_state
from camtest.core.spool import read_events
from camtest.core.variables import SPOOL_VARIABLE
from camtest.state import GlobalState
from egse.authority import ControlError, control
from egse.security.keys import is_required
from egse.security.token import set_token

LOGGER = logging.getLogger(__name__)


class Order(msgspec.Struct, frozen=True):
    """What a process that waits for it is to run.

    Attributes:
        environment: variables by which it joins the observation.
        safes: name and arguments of each building block, the first to run first.
        session, epoch: the control of the site that it commands under; an empty session for that of its environment.
    """

    environment: dict[str, str]
    safes: list[tuple[str, dict[str, Any]]]
    session: str = ""
    epoch: int = 0


def main() -> int:
    """Runs what is due; returns 1 when something went wrong."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--order"]:
        return _run_order(arguments[1:])
    log_as("safes")
    context = _joined()
    due = pending_safes(read_events(Path(os.environ[SPOOL_VARIABLE])))
    problems = []
    if "--state" in arguments:
        try:
            state = safe_state(GlobalState.setup)
        except SafeError as exc:
            problems.append(str(exc))
        else:
            due += [state] if state else []
    return _tell(problems + _in_control(context, due))


def _in_control(context: ObservationContext, due: list[SafeCall]) -> list[str]:
    if not is_required("CONTROL"):
        return context.make_safe(due)
    try:
        # Under a new epoch: whatever still commands from the lost process is refused by the servers.
        with control(reason=f"making safe after {context.obsid}", force=True):
            return context.make_safe(due)
    except (ControlError, OSError) as exc:
        return [f"control of the site could not be taken: {exc}"]


def _run_order(modules: list[str]) -> int:
    for module in modules:
        importlib.import_module(module)
    line = sys.stdin.buffer.readline()
    if not line:
        return 0  # it was not needed
    order = msgspec.json.decode(line, type=Order)
    os.environ.update(order.environment)
    if order.session:
        set_token(order.session, order.epoch)
    log_as("reaction")
    return _tell(_joined().make_safe(SafeCall(name, arguments) for name, arguments in order.safes))


def _joined() -> ObservationContext:
    """Joins the observation; interlocks or suspenders that the Setup describes badly keep nobody from making safe."""
    try:
        return joined_context()
    except Abort as exc:
        LOGGER.error("%s", exc)
        return joined_context()


def _tell(problems: list[str]) -> int:
    sys.stdout.writelines(f"{' '.join(problem.split())}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
