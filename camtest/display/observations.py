"""The card of an observation: what it is, its building blocks over time, its files, and its images."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from pathlib import Path

from camtest.core.sequence import CommandSequence
from camtest.core.sequence.views import timeline_svg
from camtest.display.markup import badge, block, columns, fold, pairs, table
from egse.archive import Observation
from egse.system import str_to_datetime

PICTURES = 4
"""Pictures of the observation's folder that are shown at most."""
LARGEST_PICTURE = 1_000_000
"""Larger pictures are named only [bytes]: they would become part of the notebook."""


def as_text(observation: Observation) -> str:
    """Returns the card as text."""
    return repr(ObservationCard(observation))


def as_html(observation: Observation) -> str:
    """Returns the card as HTML."""
    return str(ObservationCard(observation)._repr_mimebundle_()["text/html"])


class ObservationCard:
    """An observation at one glance.

    Args:
        observation: running or closed; it is read again, so that the card of a running one is of this moment.
    """

    def __init__(self, observation: Observation) -> None:
        self.observation = Observation(observation.folder)

    @property
    def status(self) -> str:
        """How it ended, or in which state it is."""
        return self.observation.status or self.observation.state

    def _facts(self) -> list[tuple[str, str]]:
        one = self.observation
        facts = [
            ("function", one.function),
            ("description", one.description),
            ("start (UTC)", one.start),
            ("end (UTC)", one.end or "still running"),
            ("duration", _duration(one)),
            ("reason", one.reason),
            ("folder", str(one.folder)),
        ]
        return [(name, value) for name, value in facts if value]

    def _blocks(self) -> list[tuple[str, str]]:
        """Returns the building blocks with how they ended."""
        ended = {event.get("call"): "done" for event in self.observation.events("end")}
        ended |= {event.get("call"): "failed" for event in self.observation.events("failed")}
        others = "not ended" if self.observation.end else "running"
        return [
            (str(event["block"]), ended.get(event.get("call"), others))
            for event in self.observation.events("start")
        ]

    def _files(self) -> list[tuple[str, str]]:
        site = self.observation.site_folder
        return [(str(path.relative_to(site)), _size(path)) for path in self._paths()]

    def _paths(self) -> list[Path]:
        return [*self.observation.files, *self.observation.raw_files]

    def __repr__(self) -> str:
        lines = [f"Observation {self.observation.obsid}: {self.status}"]
        lines += [f"  {name + ':':<14} {value}" for name, value in self._facts()]
        blocks = [(name, state) for name, state in self._blocks()]
        if blocks:
            lines += ["building blocks:", *(f"  {name}: {state}" for name, state in blocks)]
        return "\n".join([*lines, columns(("file", "size [kB]"), self._files())])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        one = self.observation
        files = self._files()
        groups = [
            fold(f"{folder}/ ({len(rows)})", table(("file", "size [kB]"), rows))
            for folder, rows in (
                (folder, [(Path(name).name, size) for name, size in found])
                for folder, found in groupby(files, key=lambda row: str(Path(row[0]).parent))
            )
        ]
        blocks = [f"{escape(name)} {badge(state)}" for name, state in self._blocks()]
        facts = [(name, escape(value)) for name, value in self._facts()]
        if blocks:
            facts.append(("building blocks", "<br>".join(blocks[:20])))
        html = block(
            f"<b>Observation {escape(one.obsid)}</b> {badge(self.status)}",
            pairs(facts),
            self._timeline(),
            *self._pictures(),
            fold(f"{len(files)} files", "".join(groups)),
        )
        return {"text/plain": repr(self), "text/html": html}

    def _timeline(self) -> str:
        """Returns building blocks and commands over time; nothing while there are no commands on disk."""
        if not self.observation.commands and not self.observation.events("start"):
            return ""
        return timeline_svg(CommandSequence.of_observation(self.observation.folder))

    def _pictures(self) -> list[str]:
        """Returns the pictures in its folder."""
        found = [
            path
            for path in self.observation.files
            if path.suffix == ".png" and path.stat().st_size <= LARGEST_PICTURE
        ]
        return [
            f'<figure style="display:inline-block;margin:0.4em"><img alt="{escape(path.name)}" style="max-width:380px" '
            f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
            f"<figcaption>{escape(path.name)}</figcaption></figure>"
            for path in found[:PICTURES]
        ]


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size / 1e3:.1f}"
    except FileNotFoundError:
        return "missing"


def _duration(observation: Observation) -> str:
    if not observation.start:
        return ""
    end = str_to_datetime(observation.end) if observation.end else datetime.now(UTC)
    return f"{(end - str_to_datetime(observation.start)).total_seconds():.1f} s"
