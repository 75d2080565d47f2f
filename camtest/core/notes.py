"""Notes on observations after the fact: what a person says about the quality of the data.

A note is a small text file `note-<time>.md`, added to the sealed folder as a supplement: nothing that was recorded is
changed, and no note can be removed or altered unnoticed.
"""

from __future__ import annotations

import getpass
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from camtest.core import services

Quality = Literal["good", "suspect", "bad", ""]
QUALITIES = ("good", "suspect", "bad")

_HEAD = re.compile(r"^(by|quality|time): (.*)$")


@dataclass(frozen=True)
class Note:
    """A note.

    Attributes:
        text: what was said.
        by: who.
        quality: good, suspect or bad; empty when the note is not about that.
        time: UTC.
    """

    text: str
    by: str
    quality: str = ""
    time: str = ""

    def to_text(self) -> str:
        """Returns the note as it stands in its file."""
        lines = [f"by: {self.by}", f"time: {self.time}"]
        if self.quality:
            lines.append(f"quality: {self.quality}")
        return "\n".join([*lines, "", self.text.strip(), ""])

    @classmethod
    def from_text(cls, text: str) -> Note:
        """Reads a note; any other text is one of nobody in particular."""
        head, _, body = text.partition("\n\n")
        known = {match[1]: match[2] for line in head.splitlines() if (match := _HEAD.match(line))}
        if "by" not in known:
            return cls(text.strip(), "")
        return cls(body.strip(), known["by"], known.get("quality", ""), known.get("time", ""))


def add_note(obsid: int | str, text: str, *, quality: Quality = "", by: str = "") -> Path:
    """Adds a note to an observation, open or closed, through the storage manager.

    Args:
        obsid: the observation, in any form.
        text: what is to be said.
        quality: good, suspect or bad: what this says about the data.
        by: who says it; the name of this account by default.

    Returns:
        Path of the note, as the storage manager sees it.

    Raises:
        ValueError: when there is no text, or `quality` is none.
        ConnectionError: when the storage manager is not there.
        StorageError: when there is no such observation.
    """
    if not text.strip():
        raise ValueError("a note needs a text")
    if quality and quality not in QUALITIES:
        raise ValueError(f"{quality!r} is no quality; use {', '.join(QUALITIES)}")
    now = time.gmtime()
    note = Note(text, by.strip() or getpass.getuser(), quality, time.strftime("%Y-%m-%dT%H:%M:%S+0000", now))
    name = f"note-{time.strftime('%Y%m%dT%H%M%S', now)}-{secrets.token_hex(2)}.md"
    with services.storage_manager(timeout=30.0) as storage:
        return Path(storage.add_supplement(obsid=str(obsid), name=name, data=note.to_text().encode()))
