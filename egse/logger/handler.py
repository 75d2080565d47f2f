"""Sends the records of the standard `logging` module to the log manager, without ever blocking the program.

Records wait in a bounded queue inside the socket while the log manager is away; when that is full they are dropped,
counted, and the loss is reported as soon as there is room again. Records that were on the wire when the log manager
was killed leave a gap in the sequence numbers, which the log manager reports.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import sys
from collections.abc import Callable

import msgspec
import zmq

from egse.logger.records import LogMessage, console_text, from_record
from egse.security.curve import HandshakeError, secure_client
from egse.settings import Settings

SETTINGS_NAME = "Logging Control Server"
CAPACITY = 10_000
"""How many records wait while the log manager is away."""
LINGER = 300
"""How long the end of a process waits for records that are not sent yet [ms]."""

OWN_LOGGERS = ("egse", "camtest")
"""Loggers whose records of all levels are sent; others only from INFO on."""

_context_source: Callable[[], tuple[str, str]] | None = None
_handlers: list[ZeroMQHandler] = []


def set_context_source(source: Callable[[], tuple[str, str]] | None) -> None:
    """Sets the function that tells obsid and building block (empty texts outside) for every record."""
    global _context_source
    _context_source = source


class ZeroMQHandler(logging.Handler):
    """Handler that pushes records to the log manager.

    Args:
        endpoint: `tcp://host:port` of the log manager's receiver.
        process: name of this process in the records.
        capacity: how many records wait while the log manager is away.
    """

    def __init__(self, endpoint: str, process: str, capacity: int = CAPACITY) -> None:
        super().__init__(logging.DEBUG)
        self.endpoint = endpoint
        self.process = process
        self.capacity = capacity
        self.dropped = 0
        self.dropped_total = 0
        self._encoder = msgspec.msgpack.Encoder()
        self._socket: zmq.Socket[bytes] | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._pid = 0
        self._session = ""
        self._seq = 0
        self._closed = False

    def _connected(self) -> zmq.Socket[bytes]:
        if self._socket is not None and self._pid == os.getpid():
            return self._socket
        # Also after a fork: sockets of the parent must not be used here.
        self._pid = os.getpid()
        self._session = secrets.token_hex(4)
        self._seq = 0
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, self.capacity)
        self._socket.setsockopt(zmq.LINGER, LINGER)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        secure_client(self._socket, self.endpoint)
        self._socket.connect(self.endpoint)
        return self._socket

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a record; drops and counts it when the queue is full."""
        if self._closed:
            return
        try:
            context = _context_source() if _context_source is not None else ("", "")
            sock = self._connected()
            if self.dropped:
                self._report_loss(sock)
            self._seq += 1
            self._send(sock, from_record(record, self.process, self._session, self._seq, context))
        except zmq.Again:
            self.dropped += 1
            self.dropped_total += 1
        except HandshakeError as exc:
            self.close()
            sys.stderr.write(f"log records of {self.process} are not sent: {exc}\n")
        except Exception:
            self.handleError(record)

    def _send(self, sock: zmq.Socket[bytes], message: LogMessage) -> None:
        try:
            sock.send(self._encoder.encode(message), zmq.NOBLOCK)
        except zmq.Again:
            self._seq -= 1  # this loss is reported by its own record, not by a gap
            raise

    def _report_loss(self, sock: zmq.Socket[bytes]) -> None:
        text = f"{self.dropped} log records of {self.process} were lost: the log manager was away and the buffer full"
        loss = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
        self._seq += 1
        self._send(sock, from_record(loss, self.process, self._session, self._seq))
        self.dropped = 0

    def close(self) -> None:
        """Closes the socket, waiting at most `LINGER` for what is not sent; safe to call twice."""
        self._closed = True
        self.acquire()
        try:
            if self._socket is not None and self._pid == os.getpid():
                self._socket.close(LINGER)
                if self._context is not None:
                    self._context.term()
            self._socket = self._context = None
        finally:
            self.release()
        if self in _handlers:
            _handlers.remove(self)
        super().close()


class ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Shows records on stderr in the layout of the log manager's terminal."""

    def __init__(self, process: str, level: int = logging.INFO) -> None:
        super().__init__(sys.stderr)
        self.process = process
        self.setLevel(level)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as one text."""
        return console_text(from_record(record, self.process, "", 0))


def receiver_endpoint() -> str:
    """Returns where the log manager takes records, from the Settings.

    Raises:
        KeyError: when the Settings have no such block or port.
    """
    settings = Settings.load(SETTINGS_NAME)
    host = settings.get("HOSTNAME", "localhost")
    protocol = settings.get("PROTOCOL", "tcp")
    return f"{protocol}://{'127.0.0.1' if host == 'localhost' else host}:{settings['RECEIVER_PORT']}"


def setup_logging(
    process_name: str,
    *,
    endpoint: str | None = None,
    level: int = logging.DEBUG,
    console: int | None = logging.INFO,
) -> ZeroMQHandler | None:
    """Lets all records of this process go to the log manager; call it once at the start of a process.

    Calling it again replaces the earlier handlers.

    Args:
        process_name: name of the process in the records, e.g. `puna_cs`.
        endpoint: `tcp://host:port` of the receiver; from the Settings when None.
        level: lowest level of `egse` and `camtest` loggers that is sent; others are sent from INFO on.
        console: lowest level that is shown on stderr as well; None for nothing.

    Returns:
        The handler; None when the Settings do not tell where the log manager is (which is logged).
    """
    root = logging.getLogger()
    close_all_zmq_handlers()
    if root.level in (logging.NOTSET, logging.WARNING):
        root.setLevel(logging.INFO)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level)
    if console is not None:
        root.addHandler(ConsoleHandler(process_name, console))
    try:
        where = endpoint or receiver_endpoint()
    except KeyError as exc:
        logging.getLogger(__name__).warning("no logging to the log manager: %s", exc)
        return None
    handler = ZeroMQHandler(where, process_name)
    _handlers.append(handler)
    root.addHandler(handler)
    return handler


def close_all_zmq_handlers() -> None:
    """Ends logging to the log manager; a process that does not call it is served at exit."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, (ZeroMQHandler, ConsoleHandler)):
            root.removeHandler(handler)
            handler.close()
    for handler in list(_handlers):
        handler.close()


atexit.register(close_all_zmq_handlers)
