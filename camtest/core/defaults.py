"""Default arguments of building blocks from YAML files beside their module (chapter 21 of the manual).

Either one file for each building block, `input/<name>.yaml`:

    Args:
      power: 2.5

or one for all building blocks of a folder, `defaults.yaml`, with the modules as keys, so that two building blocks of the
same name in different modules do not get into each other's way:

    camtest.commanding.heater:      # or just: heater
      heat:
        power: 2.5
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from camtest.core.errors import BuildingBlockError
from egse.advice import did_you_mean


def read_defaults(source: Path, module: str, name: str, names: frozenset[str]) -> dict[str, Any]:
    """Returns the defaults of a building block, empty when there are none.

    Args:
        source: the file in which it is defined.
        module: full name of its module.
        name: its name.
        names: of its parameters.

    Raises:
        BuildingBlockError: when a file is not what it should be, names a parameter that does not exist, or both files
            have defaults.
    """
    own, common = source.parent / "input" / f"{name}.yaml", source.parent / "defaults.yaml"
    found = {
        path: defaults
        for path, defaults in ((own, _from_own(own, name)), (common, _from_common(common, module, name)))
        if defaults is not None
    }
    if len(found) > 1:
        raise BuildingBlockError(
            f"building block `{name}` has defaults in both {own} and {common}; keep them in one of the two"
        )
    for path, defaults in found.items():
        for key in defaults:
            if key not in names:
                raise BuildingBlockError(
                    f"{path} gives a default for `{key}`, which building block `{name}` does not have."
                    f"{did_you_mean(str(key), names)}"
                )
        return dict(defaults)
    return {}


def _from_own(path: Path, name: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    content = _load(path, path.stat().st_mtime_ns)
    defaults = content.get("Args") if isinstance(content, dict) else None
    if not isinstance(defaults, dict):
        raise BuildingBlockError(
            f"{path} must hold the key `Args:` with the defaults of building block `{name}`"
        )
    return defaults


def _from_common(path: Path, module: str, name: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    content = _load(path, path.stat().st_mtime_ns)
    if not isinstance(content, dict):
        raise BuildingBlockError(
            f"{path} must hold modules, and below them building blocks with their defaults"
        )
    blocks = content.get(module, content.get(module.rpartition(".")[2]))
    if blocks is None:
        return None
    if not isinstance(blocks, dict) or not all(isinstance(values, dict) for values in blocks.values()):
        raise BuildingBlockError(f"{path}: below `{module}` must stand building blocks with their defaults")
    return blocks.get(name)


@lru_cache(maxsize=64)
def _load(path: Path, modified: int) -> Any:
    """Returns the content of a YAML file; `modified` is part of the key of the cache."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as exc:
        raise BuildingBlockError(f"{path} is not valid YAML: {exc}") from exc
