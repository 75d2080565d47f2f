"""The process manager: which servers there are, how they are, and starting and stopping them.

| module | holds |
| --- | --- |
| `interface` | the commands, `ProcessManagerProxy`, what is told about a server |
| `inventory` | what there is: core services, programs, device servers of the active Setup |
| `watch` | asks the servers how they are |
| `manager` | `ProcessManagerController` |
| `protocol` | housekeeping, status, events |
| `pm_cs` | the control server, `pm_cs start | stop | status` |

What it starts belongs to a keeper, the supervisor of the site or systemd (`egse.site.keepers`): a process manager that
is stopped, killed or started anew changes nothing for them.
"""

from egse.procman.interface import (
    CORE,
    DEVICE,
    PROGRAM,
    DeviceEntry,
    ProcessManagerError,
    ProcessManagerInterface,
    ProcessManagerProxy,
    ServerState,
    ServerStatus,
)

__all__ = [
    "CORE",
    "DEVICE",
    "PROGRAM",
    "DeviceEntry",
    "ProcessManagerError",
    "ProcessManagerInterface",
    "ProcessManagerProxy",
    "ServerState",
    "ServerStatus",
]
