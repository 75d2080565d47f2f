"""Special values of a Setup: `NAME//TEXT` is interpreted when its key is read (manual ch. 8 and 17.1).

| Value | Reading it gives |
|---|---|
| `class//package.module.Class` | a new object, made with the sibling `device_args` (list: by position, mapping: by name) |
| `factory//package.module.Factory` | what `Factory().create(...)` returns for the sibling `device_args`; for a Controller its Proxy, unless `direct: true` is among them (`egse.device.DeviceFactoryInterface`) |
| `int_enum//NAME` | an `IntEnum` made from the sibling `content` |
| `yaml//FILE` | the content of a YAML file, navigable; read only |
| `csv//FILE` | a table of numbers as a 2-D numpy array, any other table as a list of rows of text |
| `pandas//FILE` | a pandas DataFrame; the sibling `separator` says what parts the columns (default `,`) |

Objects are made anew at every reading, so that they follow `device_args` and can be closed; tables, files and enums are
remembered. Paths are relative to the file in which they stand. Further directives are added with `register_directive`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from egse.advice import or_meant
from egse.setup.errors import DirectiveError
from egse.setup.tables import read_csv_table, read_data_frame
from egse.setup.trust import load_class

_PATTERN = re.compile(r"(?P<name>[A-Za-z_][\w-]*)//(?P<text>.*)", re.DOTALL)


class Node(Protocol):
    """What a directive sees of the branch in which it stands."""

    def get_raw_value(self, key: str) -> Any:
        """Returns a value as it was written."""
        ...

    def __contains__(self, key: object, /) -> bool: ...

    def _find_file(self, name: str) -> Path:
        """Returns the file that a directive names."""
        ...

    def _include(self, key: str, path: Path) -> Any:
        """Reads a YAML file as a read-only branch."""
        ...


Resolve = Callable[[Node, str, str], Any]


@dataclass(frozen=True)
class Directive:
    """How a kind of special value is interpreted.

    Attributes:
        name: what stands before `//`.
        resolve: gets the branch, the key and the text after `//`; returns the value.
        memoise: whether the value is kept until the text or one of `siblings` changes.
        siblings: keys of the same branch that the value depends on.
    """

    name: str
    resolve: Resolve
    memoise: bool = False
    siblings: tuple[str, ...] = ()


_DIRECTIVES: dict[str, Directive] = {}


def register_directive(directive: Directive) -> Directive:
    """Makes a directive known.

    Raises:
        ValueError: when the name is taken by another one.
    """
    if _DIRECTIVES.setdefault(directive.name, directive) is not directive:
        raise ValueError(f"the directive {directive.name}// is already defined")
    return directive


def is_directive(value: object) -> bool:
    """Says whether a value has the form `NAME//TEXT`."""
    return isinstance(value, str) and _PATTERN.fullmatch(value) is not None


def split_directive(value: str) -> tuple[Directive, str]:
    """Takes `NAME//TEXT` apart.

    Raises:
        DirectiveError: when no directive has this name.
    """
    match = _PATTERN.fullmatch(value)
    name = match["name"].replace("-", "_") if match else ""
    if match is None or name not in _DIRECTIVES:
        known = ", ".join(f"{known}//" for known in _DIRECTIVES)
        raise DirectiveError(
            f"unknown special value {value!r}{or_meant(name, _DIRECTIVES)} (known: {known}; "
            f"get_raw_value() returns it as it is written, register_directive() makes its kind known)"
        )
    return _DIRECTIVES[name], match["text"].strip()


def _arguments(node: Node, key: str) -> tuple[list[Any], dict[str, Any]]:
    """Returns the sibling `KEY_args`, or `device_args`, as arguments by position and by name."""
    name = f"{key}_args" if f"{key}_args" in node else "device_args"
    value = node.get_raw_value(name) if name in node else None
    if value is None:
        return [], {}
    if isinstance(value, Mapping):
        return [], dict(value.items())  # as written: items() interprets nothing
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value), {}
    raise DirectiveError(f"{name} must be a list or a mapping, not {value!r}")


def _class(node: Node, key: str, text: str) -> Any:
    args, kwargs = _arguments(node, key)
    return load_class(text)(*args, **kwargs)


def _factory(node: Node, key: str, text: str) -> Any:
    factory = load_class(text)
    if not callable(getattr(factory, "create", None)):
        raise DirectiveError(f"{text} is no factory: it has no method create()")
    args, kwargs = _arguments(node, key)
    maker = factory()
    # A Controller gives way to its Proxy unless `direct`: egse.device.DeviceFactoryInterface, which is a floor above.
    return getattr(maker, "make_device", maker.create)(*args, **kwargs)


def _int_enum(node: Node, key: str, text: str) -> type[enum.IntEnum]:
    if "content" not in node or not isinstance(content := node.get_raw_value("content"), Mapping):
        raise DirectiveError("int_enum// needs a sibling `content` with the names and their values")
    members: dict[str, int] = {}
    for name, definition in content.items():
        value = definition.get("value") if isinstance(definition, Mapping) else definition
        if isinstance(value, bool) or not isinstance(value, int):
            raise DirectiveError(f"content.{name} must have an integer value, not {value!r}")
        aliases = definition.get("alias") if isinstance(definition, Mapping) else None
        for member in (name, *([aliases] if isinstance(aliases, str) else aliases or ())):
            members[member] = value
    return cast(type[enum.IntEnum], enum.IntEnum(text, members))


def _yaml(node: Node, key: str, text: str) -> Any:
    return node._include(key, node._find_file(text))


def _csv(node: Node, key: str, text: str) -> Any:
    return read_csv_table(node._find_file(text))


def _pandas(node: Node, key: str, text: str) -> Any:
    separator = node.get_raw_value("separator") if "separator" in node else ","
    return read_data_frame(node._find_file(text), str(separator))


for _directive in (
    Directive("class", _class),
    Directive("factory", _factory),
    Directive("int_enum", _int_enum, memoise=True, siblings=("content",)),
    Directive("yaml", _yaml, memoise=True),
    Directive("csv", _csv, memoise=True),
    Directive("pandas", _pandas, memoise=True, siblings=("separator",)),
):
    register_directive(_directive)
