"""Which Setup a command was issued under, as text that travels with it: `00053@1a2b3c4d`, edited `00053@5e6f7a8b+edited`."""

from __future__ import annotations

import re
import time
from typing import Self

import msgspec

from egse.context import follow_setup
from egse.setup.setup import Setup

_TEXT = re.compile(r"(\d{5,})(?:@([0-9a-f]{8}))?(\+edited)?")
DIGITS = 8
"""How many digits of the fingerprint a stamp has."""
LOOK_AGAIN = 1.0
"""How long a change inside a list of the Setup may go unnoticed by the stamp [s]; assignments are noticed at once."""


class SetupStamp(msgspec.Struct, frozen=True):
    """A Setup as commands and journals name it.

    Attributes:
        id: five digits; empty for a Setup that was never submitted.
        digest: the first digits of the fingerprint of its content (`Setup.digest`), empty when not known.
        dirty: the content was changed after the Setup had been loaded, and not submitted.
    """

    id: str
    digest: str = ""
    dirty: bool = False

    def __str__(self) -> str:
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.id or '00000'}{digest}{'+edited' if self.dirty else ''}"

    @classmethod
    def of(cls, setup: Setup) -> Self:
        """Returns the stamp of a Setup as it is now."""
        return cls(setup.get_id() or "", setup.digest()[:DIGITS], setup.is_dirty())

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads a stamp as it travels; None for a text that is none, and for an empty one."""
        found = _TEXT.fullmatch(text)
        return None if found is None else cls(found[1], found[2] or "", bool(found[3]))

    def agrees_with(self, other: SetupStamp) -> bool:
        """Says whether both name the same Setup; local edits count as the Setup that they started from."""
        if self.id != other.id:
            return False
        return self.dirty or other.dirty or not (self.digest and other.digest) or self.digest == other.digest


class _StampOf:
    """The stamp of one Setup, kept until the Setup changes: it is asked for with every command."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._text = ""
        self._seen: tuple[int, float] = (-1, 0.0)

    def __call__(self) -> str:
        revision, until = self._seen
        if self._setup.revision != revision or time.monotonic() > until:
            self._seen = (self._setup.revision, time.monotonic() + LOOK_AGAIN)
            self._text = str(SetupStamp.of(self._setup))
        return self._text


def issue_commands_under(setup: Setup | None) -> None:
    """Has all commands of this process carry the stamp of a Setup from now on; None for no Setup."""
    follow_setup(None if setup is None else _StampOf(setup))
