"""A page of HTML that stands alone: style within, nothing from elsewhere, nothing executable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#1f2328;background:#fff;max-width:76rem;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin:1.6rem 0 .4rem;border-bottom:1px solid #d0d7de}
table{border-collapse:collapse;margin:.3rem 0}th,td{padding:.15rem .6rem;border-bottom:1px solid #eaeef2;vertical-align:top}
th{text-align:left;background:#f6f8fa;font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}
p.dim,.dim{color:#6e7781}.good{color:#1a7f37}.warn{color:#9a6700;font-weight:600}.bad{color:#cf222e;font-weight:600}
svg{margin:.4rem 0}details{margin:.3rem 0}pre{white-space:pre-wrap;margin:.2rem 0}
@media print{body{max-width:none;margin:0}h2{break-after:avoid}tr{break-inside:avoid}}
"""

GOOD, WARN, BAD, DIM, NUMBER = "good", "warn", "bad", "dim", "n"
"""Classes of cells."""


class Cell(NamedTuple):
    """A cell of a table: its text, which is escaped, and its classes."""

    text: str
    kind: str = ""


def table(head: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, empty: str = "None.") -> str:
    """Returns a table; `empty` in its place when there are no rows. All texts are escaped."""
    lines = []
    for row in rows:
        cells = (cell if isinstance(cell, Cell) else Cell(cell) for cell in row)
        lines.append(
            "<tr>"
            + "".join(
                f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"
                for text, kind in cells
            )
            + "</tr>"
        )
    if not lines:
        return f'<p class="dim">{escape(empty)}</p>'
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def section(title: str, *parts: str, anchor: str = "") -> str:
    """Returns a part of the page with its heading; the parts are HTML."""
    mark = f' id="{escape(anchor)}"' if anchor else ""
    return f"<section{mark}><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def paragraph(text: str, kind: str = "") -> str:
    """Returns a paragraph; the text is escaped."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def page(title: str, subtitle: str, sections: Iterable[str]) -> str:
    """Returns the whole page.

    Args:
        title: heading, escaped.
        subtitle: the line below, escaped.
        sections: HTML.
    """
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="dim">{escape(subtitle)}</p>{"".join(sections)}</body></html>\n'
    )
