"""Where a branch of a Setup comes from: its key path, its file, its line; and the files that stand near it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from egse.env import EnvError, get_conf_data_location
from egse.setup.errors import DirectiveError, SetupError
from egse.yamlfile import line_of


@dataclass(frozen=True)
class Source:
    """The text from which a branch was read.

    Attributes:
        path: the file; None for text without one.
        text: its content, kept to tell the line of a mistake.
        root: the key path of the branch within the text.
        included: whether it came in through `yaml//`, which makes it read only.
    """

    path: Path | None
    text: str
    root: tuple[str, ...] = ()
    included: bool = False


FrozenFiles = Mapping[tuple[str, str], Path]
"""Files that take the place of others: by the name of the file that refers to them and the text of the reference."""


class Located:
    """A branch that knows where it stands."""

    _label: str | None
    _parent: Located | None
    _name: str
    _source: Source | None
    _frozen: FrozenFiles
    _revision: int

    def _ancestry(self) -> Iterator[Located]:
        node: Located | None = self
        while node is not None:
            yield node
            node = node._parent

    def _key_path(self) -> tuple[str, ...]:
        return tuple(node._name for node in self._ancestry() if node._name)[::-1]

    def _check_writable(self, key: str) -> None:
        for node in self._ancestry():
            if node._source is not None and node._source.included:
                path = ".".join((*self._key_path(), key))
                raise SetupError(
                    f"{path} is read from {node._source.path} and would not be saved with the Setup: "
                    f"edit that file, or make it a branch first: {'.'.join(node._key_path())} = ....copy()"
                )

    def _branch(self) -> str:
        """Returns the key path of this branch and its file, without the cost of looking for the line."""
        name = ".".join(self._key_path()) or self._label or "the Setup"
        _, source = self._find_source()
        return f"{name} ({source.path})" if source and source.path else name

    def _place(self, key: str) -> str:
        """Returns `FILE, line N, key.path` of a key, as far as known."""
        path = (*self._key_path(), key)
        node, source = self._find_source()
        place = ".".join(path)
        if source is None:
            return place
        line = line_of(source.text, (*source.root, *path[len(node._key_path()) :]))
        return ", ".join(
            [*([str(source.path)] if source.path else []), *([f"line {line}"] if line else []), place]
        )

    def _find_source(self) -> tuple[Located, Source | None]:
        """Returns the nearest branch that knows its text, and that text."""
        return next(((node, node._source) for node in self._ancestry() if node._source), (self, None))

    def _find_file(self, name: str) -> Path:
        files = self._files()
        *_, root = self._ancestry()
        if (frozen := root._frozen.get((files[0].name if files else "", name))) is not None:
            return frozen
        path = Path(name).expanduser()
        if path.is_absolute():
            candidates = [path]
        else:
            candidates = [folder / path for folder in self._folders()]
        if not candidates:
            raise DirectiveError(
                f"{name} is relative, but this Setup was not read from a file and PLATO_CONF_DATA_LOCATION is not set"
            )
        for candidate in candidates:
            if candidate.is_file():
                return candidate.resolve()
        raise DirectiveError(f"there is no file {' nor '.join(str(candidate) for candidate in candidates)}")

    def _folders(self) -> list[Path]:
        """Returns where relative paths start: the folder of the file they stand in, then that of the Setups."""
        folders = [file.parent for file in self._files()[:1]]
        try:
            conf = get_conf_data_location()
        except EnvError:
            return folders
        return folders if conf in folders else [*folders, conf]

    def _files(self) -> list[Path]:
        """Returns the files that this branch came from, the innermost first."""
        return [
            node._source.path for node in self._ancestry() if node._source is not None and node._source.path
        ]


class Explain:
    """Adds file, line and key path to what goes wrong while a special value is interpreted."""

    def __init__(self, node: Located, key: str, value: str) -> None:
        self._node, self._key, self._value = node, key, value

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: object
    ) -> None:
        if isinstance(exc, DirectiveError):
            raise type(exc)(f"{self._node._place(self._key)}: {exc}") from exc
        if isinstance(exc, AttributeError):  # would otherwise look as if the Setup had no such key
            raise DirectiveError(f"{self._node._place(self._key)}: {self._value}: {exc}") from exc
        if exc is not None:
            exc.add_note(f"while reading {self._node._place(self._key)}: {self._value}")
