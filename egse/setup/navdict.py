"""A nested dictionary that is navigated with dots, keys or both: `setup.gse["hexapod"].ID` (manual ch. 17.1)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from egse.advice import missing_key_message
from egse.setup.directives import Directive, is_directive, split_directive
from egse.setup.errors import DirectiveError, MissingKeyError
from egse.setup.origin import Explain, FrozenFiles, Located, Source
from egse.tree import format_tree, html_tree, indented_lines, rich_tree
from egse.yamlfile import YAMLFileError, parse_yaml

if TYPE_CHECKING:
    from rich.tree import Tree

_MISSING = object()


class NavigableDict(Located, dict[str, Any]):
    """A nested dictionary whose keys are attributes as well.

    - Assigning a mapping creates or replaces a branch; a branch that already belongs somewhere is copied.
    - Reading a special value (`class//`, `yaml//` ..., see `egse.setup.directives`) with a dot, brackets or `get()`
      interprets it. `items()`, `values()`, printing and comparing give what was written.
    - All keys are texts. A key that is no Python name, or is the name of a method of a dictionary, needs brackets.
    - Names that begin with an underscore are private attributes: neither keys nor printed nor saved.

    Args:
        head: the content.
        label: the name of the root when it is printed.

    Raises:
        TypeError: for a key that is no `str`, naming its key path.
    """

    def __init__(self, head: Mapping[str, Any] | None = None, label: str | None = None) -> None:
        super().__init__()
        self._label = label
        self._parent: NavigableDict | None = None
        self._name = ""
        self._source: Source | None = None
        self._frozen: FrozenFiles = {}
        self._memoized: dict[str, tuple[str, Any]] = {}
        self._revision = 0
        for key, value in (head or {}).items():
            self._put(key, value)

    # -- reading

    def __getitem__(self, key: str) -> Any:
        value = self.get_raw_value(key)
        return self._resolve(key, value) if is_directive(value) else value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name not in self:
            raise AttributeError(missing_key_message(self._branch(), name, self))
        return self[name]

    def get(self, key: str, default: Any = None) -> Any:
        """Returns the (interpreted) value of a key, `default` when there is none."""
        return default if dict.get(self, key, _MISSING) is _MISSING else self[key]

    def get_raw_value(self, key: str) -> Any:
        """Returns a value as it was written, e.g. the text `class//...` itself.

        Raises:
            KeyError: when there is no such key; the message names those that there are.
        """
        value = dict.get(self, key, _MISSING)
        if value is _MISSING:
            raise MissingKeyError(missing_key_message(self._branch(), key, self))
        return value

    def get_memoized_keys(self) -> list[str]:
        """Returns the keys of this branch whose special value is remembered."""
        return list(self._memoized)

    def del_memoized_key(self, key: str) -> bool:
        """Forgets a special value, so that its file is read again; returns whether there was one."""
        return self._memoized.pop(key, None) is not None

    def walk(self) -> Iterator[tuple[str, Any]]:
        """Iterates over all leaves: key path with dots, and value as written."""
        for key, value in self.items():
            if isinstance(value, NavigableDict):
                yield from ((f"{key}.{path}", leaf) for path, leaf in value.walk())
            else:
                yield key, value

    # -- writing

    def __setitem__(self, key: str, value: Any) -> None:
        self._check_writable(key)
        self._put(key, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a method of {type(self).__name__}: use [{name!r}]")
        else:
            self[name] = value

    def __delitem__(self, key: str) -> None:
        self._check_writable(key)
        self.get_raw_value(key)
        self._touch()
        if not key.startswith("_"):
            self.__dict__.pop(key, None)
        super().__delitem__(key)

    def __delattr__(self, name: str) -> None:
        if name.startswith("_"):
            object.__delattr__(self, name)
        elif name not in self:
            raise AttributeError(missing_key_message(self._branch(), name, self))
        else:
            del self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets several keys, mappings becoming branches."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> Self:  # type: ignore[override, misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Sets a key that is not there yet, and returns the value it then has."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Removes a key and returns its value as it was written."""
        if key not in self and default:
            return default[0]
        value = self.get_raw_value(key)
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Removes the last key and returns it with its value as it was written."""
        key = next(reversed(self), None)
        if key is None:
            raise KeyError(f"{self._branch()} is empty")
        return key, self.pop(key)

    def clear(self) -> None:
        """Removes all keys."""
        for key in list(self):
            del self[key]

    # -- private attributes

    def set_private_attribute(self, name: str, value: Any) -> None:
        """Keeps something with this branch that is no configuration item.

        Args:
            name: begins with an underscore.
            value: anything; it is neither printed nor saved.

        Raises:
            ValueError: when the name does not begin with an underscore.
        """
        if not name.startswith("_"):
            raise ValueError(f"the name of a private attribute begins with an underscore: {name!r}")
        object.__setattr__(self, name, value)

    def get_private_attribute(self, name: str) -> Any:
        """Returns a private attribute, None when it was not set."""
        return self.__dict__.get(name) if name.startswith("_") else None

    def has_private_attribute(self, name: str) -> bool:
        """Says whether a private attribute was set."""
        return name.startswith("_") and name in self.__dict__

    # -- the whole

    def to_dict(self) -> dict[str, Any]:
        """Returns a deep copy as ordinary dictionaries, special values as written."""
        return {key: _to_plain(value) for key, value in self.items()}

    def copy(self) -> Self:
        """Returns a deep copy that can be changed freely."""
        return copy.deepcopy(self)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self)(label=self._label)
        memo[id(self)] = twin
        private = {k: v for k, v in self.__dict__.items() if k.startswith("_") and k not in twin.__dict__}
        twin.__dict__.update(private)
        node, source = self._find_source()
        if source is not None and (node is self or id(self._parent) not in memo):
            below = self._key_path()[len(node._key_path()) :]
            twin._source = Source(source.path, source.text, (*source.root, *below))
            *_, root = self._ancestry()
            twin._frozen = root._frozen
        for key, value in self.items():
            twin._put(key, copy.deepcopy(value, memo))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.to_dict(), self._label)

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(key for key in self if key.isidentifier())]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def pretty_str(self, indent: int = 0) -> str:
        """Returns the content as indented lines without line characters, as in ch. 8.4 of the manual.

        Args:
            indent: how many levels to indent, of 4 blanks each.
        """
        return "".join(f"{line}\n" for line in indented_lines(self, "    " * indent))

    def __str__(self) -> str:
        return format_tree(self._label or "NavigableDict", self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Shows the branch in a notebook: a tree to open and close, and the plain tree elsewhere."""
        label = self._label or type(self).__name__
        return {"text/plain": str(self), "text/html": html_tree(label, self)}

    def __rich__(self) -> Tree:
        return rich_tree(self._label or "NavigableDict", self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_dict()!r})"

    # -- inside

    def _put(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            place = ".".join(("Setup", *self._key_path()))
            raise TypeError(
                f"all keys must be texts (str): {key!r} in {place} is of type {type(key).__name__}"
            )
        if isinstance(value, Mapping):
            value = self._adopt(key, value)
        self._touch()
        super().__setitem__(key, value)
        if key.startswith("_"):
            return
        # Branches are real attributes, so that completion finds what is below them without evaluating anything.
        self.__dict__.pop(key, None)
        if isinstance(value, NavigableDict) and key.isidentifier() and not hasattr(type(self), key):
            self.__dict__[key] = value

    def _adopt(self, key: str, value: Mapping[str, Any]) -> NavigableDict:
        """Makes a branch of a mapping, with a copy when it is already part of something."""
        if isinstance(value, NavigableDict):
            shared = value._parent is not None or any(node is value for node in self._ancestry())
            branch = copy.deepcopy(value) if shared else value
            branch._parent, branch._name = self, key
            return branch
        branch = NavigableDict()
        branch._parent, branch._name = self, key
        for name, item in value.items():
            branch._put(name, item)
        return branch

    def _touch(self) -> None:
        """Notes that something changed in this branch, and at the root that something changed at all."""
        self._memoized.clear()
        *_, root = self._ancestry()
        root._revision += 1

    def _resolve(self, key: str, value: str) -> Any:
        with Explain(self, key, value):
            directive, text = split_directive(value)
            state = self._fingerprint(directive, value)
            if directive.memoise and (kept := self._memoized.get(key)) is not None and kept[0] == state:
                return kept[1]
            resolved = directive.resolve(self, key, text)
        if directive.memoise:
            self._memoized[key] = (state, resolved)
        return resolved

    def _fingerprint(self, directive: Directive, value: str) -> str:
        return repr([value, *(_to_plain(dict.get(self, sibling)) for sibling in directive.siblings)])

    def _include(self, key: str, path: Path) -> Any:
        chain = [file.resolve() for file in self._files()]
        if path in chain:
            files = " -> ".join(str(file) for file in (*chain[::-1], path))
            raise DirectiveError(f"yaml// files include each other in a circle: {files}")
        try:
            text = path.read_text(encoding="utf-8")
            content = parse_yaml(text, path)
        except (OSError, UnicodeDecodeError) as exc:
            raise DirectiveError(f"{path} cannot be read: {exc}") from exc
        except YAMLFileError as exc:
            raise DirectiveError(str(exc)) from exc
        if content is None:
            content = {}
        if not isinstance(content, dict):
            return content
        branch = NavigableDict(content)
        branch._parent, branch._name = self, key
        branch._source = Source(path, text, included=True)
        return branch


navdict = NavigableDict
"""Shorter name, as used in older scripts."""


def _to_plain(value: Any) -> Any:
    if isinstance(value, NavigableDict):
        return value.to_dict()
    return [_to_plain(item) for item in value] if isinstance(value, list) else value
