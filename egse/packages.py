"""What installed packages of other people bring along: files that they name by an entry point.

    [project.entry-points."egse.settings"]
    bench_psu = "bench_psu:settings.yaml"

The groups are `egse.settings` (blocks of the Settings, see `egse.settings`) and `egse.tm_dictionary` (rows of the TM
dictionary, see `egse.tmdict`). No package is imported for it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LOGGER = logging.getLogger(__name__)


@cache
def files_of_packages(group: str) -> tuple[Path, ...]:
    """Returns the files that installed packages name in a group of entry points, in the order of the names.

    An entry point whose package or file is not there is logged and left out: other people's mistakes must not stop a site.
    """
    if not any(f"[{group}]" in text for text in _declarations()):
        return ()
    from importlib.metadata import entry_points  # takes as long as a tenth of the start of a server

    found = []
    for point in sorted(entry_points(group=group), key=lambda one: one.name):
        module, _, name = point.value.partition(":")
        spec = importlib.util.find_spec(module.strip().partition(".")[0])
        folders = spec.submodule_search_locations if spec is not None else None
        parts = module.strip().split(".")[1:]
        path = Path(next(iter(folders)), *parts, name.strip()) if folders else None
        if path is None or not path.is_file():
            LOGGER.warning("the entry point %s of group %s names no file: %s", point.name, group, point.value)
            continue
        found.append(path)
    return tuple(found)


@cache
def _declarations() -> tuple[str, ...]:
    """Returns the texts in which the installed packages declare their entry points."""
    return tuple(_read_declarations())


def _read_declarations() -> Iterator[str]:
    for folder in sys.path:
        try:
            names = [name for name in os.listdir(folder or ".") if name.endswith((".dist-info", ".egg-info"))]
        except OSError:  # a zip file, or a folder that is not there
            continue
        for name in names:
            try:
                yield Path(folder, name, "entry_points.txt").read_text("utf-8")
            except OSError:  # most packages declare none
                continue
