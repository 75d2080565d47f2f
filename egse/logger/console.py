"""Two places besides the files where records go as they come; neither may ever hold up the log manager."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable
from typing import IO

import msgspec

from egse.logger.records import LogMessage
from egse.mode import OPERATIONS
from egse.system import unix_time

BACKLOG = 10_000
"""So many records wait for a console or viewer that does not keep up; further ones are not shown there."""
LARGEST_CONSOLE_FILE = 5_000_000
"""When the console is a file (a launcher's), it is written up to this size [bytes]; `general.log` has everything."""
RETRY = 10.0
"""How often a viewer that does not listen is looked for [s]."""
CONNECT_LIMIT = 1.0
CUTELOG_PREFIX = b"!!cutelog!!"


class _Outlet(threading.Thread):
    """A thread that shows items in order, and drops them when it does not keep up."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.unshown = 0
        self._items: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._ending = threading.Event()

    def put(self, item: object) -> None:
        if self._items.qsize() >= BACKLOG:
            self.unshown += 1
        else:
            self._items.put(item)

    def end(self, limit: float = 1.0) -> None:
        """Ends the thread after what is waiting is shown, or after `limit` [s]."""
        self._ending.set()
        self._items.put(None)
        if self.is_alive():
            self.join(limit)


class ConsoleEcho(_Outlet):
    """Writes texts on a console.

    Args:
        stream: where to; stderr when None.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__("log-console")
        self._stream = stream
        self._is_full = False

    def __call__(self, text: str) -> None:
        """Shows a text, sooner or later."""
        self.put(text)

    def run(self) -> None:
        while (item := self._items.get()) is not None:
            stream = self._stream or sys.stderr
            # A console that went away must not end the log manager.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                if not self._is_full:
                    stream.write(f"{item}\n")
                    self._watch(stream)
                    stream.flush()

    def _watch(self, stream: IO[str]) -> None:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size > LARGEST_CONSOLE_FILE:
            self._is_full = True
            stream.write("this file is full; see general.log for all records (cgse log)\n")


class CutelogForwarder(_Outlet):
    """Sends records to a Cutelog viewer, while one listens.

    Cutelog takes messages with a length in front (4 bytes, big endian); one that begins with a prefix of its own chooses
    JSON for those that follow, instead of pickle, which is never used here.

    Args:
        host: where it listens.
        port: its TCP port, 19996 by default in Cutelog.
        connect: makes a connection; for tests.
    """

    def __init__(
        self,
        host: str,
        port: int,
        connect: Callable[[tuple[str, int], float], socket.socket] = socket.create_connection,
    ) -> None:
        super().__init__("log-cutelog")
        self.connected = False
        self._address = (host, port)
        self._connect = connect
        self._socket: socket.socket | None = None

    def run(self) -> None:
        while not self._ending.is_set():
            if self._socket is None and not self._open():
                self._ending.wait(RETRY)
                continue
            if not isinstance(item := self._items.get(), LogMessage):
                continue
            try:
                self._send(msgspec.json.encode(cutelog_record(item)))
            except OSError:
                self._close()
        self._close()

    def put(self, item: object) -> None:
        """Takes a record; nothing is kept for a viewer that is not there."""
        if self.connected:
            super().put(item)

    def _open(self) -> bool:
        try:
            self._socket = self._connect(self._address, CONNECT_LIMIT)
            self._send(CUTELOG_PREFIX + b"format=json")
        except OSError:
            self._close()
            return False
        self.connected = True
        return True

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.sendall(struct.pack(">L", len(data)) + data)

    def _close(self) -> None:
        self.connected = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def cutelog_record(message: LogMessage) -> dict[str, str | int | float]:
    """Returns a record with the names that Cutelog knows, and our own after them."""
    record: dict[str, str | int | float] = {
        "name": message.caller,
        "levelname": message.level,
        "levelno": message.levelno,
        "created": unix_time(message.ts),
        "message": message.message,
        "processName": message.process,
        "process": message.pid,
        "lineno": message.line,
        "mode": message.mode or OPERATIONS,
    }
    further = {"exc_text": message.traceback, "obsid": message.obsid, "block": message.block}
    return record | {name: value for name, value in further.items() if value}
