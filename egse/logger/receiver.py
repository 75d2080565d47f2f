"""Takes log records from all processes, writes them, and acknowledges what is written."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq

from egse.logger.console import ConsoleEcho, CutelogForwarder
from egse.logger.files import LogFiles
from egse.logger.records import (
    HOLD,
    OK,
    RESEND,
    Ack,
    Batch,
    LogMessage,
    MalformedError,
    console_text,
    decode_batch,
    level_name,
    message_of,
    timestamp,
)
from egse.logger.spool import read_spool, spool_files
from egse.mode import current_mode
from egse.security.curve import Guard
from egse.security.keys import KeysError

LOGGER = logging.getLogger(__name__)

LARGEST_MESSAGE = 4_000_000
"""Larger messages are no log records; the socket refuses them [bytes]."""
POLL = 200
"""How often the receiver looks whether it must end [ms]."""
LAST_WORDS = 0.3
"""How long records are still taken at the end [s]."""
UPKEEP = 5.0
"""How often files are put on disk and checked, and the spool is looked at [s]."""
ACTIVE = 60.0
"""A process that has sent something within this time counts as a client [s]."""


@dataclass
class Counters:
    """What the log manager has seen since it started.

    Attributes:
        received: records that were written.
        duplicates: records that came again and were dropped.
        gaps: how often records of a process were missing.
        missing: how many records were missing.
        dropped: how many records processes have dropped, by their own account.
        malformed: messages that were no log records.
        rejected: messages under a key that is not authorised.
        held: batches that could not be written at once (disk full).
        spooled: records that were taken in from the spool.
        by_level: records of each level.
    """

    received: int = 0
    duplicates: int = 0
    gaps: int = 0
    missing: int = 0
    dropped: int = 0
    malformed: int = 0
    rejected: int = 0
    held: int = 0
    spooled: int = 0
    by_level: dict[str, int] = field(default_factory=dict)


class LogReceiver(threading.Thread):
    """The thread that receives, writes and shows log records.

    Args:
        endpoint: where to bind, `tcp://127.0.0.1:6105`.
        files: where to write.
        echo: shows one text on the console; stderr when None.
        echo_level: records from this level on are shown.
        own_process: name of the process that this runs in; its records are on the console already.
        forward: viewer that gets all records, if any.

    Raises:
        zmq.ZMQError: when the port is taken.
        KeysError: when the endpoint needs keys and there are none.
        PermissionError: when the log files may not be written.
    """

    def __init__(
        self,
        endpoint: str,
        files: LogFiles,
        echo: Callable[[str], None] | None = None,
        echo_level: int = logging.INFO,
        own_process: str = "",
        forward: CutelogForwarder | None = None,
    ) -> None:
        super().__init__(name="log-receiver", daemon=True)
        self.counters = Counters()
        self.echo_level = echo_level
        self.trouble = ""
        self.forward = forward
        self._files = files
        self._console = ConsoleEcho() if echo is None else None
        self._echo: Callable[[str], None] = echo or self._console  # type: ignore[assignment]
        self._own_process = own_process
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._seen: dict[str, float] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._guard = Guard("log receiver", self._context)
        self._socket = self._bound(endpoint)
        try:
            files.open()
        except PermissionError:
            self._release()
            raise
        except OSError as exc:
            self._in_trouble(exc)

    def _bound(self, endpoint: str) -> zmq.Socket[bytes]:
        sock = self._context.socket(zmq.ROUTER)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        sock.setsockopt(zmq.SNDHWM, 1000)
        sock.setsockopt(
            zmq.RCVHWM, 64
        )  # per process: what is not read waits in the process, where it is safe
        sock.setsockopt(zmq.RCVTIMEO, POLL)
        try:
            self._guard.secure(sock, endpoint)
            sock.bind(endpoint)
        except (zmq.ZMQError, KeysError):
            self._guard.close()
            sock.close(0)
            self._context.term()
            raise
        return sock

    # -- the thread --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Receives until `end`; what has arrived by then is still written."""
        for outlet in (self._console, self.forward):
            if outlet is not None:
                outlet.start()
        self.take_spool()
        upkeep = time.monotonic() + UPKEEP
        while not self._ending.is_set():
            self._receive()
            if time.monotonic() >= upkeep:
                self._look_after_files()
                upkeep = time.monotonic() + UPKEEP
        self._socket.setsockopt(zmq.RCVTIMEO, 50)
        deadline = time.monotonic() + LAST_WORDS  # what is not taken by then waits in the processes
        while self._receive() and time.monotonic() < deadline:
            pass
        self._release()
        self._look_after_files()
        for outlet in (self._console, self.forward):
            if outlet is not None:
                outlet.end()

    def _release(self) -> None:
        self._guard.close()
        self._socket.close(0)
        self._context.term()

    def _receive(self) -> bool:
        try:
            client, data, caller = self._guard.receive(self._socket)
        except zmq.Again:
            return False
        if caller is None:
            self.counters.rejected += 1
            return True
        try:
            batch = decode_batch(data)
        except MalformedError:
            self.counters.malformed += 1
            return True
        with contextlib.suppress(zmq.ZMQError):  # who misses an acknowledgement sends its records again
            self._socket.send_multipart([client, msgspec.msgpack.encode(self.take(batch))], zmq.NOBLOCK)
        return True

    def _look_after_files(self) -> None:
        with self._lock:
            try:
                self._files.sync()
                self._files.check()
            except OSError as exc:
                self._in_trouble(exc)
        self.take_spool()

    def end(self) -> None:
        """Ends the thread."""
        self._ending.set()

    # -- records -----------------------------------------------------------------------------------------------------

    def take(self, batch: Batch) -> Ack:
        """Writes what is new in a batch.

        Returns:
            The acknowledgement.
        """
        with self._lock:
            self._seen.pop(batch.session, None)
            self._seen[batch.session] = time.monotonic()
            last = self._files.sessions.get(batch.session)
            gap = 0
            if last is None:
                last = batch.base - 1  # a process that was known to a log manager whose files are gone
            elif batch.base > last + 1:
                gap = batch.base - last - 1
                last = batch.base - 1
            if batch.first > last + 1:
                return Ack(batch.session, last, RESEND)
            known = min(len(batch.entries), last + 1 - batch.first)
            self.counters.duplicates += known
            messages = [message_of(batch, index) for index in range(known, len(batch.entries))]
            if not messages:
                return Ack(batch.session, last, OK)
            remarks = [_gap_message(messages[0], gap)] if gap else []
            if not self._write([*remarks, *messages]):
                return Ack(batch.session, last - gap, HOLD)
            self._count(messages, gap)
        return Ack(batch.session, batch.first + len(batch.entries) - 1, OK)

    def _count(self, messages: Sequence[LogMessage], gap: int) -> None:
        counters = self.counters
        counters.received += len(messages)
        counters.gaps += gap > 0
        counters.missing += gap
        for message in messages:
            counters.dropped += message.lost
            counters.by_level[message.level] = counters.by_level.get(message.level, 0) + 1

    def _write(self, messages: Sequence[LogMessage]) -> bool:
        try:
            self._files.write(messages)
        except OSError as exc:
            self._in_trouble(exc)
            self.counters.held += 1
            return False
        if self.trouble:
            self._echo(f"log records are written again to {self._files.path}")
            self.trouble = ""
        for message in messages:
            if message.levelno >= self.echo_level and message.process != self._own_process:
                self._echo(console_text(message))
            if self.forward is not None:
                self.forward.put(message)
        return True

    def _in_trouble(self, exc: OSError) -> None:
        if not self.trouble:
            self._echo(
                f"WARNING: log records cannot be written to {self._files.path}: {exc.strerror or exc}. The processes "
                "keep theirs until it works again, as far as their buffers reach. Free some space"
            )
        self.trouble = str(exc.strerror or exc)

    def take_last(self, batches: Sequence[Batch]) -> bool:
        """Takes the last records of this very process, after the receiver has ended; returns False if it cannot."""
        return all(self.take(batch).verdict == OK for batch in batches)

    def take_spool(self) -> None:
        """Takes in what processes could not deliver before they ended."""
        for path in spool_files(self._files.path.parent):
            try:
                if not self._take_file(path):
                    return  # cannot be written now
            except (MalformedError, OSError) as exc:
                self.counters.malformed += 1
                LOGGER.warning("%s is no spool of log records, put aside: %s", path, exc)
                self._put_aside(path)

    def _take_file(self, path: Path) -> bool:
        before = self.counters.received
        for batch in read_spool(path):
            verdict = self.take(batch).verdict
            if verdict == RESEND:  # nobody is left who could: what there is counts, and the gap is told
                verdict = self.take(msgspec.structs.replace(batch, base=batch.first)).verdict
            if verdict != OK:
                return False
        self.counters.spooled += self.counters.received - before
        path.unlink()
        return True

    def _put_aside(self, path: Path) -> None:
        try:
            path.replace(path.with_suffix(".damaged"))
        except OSError as exc:
            LOGGER.error("%s can neither be read nor put aside: %s", path, exc)

    def clients(self) -> int:
        """Returns how many processes have sent something within the last minute; forgets those of long ago."""
        limit = time.monotonic() - ACTIVE
        with self._lock:
            self._seen = {session: at for session, at in self._seen.items() if at >= limit}
            return len(self._seen)

    def close_files(self) -> None:
        """Closes the files, after the thread has ended."""
        with self._lock:
            self._files.close()


def _gap_message(message: LogMessage, gap: int) -> LogMessage:
    return LogMessage(
        timestamp(time.time()),
        level_name(logging.WARNING),
        logging.WARNING,
        message.process,
        message.pid,
        __name__,
        0,
        f"{gap} records of {message.process} did not arrive before this",
        mode=current_mode(),
        lost=gap,
    )
