"""Single values of a Setup, for those who can do without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def value_at(setup: Mapping[str, Any] | None, path: str, default: Any = None) -> Any:
    """Returns a value of a Setup by its dotted path, `default` when it is not there."""
    node: Any = setup
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return default
        node = node[key]
    return default if node is None else node
