"""A command sequence as CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING

from camtest.core.page import page, pairs
from camtest.core.sequence.entries import Step
from camtest.core.sequence.views import timeline_svg
from camtest.core.values import as_text

if TYPE_CHECKING:
    from camtest.core.sequence.sequence import CommandSequence

CSV_COLUMNS = (
    "id",
    "time_s",
    "kind",
    "block",
    "device",
    "name",
    "arguments",
    "result",
    "error",
    "source",
    "red_line",
    "mode",
)
_MOST_ROWS = 2_000
"""A page in a notebook shows so many entries at most; exports have all of them."""


def to_csv(sequence: CommandSequence, *, times: bool) -> str:
    """Returns one line per entry, with a header line; arguments and results as JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for entry in sequence.walk():
        writer.writerow(
            [
                entry.id,
                f"{entry.start:.3f}" if times else "",
                entry.kind,
                entry.block,
                entry.device,
                entry.name,
                json.dumps(entry.arguments, ensure_ascii=False),
                "" if entry.result is None else json.dumps(entry.result, ensure_ascii=False),
                entry.error,
                entry.source,
                entry.red_line,
                sequence.mode,
            ]
        )
    return buffer.getvalue()


def to_markdown(sequence: CommandSequence, *, times: bool) -> str:
    """Returns a table for review, in Markdown; what is repeated is one line."""
    head = ["time [s]", "block", "call", "result", "source"] if times else ["block", "call", "source"]
    title = sequence.heading() if times else f"{sequence.title or 'Command sequence'} [{sequence.mode}]"
    lines = [
        f"# {title}",
        "",
        f"- mode: {sequence.mode}",
        *(f"- {key}: {as_text(value)}" for key, value in sequence.details.items()),
        "",
        f"| {' | '.join(head)} |",
        f"|{'|'.join(' ---: ' if name == 'time [s]' else ' --- ' for name in head)}|",
    ]
    for step in sequence.steps():
        cells = _cells(step, times=times)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    if sequence.unanswered:
        lines += ["", "Queries that nobody answered:", ""]
        lines += [f"- `{call}`" for call in dict.fromkeys(entry.call for entry in sequence.unanswered)]
    return "\n".join(lines) + "\n"


def _cells(step: Step, *, times: bool) -> list[str]:
    entry = step.entry
    mark = f" **RED LINE {entry.red_line}**" if entry.red_line else ""
    indent = "&nbsp;&nbsp;" * step.level
    if not times:
        return [
            entry.block,
            f"{indent}`{entry.call}`{' (repeated)' if step.times > 1 else ''}{mark}",
            entry.source,
        ]
    call = f"{indent}`{entry.call}`{step.repeated}{mark}"
    return [f"{entry.start:.3f}", entry.block, call, step.last.outcome, entry.source]


def rows(sequence: CommandSequence, most: int | None = None) -> str:
    """Returns the rows of the HTML table of a sequence, repeated polls folded."""
    found = sequence.steps()
    parts = []
    for step in found[:most]:
        entry, last = step.entry, step.last
        kind = f"{entry.kind}{' query' if entry.query else ''}{' error' if last.error else ''}"
        kind += " redline" if entry.red_line else ""
        mark = f" <b>RED LINE {escape(entry.red_line)}</b>" if entry.red_line else ""
        parts.append(
            f'<tr class="{kind}" id="{escape(entry.id, quote=True)}"><td class="number">{entry.start:.3f}</td>'
            f'<td style="padding-left:{0.4 + 1.3 * step.level:.1f}em"><code>{escape(entry.call)}</code>'
            f"{escape(step.repeated)}{mark}</td><td>{escape(last.outcome)}</td><td>{escape(entry.source)}</td></tr>"
        )
    left = 0 if most is None else len(found) - most
    if left > 0:
        parts.append(f'<tr><td></td><td colspan="3">... and {left} more: print() or export() it</td></tr>')
    return "".join(parts)


def table_html(sequence: CommandSequence, most: int | None = None) -> str:
    """Returns the HTML table of a sequence."""
    head = "<tr><th>time [s]</th><th>call</th><th>result</th><th>source</th></tr>"
    return f'<table class="sequence">{head}{rows(sequence, most)}</table>'


def unanswered_html(sequence: CommandSequence) -> str:
    """Returns the list of queries that nobody answered, empty when there are none."""
    calls = dict.fromkeys(entry.call for entry in sequence.unanswered)
    if not calls:
        return ""
    items = "".join(f"<li><code>{escape(call)}</code></li>" for call in calls)
    return f'<p class="warning">Queries that nobody answered:</p><ul>{items}</ul>'


def fragment(sequence: CommandSequence) -> str:
    """Returns the sequence for display in a notebook."""
    return (
        f"<details open><summary><b>{escape(sequence.heading())}</b></summary>"
        f"{unanswered_html(sequence)}{table_html(sequence, _MOST_ROWS)}</details>"
    )


def to_html(sequence: CommandSequence) -> str:
    """Returns a page of its own."""
    details = {"mode": sequence.mode, **{key: as_text(value) for key, value in sequence.details.items()}}
    body = (
        f"<h1>{escape(sequence.heading())}</h1>{pairs(details)}{timeline_svg(sequence)}"
        f"{unanswered_html(sequence)}{table_html(sequence)}"
    )
    return page(sequence.title or "Command sequence", body, mode=sequence.mode)


def text_for(name: str, sequence: CommandSequence, *, times: bool) -> str:
    """Returns the content of an exported file.

    Args:
        name: of the file; its suffix names the format.
        sequence: what is exported.
        times: with times.

    Raises:
        ValueError: when there is no such format.
    """
    writers: dict[str, Callable[[], str]] = {
        ".json": lambda: sequence.to_json(times=times),
        ".yaml": lambda: sequence.to_yaml(times=times),
        ".yml": lambda: sequence.to_yaml(times=times),
        ".csv": lambda: sequence.to_csv(times=times),
        ".md": lambda: sequence.to_markdown(times=times),
        ".html": sequence.to_html,
        ".txt": sequence.to_text,
    }
    suffix = PurePath(name).suffix
    if suffix not in writers:
        raise ValueError(f"cannot export to {name}: the suffix must be one of {', '.join(sorted(writers))}")
    return writers[suffix]()
