"""Nested mappings drawn as a tree: Settings, Setup, status reports.

The plain form is what `print()` shows (manual ch. 17.1) and what ends up in log files; the rich form is for terminals,
the HTML form for notebooks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.tree import Tree


def format_tree(label: str, tree: Mapping[str, Any]) -> str:
    """Draws a nested mapping with line characters, one key on a line.

    Args:
        label: the first line, the name of the root.
        tree: branches are mappings; anything else is a leaf and printed with `str()`, further lines indented.

    Returns:
        The lines, without a newline at the end.
    """
    return "\n".join([label, *_lines(tree, "")])


def _lines(tree: Mapping[str, Any], indent: str) -> Iterator[str]:
    last = len(tree) - 1
    for position, (key, value) in enumerate(tree.items()):
        joint, rail = ("└── ", "    ") if position == last else ("├── ", "│   ")
        if isinstance(value, Mapping):
            yield f"{indent}{joint}{key}"
            yield from _lines(value, indent + rail)
        else:
            first, *rest = str(value).splitlines() or [""]
            yield f"{indent}{joint}{key}: {first}".rstrip()
            yield from (f"{indent}{rail}    {line}" for line in rest)


def indented_lines(tree: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yields a nested mapping line by line, branches indented by 4 blanks (manual ch. 8.4).

    Args:
        tree: as for `format_tree`.
        indent: what every line begins with.
    """
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from indented_lines(value, indent + "    ")
        else:
            first, *rest = str(value).splitlines() or [""]
            yield f"{indent}{key}: {first}".rstrip()
            yield from (f"{indent}    {line}" for line in rest)


_HTML_STYLE = (
    "font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 13px); "
)
_HTML_LEAF = (
    '<div style="margin-left: 2.2em; white-space: pre-wrap">{}: <span style="color: {}">{}</span></div>'
)
_HTML_COLOUR = "var(--jp-mirror-editor-string-color, #a31515)"


def html_tree(label: str, tree: Mapping[str, Any]) -> str:
    """Draws a nested mapping as HTML whose branches open and close by a click; no script, nothing from elsewhere.

    Args:
        label: the name of the root, which is open.
        tree: as for `format_tree`; texts are escaped.
    """
    return f'<div style="{_HTML_STYLE}">{_html_branch(label, tree, is_open=True)}</div>'


def _html_branch(label: str, tree: Mapping[str, Any], is_open: bool = False) -> str:
    rows = [
        _html_branch(str(key), value)
        if isinstance(value, Mapping)
        else _HTML_LEAF.format(escape_text(str(key)), _HTML_COLOUR, escape_text(str(value)))
        for key, value in tree.items()
    ]
    summary = f"<summary><b>{escape_text(label)}</b></summary>"
    state = " open" if is_open else ""
    return f'<details{state} style="margin-left: 1.1em">{summary}{"".join(rows)}</details>'


def rich_tree(label: str, tree: Mapping[str, Any]) -> Tree:
    """Builds the same tree for `rich.print()`.

    Args:
        label: the name of the root.
        tree: as for `format_tree`.

    Returns:
        A `rich.tree.Tree`; texts are taken literally, never as rich mark-up.
    """
    from rich.tree import Tree

    root = Tree(label, guide_style="dim")
    _grow(root, tree)
    return root


def _grow(branch: Tree, tree: Mapping[str, Any]) -> None:
    from rich.text import Text

    for key, value in tree.items():
        if isinstance(value, Mapping):
            _grow(branch.add(Text(str(key), style="bold")), value)
        else:
            branch.add(Text.assemble(f"{key}: ", (str(value), "cyan")))


def escape_text(text: str) -> str:
    """Returns a text as it stands in HTML."""
    import html  # only notebooks need it

    return html.escape(text)
