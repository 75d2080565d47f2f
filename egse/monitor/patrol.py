"""Looks after processes and silent servers, in a thread of its own: what has to wait for an answer is done here."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from egse.env import get_log_file_location
from egse.monitor.monitor import LimitMonitor
from egse.process import Supervision
from egse.proxy import ServiceProxy, endpoint_from_settings
from egse.settings import SettingsError
from egse.site.layout import current_run_directory

LOGGER = logging.getLogger(__name__)

PERIOD = 1.0
"""How often it is looked around [s]."""
CONNECT, ANSWER = 1.0, 3.0
"""How long a silent server may take to accept a connection, and to answer [s]."""
AT_ONCE = 8
"""So many silent servers are asked at the same time."""


class Patrol(threading.Thread):
    """Tells the monitor how the processes are, and what is the matter with servers that are silent.

    Args:
        monitor: is told.
    """

    def __init__(self, monitor: LimitMonitor) -> None:
        super().__init__(name="monitor-patrol", daemon=True)
        self._monitor = monitor
        self._supervision = Supervision(current_run_directory(), get_log_file_location())
        self._ending = threading.Event()

    def end(self) -> None:
        """Ends the thread."""
        self._ending.set()

    def run(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="patrol") as pool:
            while not self._ending.wait(PERIOD):
                try:
                    self._look(pool)
                except Exception:  # it goes on: what is wrong now may be right in a second
                    LOGGER.exception("the processes cannot be looked at")

    def _look(self, pool: ThreadPoolExecutor) -> None:
        programs = self._supervision.status()
        self._monitor.take_programs(programs, self._supervision.supervisor_pid() is not None)
        suspects = self._monitor.suspects()
        for name, finding in zip(suspects, pool.map(find_out, suspects.values())):
            self._monitor.take_finding(name, finding)


def find_out(block: str) -> str:
    """Returns what is the matter with a server; empty when it answers.

    Args:
        block: name of its block in the Settings.
    """
    try:
        endpoint = endpoint_from_settings(block, "SERVICE_PORT")
    except (SettingsError, KeyError):
        return "it is not in the Settings any more"
    host, _, port = endpoint.rpartition("//")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT).close()
    except OSError as exc:
        return f"nobody listens at {endpoint}, its process has ended ({exc.strerror or exc})"
    services = ServiceProxy(block, timeout=ANSWER)
    try:
        services.get_server_status()
    except (ConnectionError, TimeoutError):
        return f"it does not answer at {endpoint} within {ANSWER:g} s: it hangs, or the machine is overloaded"
    except Exception as exc:  # trouble of its own, which it has answered with: it is alive
        LOGGER.warning("%s cannot tell its state: %s", block, exc)
    finally:
        services.disconnect_cs()
    return ""
