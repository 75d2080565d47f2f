"""From a byte stream to complete commands.

A TCP packet may hold half a command or ten of them, so every connection has a framer of its own that keeps the
unfinished rest. A framer knows nothing of sockets; the same object serves the TCP shell and the memory transport.
"""

from __future__ import annotations

import logging
import re
from typing import Protocol

LOGGER = logging.getLogger("egse.simulator.framing")

MAX_LINE_LENGTH = 4096
"""Longest command [bytes] that a line-oriented simulator takes."""


class Framer(Protocol):
    """Cuts the bytes of one connection into commands."""

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes of the stream.

        Args:
            data: bytes as they came, any number of them.

        Returns:
            The commands that are complete now, oldest first, without their terminators.
        """
        ...


class LineFramer:
    """Cuts at line ends: CR, LF and CR LF all end a command, empty lines are ignored, blanks at both ends stripped.

    A line longer than `max_length` cannot be a command of the device; it is dropped up to its end and counted, so that
    the next command is understood again.

    Args:
        terminators: the bytes that end a command, each of them alone.
        max_length: longest line that is kept [bytes], without its terminator.
    """

    def __init__(self, terminators: bytes = b"\r\n", max_length: int = MAX_LINE_LENGTH) -> None:
        self._split = re.compile(b"[" + re.escape(terminators) + b"]").split
        self._max_length = max_length
        self._pending = bytearray()
        self._skipping = False
        self.dropped = 0
        """Number of lines dropped because they were too long."""

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes and returns the commands that are complete now."""
        *finished, rest = self._split(data)
        commands = []
        for part in finished:
            line = self._finish(part)
            if line:
                commands.append(line)
        self._append(rest)
        return commands

    def _finish(self, part: bytes) -> bytes:
        self._append(part)
        line = b"" if self._skipping else bytes(self._pending).strip(b" \t")
        self._pending.clear()
        self._skipping = False
        return line

    def _append(self, part: bytes) -> None:
        if self._skipping:
            return
        self._pending += part
        if len(self._pending) > self._max_length:
            LOGGER.warning("a command longer than %d bytes was dropped", self._max_length)
            self.dropped += 1
            self._skipping = True
            self._pending.clear()
