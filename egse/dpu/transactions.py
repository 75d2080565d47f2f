"""RMAP transactions without I/O: one at a time, in the order in which they were asked for.

A piece of work is a generator ("script") that yields RMAP commands and gets their replies::

    def read_area() -> Script[bytes]:
        reply = yield read_command(HK_AREA_ADDRESS, HK_AREA_SIZE)
        return reply.data

`Transactions` sends the commands, matches the replies by transaction id, and throws `RMAPError` into the script when a command
failed, was not answered in time, or could not be sent.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeAlias, TypeVar

from egse.rmap import RMAPCommand, RMAPDecodeError, RMAPError, RMAPReply, RMAPTimeoutError, decode_reply
from egse.spw import SpaceWireLinkError

LOGGER = logging.getLogger(__name__)

EXPECTED = (RMAPError, SpaceWireLinkError)
"""What ends a script when the FEE or the link has a problem; anything else is logged with its trace."""

T = TypeVar("T")
Script: TypeAlias = Generator[RMAPCommand, RMAPReply, T]


@dataclass
class _Work:
    script: Script[Any]
    done: Callable[[Any, float], None]
    failed: Callable[[Exception, float], None]


class Transactions:
    """Runs scripts one after the other.

    Args:
        send: sends one packet; may raise `SpaceWireLinkError`.
        timeout: how long to wait for a reply [s].

    Attributes:
        stale_replies: replies that came too late, or damaged, and were dropped.
        last_packet: the last command as it was sent.
        reply_times: how long the last replies took [s].
    """

    def __init__(self, send: Callable[[bytes], None], timeout: float) -> None:
        self.stale_replies = 0
        self.last_packet = b""
        self.reply_times: deque[float] = deque(maxlen=15)
        self._send = send
        self._timeout = timeout
        self._waiting: deque[_Work] = deque()
        self._current: _Work | None = None
        self._command: RMAPCommand | None = None
        self._deadline = 0.0
        self._identifier = 0

    @property
    def busy(self) -> bool:
        """True while a script is running or waiting."""
        return self._current is not None or bool(self._waiting)

    @property
    def reply_time(self) -> float:
        """How long a reply usually takes [s]; 0 before the first."""
        return median(self.reply_times) if self.reply_times else 0.0

    @property
    def deadline(self) -> float | None:
        """When the present command is given up [s], None when none is out."""
        return self._deadline if self._command is not None else None

    def run(
        self,
        script: Script[T],
        now: float,
        done: Callable[[T, float], None],
        failed: Callable[[Exception, float], None],
    ) -> None:
        """Starts a script, or queues it when another one is running.

        Args:
            script: the work.
            now: time [s].
            done: called with what the script returned, and the time [s].
            failed: called with the exception that ended it, and the time [s].
        """
        self._waiting.append(_Work(script, done, failed))
        if self._current is None:
            self._next(now)

    def handle(self, packet: bytes, now: float) -> None:
        """Takes an RMAP reply."""
        try:
            reply = decode_reply(packet)
        except RMAPDecodeError:
            self.stale_replies += 1
            return
        command = self._command
        if command is None or reply.transaction_id != command.transaction_id:
            self.stale_replies += 1
            return
        self._command = None
        self.reply_times.append(now - (self._deadline - self._timeout))
        problem = _problem(command, reply)
        if problem is None:
            self._resume(now, reply=reply)
        else:
            self._resume(now, error=problem)

    def step(self, now: float) -> None:
        """Gives up on a command whose reply did not come in time."""
        if self._command is not None and now >= self._deadline:
            what, self._command = _describe(self._command), None
            self._resume(now, error=RMAPTimeoutError(f"{what}: no reply within {self._timeout:g} s"))

    def _next(self, now: float) -> None:
        while self._current is None and self._waiting:
            self._current = self._waiting.popleft()
            self._resume(now)

    def _resume(self, now: float, reply: RMAPReply | None = None, error: Exception | None = None) -> None:
        """Lets the current script go on until it has sent a command, or has ended."""
        work = self._current
        while work is not None and self._command is None:
            try:
                if error is not None:
                    command = work.script.throw(error)
                elif reply is not None:
                    command = work.script.send(reply)
                else:
                    command = next(work.script)
            except StopIteration as stop:
                self._current = None
                work.done(stop.value, now)
                break
            except Exception as exc:
                if not isinstance(exc, EXPECTED):
                    LOGGER.exception("an error in what was to be done with the FEE; the link goes on")
                self._current = None
                work.failed(exc, now)
                break
            reply, error = None, self._transmit(command, now)
        if self._current is None:
            self._next(now)

    def _transmit(self, command: RMAPCommand, now: float) -> Exception | None:
        self._identifier = (self._identifier + 1) & 0xFFFF
        command = replace(command, transaction_id=self._identifier)
        packet = command.encode()
        try:
            self._send(packet)
        except SpaceWireLinkError as exc:
            return exc
        self.last_packet = packet
        self._command = command
        self._deadline = now + self._timeout
        return None


def _problem(command: RMAPCommand, reply: RMAPReply) -> RMAPError | None:
    what = _describe(command)
    if reply.status:
        return RMAPError.from_status(reply.status, what)
    if command.is_read and (len(reply.data) != command.length or not reply.data_crc_ok):
        return RMAPError(f"{what}: got {len(reply.data)} bytes, or a wrong data CRC")
    return None


def _describe(command: RMAPCommand) -> str:
    kind = "write" if command.is_write else "read"
    return f"{kind} of {command.length} bytes at {command.address:#010x}"
