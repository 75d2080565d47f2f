"""Pieces of HTML that all displays are made of: they follow the theme of JupyterLab and need nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

GOOD, BAD, WARN, DIM = "#1a7f37", "#cf222e", "#b36b00", "#6e7781"

STATUS_COLOURS = {
    "done": GOOD,
    "running": GOOD,
    "open": "#2b5fa8",
    "failed": BAD,
    "aborted": BAD,
    "fatal": BAD,
    "ERROR": BAD,
    "CRITICAL": BAD,
    "WARNING": WARN,
    "DEBUG": DIM,
}


class Cell(NamedTuple):
    """A cell of a table: its text, and how it looks.

    Attributes:
        text: what stands in it; escaped.
        style: CSS.
    """

    text: str
    style: str = ""


def badge(text: str, colour: str = "") -> str:
    """Returns a word on a coloured ground; the colour of a status when none is given."""
    ground = colour or STATUS_COLOURS.get(text, DIM)
    return (
        f'<span style="background:{ground};color:#fff;padding:0.05em 0.5em;border-radius:3px">'
        f"{escape(text)}</span>"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, left: int = 1) -> str:
    """Returns a table.

    Args:
        head: its columns.
        rows: texts, escaped; or `Cell`s with a style.
        left: how many columns are aligned to the left; the others to the right.
    """
    parts = ["<table><thead><tr>", *(f"<th>{escape(name)}</th>" for name in head), "</tr></thead><tbody>"]
    for row in rows:
        parts.append("<tr>")
        for column, cell in enumerate(row):
            text, style = cell if isinstance(cell, Cell) else (cell, "")
            side = "left" if column < left else "right"
            parts.append(f'<td style="text-align:{side};{style}">{escape(text)}</td>')
        parts.append("</tr>")
    return "".join([*parts, "</tbody></table>"])


def pairs(facts: Iterable[tuple[str, str]]) -> str:
    """Returns names and values, one pair a line; the values are HTML already."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{value}</td></tr>'
        for name, value in facts
    )
    return f"<table><tbody>{rows}</tbody></table>"


def fold(title: str, content: str, *, is_open: bool = False) -> str:
    """Returns something to open and close by a click; `title` is escaped, `content` is HTML."""
    return f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>{content}</details>"


def block(*parts: str) -> str:
    """Returns one display made of parts."""
    return f'<div class="camtest-display">{"".join(parts)}</div>'


def code(text: str) -> str:
    """Returns text in the type face of code, lines kept."""
    return f'<pre style="margin:0.2em 0;line-height:1.3">{escape(text)}</pre>'


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Returns a table as text: columns aligned, two blanks between them.

    Args:
        head: its columns.
        rows: texts.
        left: how many columns are aligned to the left; the others to the right.
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
