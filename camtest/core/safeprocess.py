"""A fresh process that runs the safes of an observation whose own process cannot: `python -m camtest.core.safeprocess`.

It joins the observation by the variables of a runner, reads from its events which safes are due, and writes what went wrong
to its standard output, one line each.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from camtest.core.logs import log_as
from camtest.core.observation import joined_context
from camtest.core.safes import SafeError, pending_safes, safe_state
from camtest.core.spool import read_events
from camtest.core.variables import SPOOL_VARIABLE
from camtest.state import GlobalState
from egse.authority import ControlError, control
from egse.security.keys import is_required


def main() -> int:
    """Runs what is due; returns 1 when something went wrong."""
    log_as("safes")
    context = joined_context()
    due = pending_safes(read_events(Path(os.environ[SPOOL_VARIABLE])))
    problems = []
    if "--state" in sys.argv[1:]:
        try:
            state = safe_state(GlobalState.setup)
        except SafeError as exc:
            problems.append(str(exc))
        else:
            due += [state] if state else []
    if is_required("CONTROL"):
        try:
            # Under a new epoch: whatever still commands from the lost process is refused by the servers.
            with control(reason=f"making safe after {context.obsid}", force=True):
                problems += context.make_safe(due)
        except (ControlError, OSError) as exc:
            problems.append(f"control of the site could not be taken: {exc}")
    else:
        problems += context.make_safe(due)
    sys.stdout.writelines(f"{' '.join(problem.split())}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
