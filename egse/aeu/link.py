"""The cable between the AEU simulator and the N-FEE simulator: power and sync pulses, over its side channel.

Both are processes of one host. What the camera gets is sent when it changes, and again every second, so that an N-FEE
simulator that starts later, or anew, gets its power as well. Nobody waits for the other.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from typing import Any

from egse.clock import Clock
from egse.fee.feed import CameraFeed

LOGGER = logging.getLogger("egse.simulator")

REPEAT = 1.0
"""Time between two messages when nothing changes [s of the wall]."""
TIMEOUT = 2.0
"""How long an answer may take [s of the wall]."""


class CameraLink:
    """Sends a feed to an N-FEE simulator, from a thread of its own.

    Args:
        port: of its side channel, on the loopback interface.
        clock: time of the feeds.

    Attributes:
        connected: True while the N-FEE simulator answers.
    """

    def __init__(self, port: int, clock: Clock) -> None:
        self.port = port
        self.connected = False
        self._clock = clock
        self._feed = CameraFeed()
        self._changed = threading.Event()
        self._ending = False
        self._socket: socket.socket | None = None
        self._complaint = ""
        self._thread = threading.Thread(target=self._run, name="camera link", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def give(self, feed: CameraFeed) -> None:
        """Takes what the camera gets from now on; returns at once."""
        self._feed = feed
        self._changed.set()

    def close(self) -> None:
        """Ends the thread; the camera stays as it is."""
        self._ending = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT + 0.5)
        self._disconnect()

    def _run(self) -> None:
        while not self._ending:
            self._changed.clear()
            try:
                self._send({"do": "aeu", **self._feed.to_json(self._clock.monotonic())})
                self.connected, self._complaint = True, ""
            except (OSError, ValueError) as exc:
                self._complain(str(exc))
            self._changed.wait(REPEAT)

    def _complain(self, text: str) -> None:
        self.connected = False
        self._disconnect()
        if text != self._complaint:
            LOGGER.warning("the N-FEE simulator at port %d cannot be reached: %s", self.port, text)
        self._complaint = text

    def _send(self, request: dict[str, Any]) -> None:
        """Sends one request and takes its answer.

        Raises:
            OSError: when nobody answers.
            ValueError: when it is refused.
        """
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("it closed the connection")
            answer += data
        reply = json.loads(answer)
        if not reply.get("ok"):
            raise ValueError(f"it refused the feed: {reply.get('error')}")

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
