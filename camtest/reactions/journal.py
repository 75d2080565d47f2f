"""The journal of reactions, `<data>/<SITE>/reactions/reactions.jsonl`: what was announced, begun, and how it ended.

A record is on disk before the reaction goes on, so that a restart neither forgets nor repeats anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from camtest.reactions.book import ReactionEvent
from egse.confman.recordfile import DamagedRecordError, RecordFile, decode_line, read_lines
from egse.files import make_folder

FOLDER, FILENAME = "reactions", "reactions.jsonl"
"""In the data folder of the site."""


class ReactionJournal:
    """Appends events.

    Args:
        site: data folder of the site.
    """

    def __init__(self, site: Path) -> None:
        self.path = site / FOLDER / FILENAME
        make_folder(self.path.parent, 0o700)
        self._file = RecordFile(self.path)

    def write(self, event: ReactionEvent) -> None:
        """Adds an event, which is on disk afterwards.

        Raises:
            OSError: when it cannot be written.
        """
        self._file.append(msgspec.to_builtins(event))


def read_reactions(site: Path) -> Iterator[ReactionEvent]:
    """Yields the events of a site, oldest first; damaged lines are left out."""
    for _, line in read_lines(site / FOLDER / FILENAME):
        try:
            yield msgspec.convert(decode_line(line), ReactionEvent)
        except (DamagedRecordError, msgspec.ValidationError):
            continue
