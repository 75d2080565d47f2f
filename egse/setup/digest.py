"""A fingerprint of what a Setup says, whatever way it is written."""

from __future__ import annotations

import enum
import hashlib
import json
import marshal
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any


class DigestCache:
    """Remembers the fingerprint of a tree until the tree changes.

    Assignments are told by the revision of the tree. Lists and the like can be changed in place without anybody
    noticing; they are therefore looked at every time, which is cheap because there are few of them.
    """

    def __init__(self) -> None:
        self._revision = -1
        self._mutable: list[tuple[Any, bytes]] = []
        self._digest = ""

    def get(self, tree: Mapping[str, Any], revision: int) -> str:
        """Returns the fingerprint of `tree`.

        Args:
            tree: the content.
            revision: a number that is higher after every assignment in the tree.
        """
        if revision != self._revision or any(_snapshot(value) != seen for value, seen in self._mutable):
            self._mutable = [(value, _snapshot(value)) for value in _mutable_leaves(tree)]
            self._digest = digest_of(tree)
            self._revision = revision
        return self._digest


def digest_of(tree: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a nested mapping, 64 hexadecimal digits.

    The order of keys does not matter, nor does the notation of a value in a file (`0.1` or `1.000000E-01`, a tuple or a
    list, a numpy number or a float): what is read back after saving has the same fingerprint. `1` and `1.0` differ.
    """
    return hashlib.sha256(_encode(tree).encode()).hexdigest()


def _encode(value: Any) -> str:
    return json.dumps(_normal(value), sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _normal(value: Any) -> Any:
    """Returns a value in terms of JSON, as it would be after saving and loading."""
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, Mapping):
        items = dict.items(value) if isinstance(value, dict) else value.items()
        return {str(key): _normal(item) for key, item in items}
    if isinstance(value, enum.Enum):
        return _normal(value.value)
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, bytes):
        return ["bytes//", value.hex()]
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # numpy, without importing it
        return _normal(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [_normal(item) for item in value]
    if hasattr(value, "isoformat"):
        return ["date//", value.isoformat()]
    return ["object//", f"{type(value).__module__}.{type(value).__qualname__}"]  # cannot be saved anyway


def _snapshot(value: Any) -> bytes:
    """Returns bytes that change when the value does; only compared, never read back."""
    try:
        return marshal.dumps(value, 2)  # version 2: equal values give equal bytes
    except ValueError:
        return _encode(value).encode()


def _mutable_leaves(tree: Mapping[str, Any]) -> list[Any]:
    items = dict.values(tree) if isinstance(tree, dict) else tree.values()
    found = []
    for value in items:
        if isinstance(value, Mapping):
            found += _mutable_leaves(value)
        elif not isinstance(value, str | int | float | bytes | None):
            found.append(value)
    return found
