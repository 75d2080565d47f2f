"""Local settings of a site with a port block of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from egse.files import write_atomically
from egse.settings import Settings
from egse.site.layout import SiteError
from egse.site.ports import PortBlock
from egse.yamlfile import format_yaml, read_yaml

_FOREIGN = {("SITE", "SSH_PORT"), ("Logging Control Server", "EXTERN_LOG_PORT")}
"""Ports of programs that do not belong to a site."""

_HEADER = """\
# Local settings of this site: what differs from the global settings of the package egse.
# Ports lie in the block that this folder has claimed; the rest may be edited.

"""

Path_ = tuple[str, ...]


def global_settings() -> dict[str, Any]:
    """Returns the settings as distributed, without any local ones."""
    return dict(Settings.load(add_local_settings=False))


def port_paths(settings: Mapping[str, Any], path: Path_ = ()) -> Iterator[Path_]:
    """Finds the ports in settings.

    Yields:
        The keys that lead to each entry whose name ends in PORT and whose value is a number.
    """
    for key, value in settings.items():
        here = (*path, key)
        if isinstance(value, Mapping):
            yield from port_paths(value, here)
        elif key.endswith("PORT") and isinstance(value, int) and here not in _FOREIGN:
            yield here


def number_of_ports() -> int:
    """Returns how many ports a site needs."""
    return sum(1 for _ in port_paths(global_settings()))


def remap_ports(block: PortBlock, present: Mapping[str, Any]) -> dict[str, Any]:
    """Gives every port of the global settings a place in a block.

    Args:
        block: the ports that may be used.
        present: local settings so far; ports in them that lie in the block stay.

    Returns:
        The local settings with all ports, and everything else as it was.

    Raises:
        SiteError: when the block is too small.
    """
    result = _copy(present)
    wanted = list(port_paths(global_settings()))
    used = {value for path in wanted if (value := _look_up(present, path)) in block.ports}
    free = iter(port for port in block.ports if port not in used)
    for path in wanted:
        if _look_up(result, path) not in block.ports:
            port = next(free, None)
            if port is None:
                raise SiteError(f"{len(wanted)} ports are needed, the block {block} has {block.size}")
            _put(result, path, port)
    return result


def write_local_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Writes a local settings file; readable by its owner only."""
    write_atomically(path, (_HEADER + format_yaml(settings)).encode(), 0o600)


def read_local_settings(path: Path) -> dict[str, Any]:
    """Returns the local settings in a file, empty when there is none.

    Raises:
        YAMLFileError: when it is not valid YAML.
        SiteError: when it is no mapping.
    """
    if not path.exists():
        return {}
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise SiteError(f"{path} must hold blocks of settings (a mapping): repair or remove it")
    return content


def _look_up(settings: Mapping[str, Any], path: Path_) -> Any:
    node: Any = settings
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _put(settings: dict[str, Any], path: Path_, value: int) -> None:
    node = settings
    for key in path[:-1]:
        child = node.get(key)
        if not isinstance(child, dict):
            child = node[key] = {}
        node = child
    node[path[-1]] = value


def _copy(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in settings.items()}
