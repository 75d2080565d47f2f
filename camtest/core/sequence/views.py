"""A command sequence as text, tree, table and timeline."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table
    from rich.tree import Tree

    from camtest.core.sequence.entries import Step
    from camtest.core.sequence.sequence import CommandSequence

_BLOCK, _COMMAND, _QUERY, _ERROR, _RED_LINE = "#4c72b0", "#333333", "#9aa5b1", "#c44e52", "#d00000"


def to_text(sequence: CommandSequence) -> str:
    """Returns the sequence as an indented list, one entry a line, with a mark for red lines."""
    lines = [sequence.heading()]
    for step in sequence.steps(folded=False):
        entry = step.entry
        outcome = f"  -> {entry.outcome}" if entry.outcome else ""
        mark = f"  [RED LINE {entry.red_line}]" if entry.red_line else ""
        lines.append(f"{entry.start:>10.3f} s  {'  ' * step.level}{entry.call}{outcome}{mark}")
    lines += [f"nobody answered {entry.call} [{entry.id}]" for entry in sequence.unanswered]
    return "\n".join(lines)


def tree(sequence: CommandSequence, *, folded: bool) -> Tree:
    """Returns the sequence as a tree for `rich`."""
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text(sequence.heading(), style="bold"))
    branches = [root]
    for step in sequence.steps(folded=folded):
        entry, last = step.entry, step.last
        style = "bold cyan" if entry.kind == "block" else ""
        label = Text.assemble(
            (f"{entry.start:9.3f} s  ", "dim"),
            (entry.call, "bold red" if entry.red_line else style),
            (f"  -> {last.outcome}" if last.outcome else "", "red" if last.error else "green"),
            (step.repeated, "dim"),
            (f"  [RED LINE {entry.red_line}]" if entry.red_line else "", "bold red"),
        )
        del branches[step.level + 1 :]
        branches.append(branches[step.level].add(label))
    if sequence.unanswered:
        missing = root.add(Text("queries that nobody answered", style="bold yellow"))
        for call in dict.fromkeys(entry.call for entry in sequence.unanswered):
            missing.add(Text(call, style="yellow"))
    return root


def table(sequence: CommandSequence) -> Table:
    """Returns the sequence as a table for `rich`."""
    from rich.table import Table
    from rich.text import Text

    result = Table(title=sequence.heading())
    for column in ("time [s]", "device", "call", "result", "source"):
        result.add_column(column, justify="right" if column == "time [s]" else "left", overflow="fold")
    for step in sequence.steps(folded=False):
        entry = step.entry
        style = "bold cyan" if entry.kind == "block" else ("red" if entry.error else None)
        call = f"{'  ' * step.level}{entry.name}({entry.argument_text})"
        call += f"  [RED LINE {entry.red_line}]" if entry.red_line else ""
        cells = (f"{entry.start:.3f}", entry.device, call, entry.outcome, entry.source)
        style = "bold red" if entry.red_line else style
        result.add_row(*map(Text, cells), style=style)
    return result


class Bar(NamedTuple):
    """Something on a lane of the timeline: start and end [s], colour, text."""

    start: float
    end: float
    colour: str
    text: str


def lanes(sequence: CommandSequence) -> dict[str, list[Bar]]:
    """Returns the lanes of the timeline: building blocks by level first, then one for each device."""
    blocks: dict[str, list[Bar]] = {}
    devices: dict[str, list[Bar]] = {}
    level_of: list[Step] = []
    for step in sequence.steps(folded=False):
        entry = step.entry
        end = entry.start if entry.end is None else entry.end
        del level_of[step.level :]
        level_of.append(step)
        if entry.kind == "block":
            depth = sum(above.entry.kind == "block" for above in level_of)
            colour = _RED_LINE if entry.red_line else _ERROR if entry.error else _BLOCK
            blocks.setdefault(f"blocks {depth}", []).append(Bar(entry.start, end, colour, entry.call))
        elif entry.kind == "command":
            colour = _ERROR if entry.error else _QUERY if entry.query else _COMMAND
            colour = _RED_LINE if entry.red_line else colour
            devices.setdefault(entry.device, []).append(Bar(entry.start, end, colour, entry.call))
    return blocks | devices


def timeline(sequence: CommandSequence) -> Figure:
    """Returns a plot of building blocks and commands over time."""
    from matplotlib.figure import Figure

    found = lanes(sequence)
    figure = Figure(figsize=(11.0, 1.2 + 0.45 * max(1, len(found))), layout="constrained")
    axes = figure.subplots()
    shortest = max(sequence.duration, 1e-3) / 400
    for row, bars in enumerate(found.values()):
        spans = [(bar.start, max(bar.end - bar.start, shortest)) for bar in bars]
        axes.broken_barh(
            spans, (row - 0.35, 0.7), facecolors=[bar.colour for bar in bars], edgecolor="white", lw=0.3
        )
        for bar in bars if next(iter(found)) == list(found)[row] else ():
            if bar.end - bar.start > 0.08 * sequence.duration:
                axes.text(
                    bar.start,
                    row,
                    f" {bar.text.partition('(')[0]}",
                    va="center",
                    fontsize=8,
                    color="white",
                    clip_on=True,
                )
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    axes.set_xlim(0.0, max(sequence.duration, 1e-3))
    axes.set_xlabel("time since the start [s]")
    axes.set_title(f"{sequence.title or 'Command sequence'} [{sequence.mode}]", fontsize=10)
    return figure


_WIDTH, _ROW, _LEFT = 1000, 22, 130


def timeline_svg(sequence: CommandSequence) -> str:
    """Returns the timeline as SVG, for pages that stand alone; empty for an empty sequence."""
    found = lanes(sequence)
    if not found:
        return ""
    scale = _WIDTH / max(sequence.duration, 1e-3)
    height = _ROW * len(found) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 10} {height}" '
        'style="width:100%;font:11px sans-serif" role="img">'
    ]
    for row, (name, bars) in enumerate(found.items()):
        top = row * _ROW
        parts.append(f'<text x="0" y="{top + 15}">{escape(name)}</text>')
        for bar in bars:
            left, width = _LEFT + bar.start * scale, max((bar.end - bar.start) * scale, 1.5)
            parts.append(
                f'<rect x="{left:.1f}" y="{top + 3}" width="{width:.1f}" height="{_ROW - 6}" fill="{bar.colour}">'
                f"<title>{escape(bar.text)} at {bar.start:.3f} s</title></rect>"
            )
    axis = _ROW * len(found)
    for part in range(6):
        at = sequence.duration * part / 5
        parts.append(
            f'<text x="{_LEFT + at * scale:.1f}" y="{axis + 16}" text-anchor="middle">{at:.1f} s</text>'
        )
    return "".join([*parts, "</svg>"])
