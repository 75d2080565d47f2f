"""What an observation keeps of its Setup: the Setup itself and every file that it pulls in, however deep.

The Setup and the files are kept as they were, byte for byte. Which kept file stands for which reference is written down
beside them: `csv//../../common/x.csv` of the Setup, `conf_a.yaml:csv//x.csv` of the kept file `conf_a.yaml`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egse.setup.directives import is_directive
from egse.setup.setup import Setup
from egse.yamlfile import YAMLFileError, parse_yaml

LOGGER = logging.getLogger(__name__)

LARGEST_FROZEN_FILE = 50_000_000
"""Larger files that a Setup pulls in are not copied into the observation [bytes]."""

FROZEN_KINDS = ("yaml//", "csv//", "pandas//")
"""The special values that pull in a file."""


@dataclass
class Frozen:
    """Files that a Setup pulls in.

    Attributes:
        files: content by the name it is kept under.
        names: that name by the reference, see above.
        problems: references that are not kept, and why.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def pulled_in(value: Any) -> set[str]:
    """Returns all special values in a nested mapping, as written, that name a file."""
    if isinstance(value, Mapping):
        items = dict.values(value) if isinstance(value, dict) else value.values()
        return set().union(*map(pulled_in, items)) if value else set()
    if isinstance(value, (list, tuple)):
        return set().union(*map(pulled_in, value)) if value else set()
    is_one = isinstance(value, str) and value.startswith(FROZEN_KINDS) and is_directive(value)
    return {value} if is_one else set()


def freeze_files(content: Mapping[str, Any], path: Path, root: Path) -> Frozen:
    """Reads every file that a Setup pulls in.

    Args:
        content: what stands in the Setup, uninterpreted.
        path: its file; references are relative to its folder, those in a pulled-in file to the folder of that one.
        root: only files below this folder are taken.
    """
    frozen = Frozen()
    known: dict[Path, str] = {}
    queue: list[tuple[Mapping[str, Any], Path, str]] = [(content, path.parent, "")]
    while queue:
        tree, folder, owner = queue.pop(0)
        for value in sorted(pulled_in(tree)):
            kind, _, text = value.partition("//")
            target = _find(text.strip(), (folder, path.parent), root)
            if isinstance(target, str):
                frozen.problems.append(f"{value}: {target}")
                continue
            is_new = target not in known
            if is_new:
                known[target] = _free_name(target.name, frozen.files)
                frozen.files[known[target]] = target.read_bytes()
            frozen.names[f"{owner}:{value}" if owner else value] = known[target]
            if kind == "yaml" and is_new:
                queue.append((_mapping(frozen.files[known[target]]), target.parent, known[target]))
    return frozen


def _find(text: str, folders: tuple[Path, ...], root: Path) -> Path | str:
    """Returns the file that a reference means, or why it is not kept."""
    if "\0" in text:
        return "this is no name of a file"
    found = [path for folder in folders if (path := (folder / text).resolve()).is_file()]
    if not found:
        return "there is no such file"
    if not found[0].is_relative_to(root.resolve()):
        return f"{found[0]} is not in the configuration repository"
    if found[0].stat().st_size > LARGEST_FROZEN_FILE:
        return f"{found[0]} is larger than {LARGEST_FROZEN_FILE} bytes"
    return found[0]


def _mapping(data: bytes) -> Mapping[str, Any]:
    try:
        content = parse_yaml(data.decode("utf-8"))
    except (YAMLFileError, UnicodeDecodeError):
        return {}  # kept as it is; whoever reads it is told
    return content if isinstance(content, dict) else {}


def _free_name(name: str, taken: Mapping[str, bytes]) -> str:
    is_safe = re.fullmatch(r"[A-Za-z0-9._+-]{1,150}", name) and ".." not in name
    base = f"conf_{name}" if is_safe else "conf_file"
    number = 1
    while (candidate := base if number == 1 else f"{number}_{base}") in taken:
        number += 1
    return candidate


def read_frozen_setup(path: Path, names: Mapping[str, str], prefix: str = "") -> Setup:
    """Reads a Setup that was kept in an observation; what it pulls in are the files that were kept with it.

    Args:
        path: the kept Setup.
        names: `Frozen.names`.
        prefix: what the names of the kept files begin with, beside the Setup.

    Raises:
        SetupError: when it is no valid Setup.
    """
    setup = Setup.from_yaml_file(path)
    frozen = {}
    for reference, name in names.items():
        owner, separator, value = reference.partition(":")
        if not separator or "//" in owner:
            owner, value = "", reference
        owner_file = f"{prefix}{owner}" if owner else path.name
        frozen[owner_file, value.partition("//")[2].strip()] = path.parent / f"{prefix}{name}"
    setup._frozen = frozen
    return setup
