"""A command sequence: its timeline, and the tree of building blocks and commands to open and close."""

from __future__ import annotations

from html import escape

from camtest.core.sequence import CommandSequence
from camtest.core.sequence.entries import Step
from camtest.core.sequence.views import timeline_svg
from camtest.display.markup import BAD, DIM, GOOD, WARN, block, fold

MOST = 2000
"""Lines of the tree; more are told and left out: a saved notebook has to stay small."""


def as_text(sequence: CommandSequence) -> str:
    """Returns the sequence as an indented list."""
    return sequence.to_text()


def as_html(sequence: CommandSequence) -> str:
    """Returns timeline and tree; repeated polls are one line."""
    steps = sequence.steps()
    shown = steps[:MOST]
    branches, position = [], 0
    while position < len(shown):
        text, position = _branch(shown, position)
        branches.append(text)
    if len(steps) > MOST:
        branches.append(f"<p>... and {len(steps) - MOST} more lines: print() or export() the sequence</p>")
    missing = dict.fromkeys(entry.call for entry in sequence.unanswered)
    warning = "".join(f"<li><code>{escape(call)}</code></li>" for call in missing)
    return block(
        f"<b>{escape(sequence.heading())}</b>",
        timeline_svg(sequence),
        f'<p style="color:{WARN}">Queries that nobody answered:</p><ul>{warning}</ul>' if missing else "",
        fold("building blocks and commands", "".join(branches), is_open=True) if shown else "",
    )


def _branch(steps: list[Step], position: int) -> tuple[str, int]:
    """Returns an entry with what is below it, and where the next one is."""
    step = steps[position]
    position += 1
    below = []
    while position < len(steps) and steps[position].level > step.level:
        text, position = _branch(steps, position)
        below.append(text)
    margin = 'style="margin-left:1.3em"'
    if not below:
        return f"<div {margin}>{_line(step)}</div>", position
    is_open = " open" if step.level < 2 else ""
    return f"<details{is_open} {margin}><summary>{_line(step)}</summary>{''.join(below)}</details>", position


def _line(step: Step) -> str:
    entry, last = step.entry, step.last
    weight = "bold" if entry.kind == "block" else "normal"
    call = f'<code style="font-weight:{weight}">{escape(entry.call)}</code>{escape(step.repeated)}'
    outcome = (
        f' <span style="color:{BAD if last.error else GOOD}">&rarr; {escape(last.outcome)}</span>'
        if last.outcome
        else ""
    )
    mark = f' <b style="color:{BAD}">RED LINE {escape(entry.red_line)}</b>' if entry.red_line else ""
    return f'<span style="color:{DIM}">{entry.start:.3f} s</span> {call}{outcome}{mark}'
