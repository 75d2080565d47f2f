"""Takes log records from all processes and writes them to one rotating file."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import zmq

from egse.logger.records import LogMessage, console_text, decode, file_text
from egse.security.curve import Guard
from egse.security.keys import KeysError

LOGGER = logging.getLogger(__name__)

LARGEST_MESSAGE = 1_000_000
"""Larger messages are no log records; the socket refuses them [bytes]."""
POLL = 200
"""How often the receiver looks whether it must end [ms]."""
MAX_SESSIONS = 2000


class RotatingLog:
    """The log file; when it is full it becomes `general.log.1`, the one before `general.log.2` and so on.

    Args:
        path: the file; its folder is made when missing.
        max_size: size at which a new file is begun [bytes].
        backups: how many old files are kept.
    """

    def __init__(self, path: Path, max_size: int = 20_000_000, backups: int = 20) -> None:
        self.path = path
        self.max_size = max_size
        self.backups = backups
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = -1
        self._size = 0
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size
        if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
            os.write(self._fd, b"\n")  # a line torn by a crash ends here

    def write(self, text: str) -> None:
        """Writes whole lines.

        Raises:
            OSError: when they cannot be written (disk full).
        """
        data = text.encode(errors="replace")
        if self._size and self._size + len(data) > self.max_size:
            self._rotate()
        if os.write(self._fd, data) != len(data):
            raise OSError(f"{self.path} could not be written completely (disk full?)")
        self._size += len(data)

    def _rotate(self) -> None:
        self.close()
        for number in range(self.backups, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, older)
        self._open()

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LogReceiver(threading.Thread):
    """The thread that receives, writes and echoes log records.

    Args:
        endpoint: where to bind, `tcp://127.0.0.1:6105`.
        log: the file.
        echo: shows one text on the console; stderr when None.
        echo_level: records from this level on are echoed.
        own_process: name of the process that this runs in; its records are on the console already.

    Raises:
        zmq.ZMQError: when the port is taken.
    """

    def __init__(
        self,
        endpoint: str,
        log: RotatingLog,
        echo: Callable[[str], None] | None = None,
        echo_level: int = logging.INFO,
        own_process: str = "",
    ) -> None:
        super().__init__(name="log-receiver", daemon=True)
        self._log = log
        self._echo = echo or _echo_on_stderr
        self.echo_level = echo_level
        self._own_process = own_process
        self._ending = threading.Event()
        self._sequences: dict[str, int] = {}
        self.received = 0
        self.malformed = 0
        self.missing = 0
        self.unwritten = 0
        self.by_level: dict[int, int] = {}
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        self._socket.setsockopt(zmq.RCVHWM, 100_000)
        self._socket.setsockopt(zmq.RCVTIMEO, POLL)
        self._guard = Guard("log receiver", self._context)
        try:
            self._guard.secure(self._socket, endpoint)
            self._socket.bind(endpoint)
        except (zmq.ZMQError, KeysError):
            self._guard.close()
            self._socket.close(0)
            self._context.term()
            raise

    def run(self) -> None:
        """Receives until `end`; what has arrived by then is still written."""
        while not self._ending.is_set():
            self._receive(0)
        self._socket.setsockopt(zmq.RCVTIMEO, 50)
        while self._receive(0):
            pass
        self._guard.close()
        self._socket.close(0)
        self._context.term()
        self._log.close()

    def _receive(self, flags: int) -> bool:
        try:
            data = self._socket.recv(flags)
        except zmq.Again:
            return False
        try:
            message = decode(data)
        except ValueError:
            self.malformed += 1
            return True
        self.handle(message)
        return True

    def handle(self, message: LogMessage) -> None:
        """Writes one record, after a line about records that are missing before it."""
        gap = self._gap(message)
        if gap:
            self.missing += gap
            self._write(_gap_message(message, gap))
        self.received += 1
        self.by_level[message.level] = self.by_level.get(message.level, 0) + 1
        self._write(message)

    def _gap(self, message: LogMessage) -> int:
        """Returns how many records of this process are missing; 0 for a process met for the first time."""
        if not message.session:
            return 0
        known = self._sequences.pop(message.session, None)
        self._sequences[message.session] = message.seq
        if len(self._sequences) > MAX_SESSIONS:
            self._sequences.pop(next(iter(self._sequences)))
        return max(0, message.seq - known - 1) if known is not None else 0

    def _write(self, message: LogMessage) -> None:
        try:
            self._log.write(file_text(message))
        except OSError as exc:
            self.unwritten += 1
            if self.unwritten == 1 or self.unwritten % 10_000 == 0:
                self._echo(f"log records cannot be written ({self.unwritten} so far): {exc}")
        if message.level >= self.echo_level and message.process != self._own_process:
            self._echo(console_text(message))

    def end(self) -> None:
        """Ends the thread."""
        self._ending.set()


def _gap_message(message: LogMessage, gap: int) -> LogMessage:
    return LogMessage(
        message.time,
        logging.WARNING,
        message.process,
        message.pid,
        __name__,
        0,
        f"{gap} log records of {message.process} did not arrive",
    )


def _echo_on_stderr(text: str) -> None:
    # A console that went away must not end the log manager.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
