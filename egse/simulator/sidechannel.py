"""The side channel of a simulator: JSON lines on a loopback port of its own, one answer line per request line.

What a simulator can be asked is the business of its console (`egse.simulator.admin`, `egse.fee.admin`); the loop belongs
to the simulator, which waits for the sockets and calls `serve`.
"""

from __future__ import annotations

import json
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from egse.simulator.framing import LineFramer

LOGGER = logging.getLogger("egse.simulator")

MAX_LINE: Final = 65_536
"""Longest request [bytes]."""


class AdminConsole(ABC):
    """Executes the requests of a side channel."""

    def execute(self, line: bytes) -> bytes:
        """Executes one request; returns `{"ok": true, "result": ...}` or `{"ok": false, "error": ...}` and LF."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError('a request is a JSON object, {"do": ...}')
            answer = {"ok": True, "result": self.dispatch(request)}
        except (ValueError, TypeError, KeyError) as exc:
            answer = {"ok": False, "error": f"{type(exc).__name__}: {exc}"}
        return json.dumps(answer).encode() + b"\n"

    @abstractmethod
    def dispatch(self, request: dict[str, Any]) -> Any:
        """Executes one request and returns its result, JSON values only.

        Raises:
            ValueError, TypeError, KeyError: when the request makes no sense.
        """


class AdminServer:
    """The port of a side channel; never blocks.

    Args:
        console: executes the requests.
        port: port on the loopback interface; 0 lets the system choose.
        on_open: called with every new socket that is to be waited for, the listening one first.
        on_close: called with each of them before it is closed.

    Raises:
        OSError: when the port cannot be had.
    """

    def __init__(
        self,
        console: AdminConsole,
        port: int,
        on_open: Callable[[socket.socket], None] = lambda sock: None,
        on_close: Callable[[socket.socket], None] = lambda sock: None,
    ) -> None:
        self._console = console
        self._on_open = on_open
        self._on_close = on_close
        self._clients: dict[socket.socket, LineFramer] = {}
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4)
        self._listener.setblocking(False)
        on_open(self._listener)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    @property
    def sockets(self) -> list[socket.socket]:
        """The sockets to be polled for input."""
        return [self._listener, *self._clients]

    def serve(self) -> None:
        """Accepts who is waiting and answers what has arrived."""
        self._accept()
        for client in list(self._clients):
            try:
                self._serve(client)
            except OSError as exc:
                LOGGER.info("a client of the side channel is gone: %s", exc)
                self._forget(client)
            except Exception:
                LOGGER.exception("the simulator failed on a request of the side channel; it is closed")
                self._forget(client)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # nobody, or gone again
            return
        client.setblocking(False)
        self._clients[client] = LineFramer(max_length=MAX_LINE)
        self._on_open(client)

    def _serve(self, client: socket.socket) -> None:
        try:
            data = client.recv(MAX_LINE)
        except BlockingIOError:
            return
        if not data:
            self._forget(client)
            return
        for line in self._clients[client].feed(data):
            # An answer fits into the buffer of the socket; who does not read them at all is cut off.
            client.sendall(self._console.execute(line))

    def _forget(self, client: socket.socket) -> None:
        del self._clients[client]
        self._on_close(client)
        client.close()

    def close(self) -> None:
        """Closes all sockets."""
        for client in list(self._clients):
            self._forget(client)
        self._on_close(self._listener)
        self._listener.close()
