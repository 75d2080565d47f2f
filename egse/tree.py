"""Nested mappings drawn as a tree: Settings, Setup, status reports.

The plain form is what `print()` shows (manual ch. 17.1) and what ends up in log files; the rich form is for terminals.
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
