"""What differs between two Setups, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from egse.setup.digest import digest_of
from egse.setup.navdict import NavigableDict
from egse.setup.setup import Setup
from egse.tree import escape_text

Kind = Literal["added", "removed", "changed"]
_SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "changed": "~"}
_COLOURS: dict[Kind, str] = {"added": "#1a7f37", "removed": "#cf222e", "changed": "#9a6700"}


@dataclass(frozen=True)
class Change:
    """One value that differs.

    Attributes:
        keys: the keys that lead to it.
        kind: added, removed or changed.
        old: the value before, as written; None when added.
        new: the value after, as written; None when removed.
    """

    keys: tuple[str, ...]
    kind: Kind
    old: Any
    new: Any

    @property
    def path(self) -> str:
        """The keys with dots, and with brackets where a key is no Python name: `gse.hexapod["a key"]`."""
        path = ""
        for key in self.keys:
            path += (f".{key}" if path else key) if key.isidentifier() else f"[{key!r}]"
        return path

    def __str__(self) -> str:
        values = {"added": [self.new], "removed": [self.old], "changed": [self.old, self.new]}[self.kind]
        return f"{_SIGNS[self.kind]} {self.path}: {' -> '.join(map(repr, values))}"


class SetupDiff(list[Change]):
    """The changes that lead from one Setup to another; empty, and false, when they say the same.

    Attributes:
        old: name of the first Setup.
        new: name of the second.
    """

    def __init__(self, changes: Iterator[Change], old: str, new: str) -> None:
        super().__init__(changes)
        self.old, self.new = old, new

    @property
    def title(self) -> str:
        """What was compared, and how many values differ."""
        count = {0: "no difference", 1: "1 difference"}.get(len(self), f"{len(self)} differences")
        return f"{self.old} -> {self.new}: {count}"

    def to_list(self) -> list[dict[str, Any]]:
        """Returns the changes as ordinary data: `path`, `keys`, `kind`, `old`, `new`."""
        return [
            {"path": c.path, "keys": list(c.keys), "kind": c.kind, "old": c.old, "new": c.new} for c in self
        ]

    def __str__(self) -> str:
        return "\n".join([self.title, *map(str, self)])

    __repr__ = __str__

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.to_html()}

    def to_html(self) -> str:
        """Returns the changes as an HTML table."""
        rows = "".join(map(_row, self))
        table = (
            f"<table><tr><th></th><th>key</th><th>before</th><th>after</th></tr>{rows}</table>"
            if self
            else ""
        )
        return f"<div><b>{escape_text(self.title)}</b>{table}</div>"


def diff_setups(old: Mapping[str, Any], new: Mapping[str, Any]) -> SetupDiff:
    """Compares two Setups, or two branches, value by value as written.

    Order of keys, comments and notation make no difference; `1` and `1.0` do.

    Args:
        old: the first.
        new: the second.
    """
    return SetupDiff(_changes(old, new, ()), _name(old, "old"), _name(new, "new"))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[Change]:
    before, after = _raw(old), _raw(new)
    for key in [*before, *(key for key in after if key not in before)]:
        place = (*keys, key)
        if key not in after:
            yield from _whole(before[key], place, "removed")
        elif key not in before:
            yield from _whole(after[key], place, "added")
        elif isinstance(before[key], Mapping) and isinstance(after[key], Mapping):
            yield from _changes(before[key], after[key], place)
        elif digest_of({"": before[key]}) != digest_of({"": after[key]}):
            yield Change(place, "changed", _plain(before[key]), _plain(after[key]))


def _whole(value: Any, keys: tuple[str, ...], kind: Kind) -> Iterator[Change]:
    """Yields the leaves of something that is only on one side."""
    if isinstance(value, Mapping) and value:
        for key, item in _raw(value).items():
            yield from _whole(item, (*keys, key), kind)
    else:
        plain = _plain(value)
        yield Change(keys, kind, plain if kind == "removed" else None, plain if kind == "added" else None)


def _raw(tree: Mapping[str, Any]) -> dict[str, Any]:
    return dict(dict.items(tree) if isinstance(tree, dict) else tree.items())


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, NavigableDict) else value


def _name(tree: Mapping[str, Any], otherwise: str) -> str:
    if not isinstance(tree, Setup):
        return otherwise
    number = tree.get_id()
    changed = " (changed)" if number and tree.is_dirty() else ""
    return f"Setup {number}{changed}" if number else otherwise


def _row(change: Change) -> str:
    cells = [
        f'<td style="color: {_COLOURS[change.kind]}"><b>{_SIGNS[change.kind]}</b></td>',
        f'<td style="text-align: left"><code>{escape_text(change.path)}</code></td>',
        _cell(change.old, change.kind != "added"),
        _cell(change.new, change.kind != "removed"),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(value: Any, is_there: bool) -> str:
    return f'<td style="text-align: left">{escape_text(repr(value)) if is_there else ""}</td>'
