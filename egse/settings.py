"""Settings: what is static on a machine, such as versions, host names and ports (manual ch. 9).

The global settings are `egse/settings.yaml`. A site keeps what differs in a file of its own, the local settings, named
by the environment variable `PLATO_LOCAL_SETTINGS`; it repeats the hierarchy down to the entries that change and may add
new ones. An installed package can bring blocks of its own (entry point group `egse.settings`); it cannot change what is
there. `python -m egse.settings [--local]` shows the result and the files that were read.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from egse.advice import missing_key_message
from egse.packages import files_of_packages
from egse.system import AttributeDict, MissingKeyError, attrdict
from egse.tree import format_tree, rich_tree
from egse.yamlfile import YAMLFileError, read_yaml

__all__ = ["LOCAL_SETTINGS", "AttributeDict", "Settings", "SettingsError", "attrdict"]

LOGGER = logging.getLogger(__name__)
LOCAL_SETTINGS = "PLATO_LOCAL_SETTINGS"
"""The environment variable that names the local settings file."""

_HERE = Path(__file__).resolve().parent
_FILENAME = "settings.yaml"
_GROUP = "egse.settings"


class SettingsError(MissingKeyError):
    """A settings file or a block in it is missing or not usable."""


class Settings:
    """Reads settings files, merges them and remembers the result."""

    _lock = threading.RLock()
    _memoized: ClassVar[dict[tuple[Path, Path | None], AttributeDict]] = {}
    _files: ClassVar[dict[Path, dict[str, Any]]] = {}

    @classmethod
    def load(
        cls,
        name: str | None = None,
        *,
        location: str | Path | None = None,
        filename: str = _FILENAME,
        add_local_settings: bool = True,
        force: bool = False,
    ) -> AttributeDict:
        """Returns the settings, or one block of them.

        The result is shared by all who ask for it in this process, and stays what it was when the files change.

        Args:
            name: the block, e.g. "Storage Control Server"; all settings when None.
            location: the folder of the settings file; that of the package `egse` when None.
            filename: the settings file.
            add_local_settings: merge the file named by `PLATO_LOCAL_SETTINGS` over it. Other files than the global
                settings are not merged with it.
            force: read the files again. Who already has settings keeps the old ones.

        Raises:
            SettingsError: when a file is missing, not valid or of the wrong shape, or has no such block.
        """
        path = Path(location or _HERE) / filename
        is_global = location is None and filename == _FILENAME
        local = cls.local_file() if add_local_settings and is_global else None
        with cls._lock:
            if force:
                cls.clear_memoized(path, local)
            settings = cls._memoized.get((path, local))
            if settings is None:
                settings = cls._memoized[path, local] = cls._read_and_merge(path, local)
        if name is None:
            return settings
        if name not in settings:
            files = " and ".join(str(file) for file in (path, local) if file)
            raise SettingsError(missing_key_message(f"the settings ({files})", name, settings))
        block = settings[name]
        if not isinstance(block, AttributeDict):
            raise SettingsError(f"{name!r} in the settings ({path}) is a value, not a block: {block!r}")
        return block

    @classmethod
    def load_local(cls) -> AttributeDict:
        """Returns what the local settings file alone says; empty when no such file is named.

        Raises:
            SettingsError: as `load`.
        """
        local = cls.local_file()
        with cls._lock:
            return AttributeDict(cls._read(local) if local else {}, label="Local Settings")

    @classmethod
    def local_file(cls) -> Path | None:
        """Returns the local settings file that the environment names, or None."""
        value = os.environ.get(LOCAL_SETTINGS, "").strip()
        return Path(value).expanduser() if value else None

    @classmethod
    def get_memoized_locations(cls) -> list[str]:
        """Returns the settings files that were read and are remembered, in that order."""
        with cls._lock:
            return [str(path) for path in cls._files]

    @classmethod
    def clear_memoized(cls, *paths: Path | None) -> None:
        """Forgets these files and whatever was merged from them; everything when none is given."""
        with cls._lock:
            wanted = set(paths) if paths else {*cls._files, *(path for key in cls._memoized for path in key)}
            wanted.discard(None)
            for path in wanted:
                cls._files.pop(path, None)  # type: ignore[arg-type]
            for key in [key for key in cls._memoized if wanted & set(key)]:
                del cls._memoized[key]

    @classmethod
    def _read_and_merge(cls, path: Path, local: Path | None) -> AttributeDict:
        merged = cls._read(path)
        if path == _HERE / _FILENAME:
            for file in files_of_packages(_GROUP):
                merged = cls._add_package(merged, file)
        if local is not None:
            merged = _merge(merged, cls._read(local), local, ())
        return AttributeDict(merged, label="Settings")

    @classmethod
    def _add_package(cls, merged: dict[str, Any], file: Path) -> dict[str, Any]:
        """Adds the blocks that a package brings; a package with a mistake is left out, and that is logged."""
        try:
            blocks = cls._read(file)
        except SettingsError as exc:
            LOGGER.warning("settings of an installed package are left out: %s", exc)
            return merged
        if known := sorted(set(blocks) & set(merged)):
            LOGGER.warning(
                "settings of an installed package (%s) are left out: %s exists already",
                file,
                ", ".join(known),
            )
            return merged
        return {**merged, **blocks}

    @classmethod
    def _read(cls, path: Path) -> dict[str, Any]:
        if path not in cls._files:
            cls._files[path] = _read_file(path)
        return cls._files[path]


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = read_yaml(path)
    except YAMLFileError as exc:
        raise SettingsError(f"settings file {exc}") from exc
    except OSError as exc:
        hint = f" (named by {LOCAL_SETTINGS}: correct or unset it)" if path == Settings.local_file() else ""
        raise SettingsError(f"settings file {path} cannot be read: {exc.strerror or exc}{hint}") from exc
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(
            f"settings file {path}: expected blocks at the top level, not a {type(content).__name__}"
        )
    _check_ports(content, path, ())
    return content


def _check_ports(content: Mapping[str, Any], path: Path, at: tuple[str, ...]) -> None:
    for key, value in content.items():
        if isinstance(value, Mapping):
            _check_ports(value, path, (*at, key))
        elif key.endswith("_PORT") and value is not None and not _is_port(value):
            place = ".".join((*at, key))
            problem = f"{place} must be a port (0 to 65535), not {value!r}"
            raise SettingsError(f"settings file {path}: {problem}")


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535


def _merge(
    base: Mapping[str, Any], over: Mapping[str, Any], source: Path, at: tuple[str, ...]
) -> dict[str, Any]:
    """Lays `over` on `base`, level by level; a block can be extended but not replaced by a value."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(old, value, source, (*at, key))
        elif isinstance(old, Mapping):
            if value is not None:  # `BLOCK:` with nothing below changes nothing
                place = ".".join((*at, key))
                raise SettingsError(f"settings file {source}: {place} is a block, it cannot become {value!r}")
        else:
            merged[key] = value
    return merged


def _main(arguments: list[str]) -> int:
    if arguments not in ([], ["--local"]):
        sys.stderr.write("usage: python -m egse.settings [--local]\n")
        return 0 if arguments == ["--help"] else 2
    try:
        settings = Settings.load_local() if arguments else Settings.load()
    except SettingsError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    if sys.stdout.isatty():
        import rich

        rich.print(rich_tree("AttributeDict", settings))
    else:
        sys.stdout.write(format_tree("AttributeDict", settings) + "\n")
    sys.stdout.write(f"Memoized locations:\n{Settings.get_memoized_locations()}\n")
    return 0


if __name__ == "__main__":
    # Under the name this module has for everybody else, so that there is one set of memoised settings.
    from egse import settings as _module

    sys.exit(_module._main(sys.argv[1:]))
