"""Lines of the clients of a simulated Alpha+ controller, each with the connection it came by."""

from __future__ import annotations

import re

from egse.simulator import LineFramer

_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|\xfa.*?\xff\xf0|[^\xfa-\xfe])", re.DOTALL)
"""Telnet options, which this kind of controller knows nothing of."""


class ShellLine(bytes):
    """A line that a client has sent, with the connection it came by.

    Attributes:
        connection: the framer, which knows how far the client has got.
    """

    connection: ShellFramer


class ShellFramer(LineFramer):
    """Cuts lines, without the telnet options of a client.

    Attributes:
        stage: what the next line is: `login`, `password`, a word for the `shell`, or a line for `gpascii`.
        user: name that was given at the login.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stage = "login"
        self.user = ""

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes and returns the lines that are complete now."""
        lines: list[bytes] = []
        for text in super().feed(_TELNET.sub(b"", data)):
            line = ShellLine(text)
            line.connection = self
            lines.append(line)
        return lines
