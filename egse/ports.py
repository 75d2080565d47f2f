"""Who holds a TCP port."""

from __future__ import annotations

import psutil


class PortInUseError(OSError):
    """A port of a control server is taken; the message names the process that holds it."""

    def __init__(self, name: str, role: str, endpoint: str) -> None:
        holder = port_holder(int(endpoint.rpartition(":")[2]))
        super().__init__(
            f"{name} cannot start: its {role} port {endpoint} is in use by {holder}. "
            f"Is a second {name} running? Stop it (`{name} stop`) or give this one other ports in the local settings."
        )


def port_holder(port: int) -> str:
    """Returns which process listens on a port, as text for a message: `process 123 (ogse_cs start)`."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                process = psutil.Process(connection.pid)
                return f"process {connection.pid} ({' '.join(process.cmdline())[:120]})"
    except (psutil.Error, TypeError):
        pass
    return "another process"
