"""Looks a Setup through without using it: what would go wrong when its keys are read?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from egse.setup.directives import is_directive, split_directive
from egse.setup.errors import DirectiveError, SetupError
from egse.setup.navdict import NavigableDict
from egse.setup.origin import Explain
from egse.setup.trust import load_class

_MAKES_OBJECTS = ("class", "factory")


def check_tree(tree: NavigableDict, classes: bool = True) -> Iterator[str]:
    """Finds special values that cannot be resolved: files, classes, enums, unknown prefixes; also in `yaml//` files.

    Files are read and classes are imported, but no object is made and nothing is connected to.

    Args:
        tree: the Setup, or a branch of it.
        classes: whether to import the classes of `class//` and `factory//`.

    Yields:
        What is wrong, with file, line and key path.
    """
    for key in tree:
        raw = tree.get_raw_value(key)
        value: Any = raw
        if is_directive(raw):
            try:
                value = _resolve(tree, key, raw, classes)
            except (SetupError, OSError, ImportError) as exc:
                yield _one_line(exc)
                continue
        if isinstance(value, NavigableDict):
            yield from check_tree(value, classes)


def _resolve(tree: NavigableDict, key: str, raw: str, classes: bool) -> Any:
    with Explain(tree, key, raw):
        directive, text = split_directive(raw)
        if directive.name in _MAKES_OBJECTS:
            if classes:
                load_class(text)
            return None
    return tree[key]


def _one_line(exc: Exception) -> str:
    notes = getattr(exc, "__notes__", [])
    return "; ".join([str(exc), *([] if isinstance(exc, DirectiveError) else notes)])
