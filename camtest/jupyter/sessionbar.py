"""Tells the bar at the top of JupyterLab how this session is: when it asks, and whenever that changes.

The bar (`labextension/static/bar.js`) opens a comm to the kernel. What goes through it stands in `SessionStatus.as_dict()`.
A cell that runs delays nothing that is told: it is looked by a thread.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from camtest.jupyter.status import SessionStatus, session_status

LOGGER = logging.getLogger(__name__)

TARGET = "camtest.session"
"""Name under which the bar finds this end."""
LOOK = 1.0
"""How often it is looked whether something has changed [s], while a page shows the bar."""


class SessionTeller:
    """The kernel's end.

    Args:
        manager: the comm manager of the kernel.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._comms: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._told: SessionStatus | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        manager.register_target(TARGET, self._opened)

    def _opened(self, comm: Any, _message: Any) -> None:
        comm.on_close(lambda _: self._closed(comm))
        with self._lock:
            self._comms[comm.comm_id] = comm
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="session-bar", daemon=True)
                self._thread.start()
        comm.send(session_status(ask=False).as_dict())

    def _closed(self, comm: Any) -> None:
        with self._lock:
            self._comms.pop(comm.comm_id, None)

    def _watch(self) -> None:
        while not self._ending.wait(LOOK):
            try:
                self.tell()
            except Exception:  # a loop that runs as long as the kernel: the next look may do better
                LOGGER.exception("the bar of JupyterLab is not told how the session is")

    def tell(self) -> None:
        """Tells all pages how the session is, if that has changed."""
        with self._lock:
            comms = list(self._comms.values())
        if not comms:
            return
        status = session_status(ask=False)
        if status != self._told:
            self._told = status
            for comm in comms:
                comm.send(status.as_dict())

    def stop(self) -> None:
        """Ends it."""
        self._ending.set()
        self._manager.unregister_target(TARGET, self._opened)
        with self._lock:
            comms, self._comms = list(self._comms.values()), {}
        for comm in comms:
            comm.close()
        if self._thread is not None:
            self._thread.join(LOOK)
