"""The static form of a panel: tables as text and as HTML that need no kernel, no script and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = {"ok": "#1e8449", "warn": "#b9770e", "bad": "#c0392b", "off": "#7f8c8d", "info": "#1f618d"}


@dataclass(frozen=True)
class Section:
    """A part of it.

    Attributes:
        heading: above the table.
        rows: name, value, unit, state (see `camtest.panels.board`).
        picture: a PNG below the table; empty for none.
        caption: of the picture.
    """

    heading: str
    rows: tuple[tuple[str, str, str, str], ...] = ()
    picture: bytes = b""
    caption: str = ""


def as_text(sections: Sequence[Section]) -> str:
    """Returns the tables as text."""
    lines: list[str] = []
    for section in sections:
        lines.append(section.heading)
        width = max((len(row[0]) for row in section.rows), default=0)
        for name, value, unit, state in section.rows:
            verdict = {"warn": "  WARNING", "bad": "  BAD"}.get(state, "")
            lines.append(f"  {name:<{width}}  {value}{' ' + unit if unit else ''}{verdict}")
        if section.picture:
            lines.append(f"  [picture: {section.caption}]")
    return "\n".join(lines)


def as_html(sections: Sequence[Section], when: str, *, opened: bool = True) -> str:
    """Returns the tables as HTML.

    Args:
        sections: what to show.
        when: moment of the state, UTC text.
        opened: shown at once; otherwise a line that unfolds.
    """
    parts = [
        f'<details class="camtest-static"{" open" if opened else ""} data-at="{escape(when)}">'
        f'<summary style="font-size:11px;opacity:.7">{escape(sections[0].heading)}, as it was at {escape(when)}</summary>'
    ]
    for section in sections:
        parts.append(f"<b>{escape(section.heading)}</b><table>")
        for name, value, unit, state in section.rows:
            colour = f' style="color:{COLOURS[state]}"' if state in COLOURS else ""
            parts.append(
                f'<tr><td style="text-align:left">{escape(name)}</td><td{colour}><b>{escape(value)}</b></td>'
                f"<td>{escape(unit)}</td></tr>"
            )
        parts.append("</table>")
        if section.picture:
            from base64 import b64encode

            data = b64encode(section.picture).decode()
            parts.append(f'<img alt="{escape(section.caption)}" src="data:image/png;base64,{data}">')
    return "".join([*parts, "</details>"])
