"""Asks servers how they are: all at once, so that one that hangs delays the answer by no more than its time limit."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from egse.proxy import ServiceProxy, endpoint_from_settings

logger = logging.getLogger(__name__)

TIMEOUT = 0.6
"""How long a server may take to say how it is [s]; its services answer also during a command."""
CONNECT = 0.2
"""How long to wait for a port on which perhaps nobody listens [s]."""
AT_ONCE = 16
"""How many servers are asked at the same time."""


class Look(msgspec.Struct, frozen=True):
    """What a server has told.

    Attributes:
        answers: it has answered at all.
        simulator: it talks to a model of its device.
        connected: it is connected to its device; None when it has none or does not say.
        pid, uptime, endpoint: of the server.
    """

    answers: bool = False
    simulator: bool | None = None
    connected: bool | None = None
    pid: int | None = None
    uptime: float | None = None
    endpoint: str = ""


class Watch:
    """Keeps a connection to the services of each server.

    Args:
        timeout: how long a server may take to answer [s].
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._services: dict[str, ServiceProxy] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="watch")

    def look(self, servers: Iterable[tuple[str, str, bool]]) -> dict[str, Look]:
        """Asks servers.

        Args:
            servers: name, block in the Settings, and whether its process is known to be there (otherwise it is only
                asked when somebody listens on its port).

        Returns:
            What they told, by name.
        """
        chosen = list(servers)
        looks = self._pool.map(lambda server: self._ask(*server), chosen)
        return {name: look for (name, _, _), look in zip(chosen, looks)}

    def quit(self, name: str, block: str) -> None:
        """Tells a server to end.

        Raises:
            ConnectionError, TimeoutError: when it does not answer.
        """
        self._proxy(name, block).quit_server()

    def _proxy(self, name: str, block: str) -> ServiceProxy:
        if name not in self._services:
            self._services[name] = ServiceProxy(block, name, timeout=self._timeout)
        return self._services[name]

    def _ask(self, name: str, block: str, expected: bool) -> Look:
        try:
            if not expected and not _is_listening(endpoint_from_settings(block, "SERVICE_PORT")):
                return Look()
            status = self._proxy(name, block).get_server_status()
        except (ConnectionError, TimeoutError, KeyError):
            return Look()
        except Exception:  # trouble of its own, which it has answered with
            logger.debug("%s cannot tell its state", name, exc_info=True)
            return Look(answers=True)
        return _read(status)

    def close(self) -> None:
        """Closes all connections."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for services in self._services.values():
            services.disconnect_cs()


def _read(status: dict[str, Any]) -> Look:
    simulator, connected = status.get("simulator"), status.get("device_connected")
    pid, uptime = status.get("pid"), status.get("uptime")
    return Look(
        answers=True,
        simulator=bool(simulator) if simulator is not None else None,
        connected=bool(connected) if connected is not None else None,
        pid=pid if isinstance(pid, int) else None,
        uptime=float(uptime) if isinstance(uptime, int | float) else None,
        endpoint=str((status.get("endpoints") or {}).get("commanding", "")),
    )


def _is_listening(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition("//")[2].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT):
            return True
    except OSError:
        return False
