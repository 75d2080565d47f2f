"""HTML pages that stand alone: no script, no network, readable in ten years."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 1em;color:#222}
h1{font-size:1.5em}h2{font-size:1.15em;border-bottom:1px solid #bbb;margin-top:2em}
table{border-collapse:collapse;margin:.6em 0}td,th{padding:.15em .6em;text-align:left;vertical-align:top}
th{background:#eef}tr:nth-child(even){background:#f8f8fb}td.number{text-align:right;white-space:nowrap}
code,pre{font:12.5px ui-monospace,monospace}pre{background:#f5f5f5;padding:.6em;overflow:auto;max-height:40em}
tr.block code{font-weight:bold;color:#1f4e8c}tr.query{color:#667}tr.error td{color:#a00}
tr.redline td,div.redline{background:#ffe1e1;border-left:4px solid #d00000}div.redline{padding:.4em .8em;margin:.5em 0}
.warning{color:#9a5b00;font-weight:bold}.mode{display:inline-block;padding:.15em .8em;border-radius:.3em;color:#fff}
.operations{background:#1a6e3c}.simulator{background:#2b5fa8}.dry-run{background:#b36b00}.bad{color:#a00}.good{color:#1a6e3c}
"""


def page(title: str, body: str, *, mode: str = "") -> str:
    """Returns a page.

    Args:
        title: shown in the tab of the browser.
        body: HTML.
        mode: stands as a banner at the top.
    """
    banner = f'<div class="mode {escape(mode)}">{escape(mode)}</div>' if mode else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{banner}{body}</body></html>\n"
    )


def pairs(values: Mapping[str, Any]) -> str:
    """Returns a table of names and values; values that are empty are left out."""
    found = [(key, value) for key, value in values.items() if value not in (None, "", {}, [])]
    cells = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in found)
    return f"<table>{cells}</table>" if cells else ""


def rows(columns: Iterable[str], lines: Iterable[Iterable[Any]]) -> str:
    """Returns a table with a header line."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in line) + "</tr>" for line in lines
    )
    return f"<table><tr>{head}</tr>{body}</table>"
