"""Processes: run a command, start and stop programs, keep them running, tell what they cost.

- `SubProcess`: a command as a child of this process.
- `egse.process.launcher`: programs that outlive who started them, with a registry, one copy of each.
- `egse.process.supervision`: programs kept running by a supervisor.
- `ProcessStatus`: memory and processor use.
"""

from egse.process.child import SubProcess
from egse.process.launcher import AlreadyRunningError, Launcher, LaunchError
from egse.process.program import Program
from egse.process.registry import ProcessRecord
from egse.process.status import ProcessStatus
from egse.process.supervised import ProgramStatus, State
from egse.process.supervision import Supervision

__all__ = [
    "AlreadyRunningError",
    "LaunchError",
    "Launcher",
    "ProcessRecord",
    "ProcessStatus",
    "Program",
    "ProgramStatus",
    "State",
    "SubProcess",
    "Supervision",
]
