"""Brings the log records of a process to the log manager, in a thread of its own: nothing lost, nothing twice, in order.

Records are numbered per *session* (one life of a process). They are sent in batches, a few of them at a time, and stay
here until the log manager has acknowledged that they are written. When no acknowledgement comes, they are sent again;
the log manager knows from the numbers what it has already, also after it was restarted. While it is away, records wait
in a bounded buffer; when that is full, new ones are dropped, and a record in their place says how many and when.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import zmq

from egse.logger.records import (
    HOLD,
    LONGEST_TEXT,
    MOST_ENTRIES,
    PROTOCOL,
    RESEND,
    Ack,
    Batch,
    Entry,
    MalformedError,
    decode_ack,
    encode_batch,
    timestamp,
)
from egse.security.curve import HandshakeError, secure_client

CAPACITY = 50_000
"""How many records wait while the log manager is away."""
CAPACITY_TEXT = 32_000_000
"""How much text they may have together [characters]."""
WINDOW = 4
"""How many batches are on the way at the same time."""
BATCH_ENTRIES = 500
BATCH_TEXT = 200_000
"""A batch is closed when its texts are longer than this [characters]."""
GATHER = 5
"""How long records are collected before they are sent, so that a busy process is not woken for each [ms]."""
PATIENCE = 1.0
LONGEST_PATIENCE = 8.0
"""How long an acknowledgement is waited for before a batch is sent again, at first and at most [s]."""
RETRY_KEYS = 5.0
"""Without keys, how long to wait before they are looked for again [s]."""
OVERHEAD = 200
"""What a record occupies besides its texts [bytes]."""

assert BATCH_ENTRIES <= MOST_ENTRIES


class Sender:
    """Sends the records of one process.

    Args:
        endpoint: `tcp://host:port` of the log manager's receiver.
        process: name of this process in the records.
        lock: under which `put` is called.
        capacity: how many records wait while the log manager is away.
        at_start: called when the first record of a session is on its way.
    """

    def __init__(
        self,
        endpoint: str,
        process: str,
        lock: AbstractContextManager[Any],
        capacity: int = CAPACITY,
        at_start: Callable[[], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.process = process
        self.capacity = capacity
        self._lock = lock
        self._at_start = at_start
        self.dropped_total = 0
        self._begin()

    def _begin(self) -> None:
        """Begins a session; also after a fork, when everything that the parent has waiting is the parent's business."""
        self.session = secrets.token_hex(6)
        self._pid = os.getpid()
        self._queue: deque[Entry] = deque()
        self._window: deque[tuple[int, list[Entry]]] = deque()
        self._moving = threading.Lock()  # while entries go from the queue to the window, or out of it
        self._next = 1
        self._sent = 0
        self._put = self._text = self._done = self._done_text = 0
        self._dropped = 0
        self._dropped_from = self._dropped_to = 0.0
        self._told_overflow = False
        self._thread: threading.Thread | None = None
        self._idle = False
        self._urgent = False
        self._closing = threading.Event()
        self._give_up = threading.Event()
        self._delivered = threading.Event()
        self._wake_out, self._wake_in = os.pipe()
        for descriptor in (self._wake_out, self._wake_in):
            os.set_blocking(descriptor, False)

    def after_fork(self) -> None:
        """Starts anew in a forked child."""
        self._close_pipe()
        self._begin()

    # -- the side of the program -------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many records are not acknowledged yet."""
        return self._put - self._done

    def put(self, entry: Entry, urgent: bool = False) -> None:
        """Takes a record; never blocks. The caller holds the lock.

        Args:
            entry: the record.
            urgent: send it at once.
        """
        size = len(entry.message) + len(entry.traceback) + OVERHEAD
        if not self._has_room(size):
            self._drop(entry)
            return
        if self._dropped:
            self._append(self._loss())
        self._append(entry)
        if urgent:
            self._urgent = True
        if self._idle:
            self._wake()
        elif self._thread is None:
            self._start()

    def _has_room(self, size: int) -> bool:
        return self._put - self._done < self.capacity and self._text - self._done_text + size <= CAPACITY_TEXT

    def _append(self, entry: Entry) -> None:
        self._put += 1
        self._text += len(entry.message) + len(entry.traceback) + OVERHEAD
        self._queue.append(entry)

    def _drop(self, entry: Entry) -> None:
        if not self._dropped:
            self._dropped_from = entry.time
        self._dropped += 1
        self._dropped_to = entry.time
        self.dropped_total += 1
        if not self._told_overflow:
            self._told_overflow = True
            _complain(
                f"the log manager at {self.endpoint} takes no records and the buffer of {self.process} is full "
                f"({self.waiting} records): further ones are lost until it is back"
            )

    def _tell_loss(self) -> None:
        """Puts the record about lost ones in its place, once there is room for it or the session ends."""
        with self._lock:
            if self._dropped and (self._closing.is_set() or self._has_room(2 * LONGEST_TEXT)):
                self._append(self._loss())

    def _loss(self) -> Entry:
        count, self._dropped = self._dropped, 0
        self._told_overflow = False
        text = (
            f"{count} records of {self.process} lost between {timestamp(self._dropped_from)} and "
            f"{timestamp(self._dropped_to)}: the log manager was away and the buffer full"
        )
        return Entry(self._dropped_to, 30, __name__, 0, text, lost=count)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=f"log-sender-{self.process}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # the interpreter is ending: `close` looks after what is left
        if self._thread is None:
            self._thread = thread
        if self._at_start is not None:
            self._at_start()

    def _wake(self) -> None:
        self._idle = False
        with contextlib.suppress(OSError):  # full: it is awake
            os.write(self._wake_in, b"x")

    def flush(self, limit: float) -> bool:
        """Waits until everything is acknowledged.

        Args:
            limit: how long at most [s].

        Returns:
            True when it is.
        """
        deadline = time.monotonic() + limit
        self._urgent = True
        self._wake()
        while self.waiting and self._thread is not None and self._thread.is_alive():
            self._delivered.clear()
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if self.waiting:
                self._delivered.wait(min(left, 0.1))
        return self.waiting == 0

    def close(self, limit: float, limit_away: float) -> list[Batch]:
        """Delivers what is left and ends the thread.

        Args:
            limit: how long the log manager may take for it [s].
            limit_away: how long it may take to appear when it is away [s].

        Returns:
            What could not be delivered.
        """
        self._closing.set()
        self._tell_loss()
        thread = self._thread
        if thread is not None and thread.is_alive():
            self._wake()
            thread.join(limit_away)
            if thread.is_alive() and self._sent:  # somebody is there
                thread.join(max(0.0, limit - limit_away))
            self._give_up.set()
            self._wake()
            thread.join(1.0)
        self._give_up.set()
        left = self._left()
        self._close_pipe()
        return left

    def _left(self) -> list[Batch]:
        with self._moving:  # on a busy machine the thread may not have ended yet
            groups = [*self._window]
            rest = list(self._queue)
            number = self._next
        for start in range(0, len(rest), BATCH_ENTRIES):
            groups.append((number + start, rest[start : start + BATCH_ENTRIES]))
        if not groups:
            return []
        base = groups[0][0]
        return [self._batch(base, first, entries) for first, entries in groups]

    def _batch(self, base: int, first: int, entries: list[Entry]) -> Batch:
        return Batch(PROTOCOL, self.session, self.process, self._pid, base, first, entries)

    def _close_pipe(self) -> None:
        descriptors, self._wake_out, self._wake_in = (self._wake_out, self._wake_in), -1, -1
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                if descriptor >= 0:
                    os.close(descriptor)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with self._moving:  # Ctrl-C while it was started: then another one may have been started, too
            own = threading.current_thread()
            if self._thread not in (None, own):
                return
            self._thread = own
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        try:
            while not self._finished():
                sock = self._connect(context)
                if sock is not None:
                    try:
                        self._serve(sock)
                    except Exception:
                        # Nobody else can tell of it: the log itself is what failed.
                        _complain(
                            f"the sender of log records of {self.process} starts again:\n{traceback.format_exc()}"
                        )
                        self._give_up.wait(1.0)
                    finally:
                        self._sent = 0
                        sock.close(0)
        finally:
            context.destroy(linger=0)

    def _finished(self) -> bool:
        if self._give_up.is_set():
            return True
        return self._closing.is_set() and not self._queue and not self._window

    def _connect(self, context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes] | None:
        sock = context.socket(zmq.DEALER)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued for a log manager that is away
        sock.setsockopt(zmq.SNDHWM, 2 * WINDOW)
        sock.setsockopt(zmq.MAXMSGSIZE, 10_000)
        sock.setsockopt(zmq.RECONNECT_IVL, 50)
        sock.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        sock.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
        sock.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15_000)
        try:
            secure_client(sock, self.endpoint)
            sock.connect(self.endpoint)
        except (HandshakeError, zmq.ZMQError) as exc:
            sock.close(0)
            _complain(f"log records of {self.process} wait, they cannot be sent: {exc}")
            self._closing.wait(RETRY_KEYS)
            if self._closing.is_set():
                self._give_up.set()
            return None
        return sock

    def _serve(self, sock: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        poller.register(self._wake_out, zmq.POLLIN)
        patience = PATIENCE
        due = 0.0
        hold = 0.0
        while not self._finished():
            now = time.monotonic()
            if self._dropped:
                self._tell_loss()
            self._fill_window()
            if self._sent and now >= due:  # no acknowledgement: all of it again
                self._sent = 0
                patience = min(2 * patience, LONGEST_PATIENCE)
            if now >= hold and self._send(sock) and self._sent:
                due = now + patience
            unsent = self._sent < len(self._window)
            until = min(due if self._sent else now + 60.0, hold if now < hold else now + 60.0)
            flags = zmq.POLLIN | (zmq.POLLOUT if unsent and now >= hold else 0)
            poller.register(sock, flags)
            self._sleep(poller, until)
            acks = self._acks(sock)
            if any(ack.verdict == HOLD for ack in acks):
                self._sent = 0
                hold = time.monotonic() + PATIENCE
            elif acks:
                patience = PATIENCE
                due = time.monotonic() + patience

    def _fill_window(self) -> None:
        while self._queue and len(self._window) < WINDOW:
            entries: list[Entry] = []
            text = 0
            with self._moving:
                while self._queue and len(entries) < BATCH_ENTRIES and text < BATCH_TEXT:
                    entry = self._queue.popleft()
                    text += len(entry.message) + len(entry.traceback)
                    entries.append(entry)
                self._window.append((self._next, entries))
                self._next += len(entries)

    def _send(self, sock: zmq.Socket[bytes]) -> bool:
        """Sends what is not on the way yet, as far as there is a connection; says whether anything went."""
        went = False
        while self._sent < len(self._window):
            first, entries = self._window[self._sent]
            try:
                sock.send(encode_batch(self._batch(self._window[0][0], first, entries)), zmq.NOBLOCK)
            except zmq.Again:
                break
            self._sent += 1
            went = True
        return went

    def _sleep(self, poller: zmq.Poller, until: float) -> None:
        """Waits for an acknowledgement, a connection, or new records, which are gathered for a moment."""
        room = len(self._window) < WINDOW
        self._idle = room  # without room there is nothing to be woken for
        timeout = 0 if room and self._queue else max(1, round((until - time.monotonic()) * 1000))
        ready = dict(poller.poll(timeout))
        self._idle = False
        if self._wake_out in ready:
            with contextlib.suppress(OSError):
                os.read(self._wake_out, 4096)
            if not self._urgent:
                self._closing.wait(GATHER / 1000)
            self._urgent = False

    def _acks(self, sock: zmq.Socket[bytes]) -> list[Ack]:
        acks: list[Ack] = []
        with contextlib.suppress(zmq.Again):
            while True:
                data = sock.recv(zmq.NOBLOCK)
                with contextlib.suppress(MalformedError):
                    ack = decode_ack(data)
                    if ack.session == self.session:
                        acks.append(ack)
                        self._acknowledged(ack)
        return acks

    def _acknowledged(self, ack: Ack) -> None:
        while self._window and self._window[0][0] + len(self._window[0][1]) - 1 <= ack.seq:
            with self._moving:
                _, entries = self._window.popleft()
            self._done_text += sum(len(e.message) + len(e.traceback) + OVERHEAD for e in entries)
            self._done += len(entries)
            self._sent = max(0, self._sent - 1)
            self._delivered.set()
        if ack.verdict == RESEND:
            self._sent = 0


def _complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{text}\n")
