"""Which classes a Setup may name.

A Setup is data that travels: it comes from a repository, from other sites, over a socket. It must not be able to import
and call whatever is installed. Trusted are `egse` and `camtest`, every package that declares an entry point in the group
`egse.control_server` (devices) or `egse.trusted`, and what the Settings list under `TRUSTED_PACKAGES`.
"""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from typing import Any

from egse.settings import Settings
from egse.setup.errors import DirectiveError, UntrustedClassError

_OWN_PACKAGES = frozenset({"egse", "camtest"})
_GROUPS = ("egse.control_server", "egse.trusted")


@cache
def _installed_packages() -> frozenset[str]:
    from importlib.metadata import entry_points  # takes a while

    return frozenset(
        point.value.partition(":")[0].strip().split(".")[0]
        for group in _GROUPS
        for point in entry_points(group=group)
    )


def is_trusted(module: str) -> bool:
    """Says whether a Setup may use classes of this module.

    Args:
        module: dotted name; a package in the list covers everything below it.
    """
    if _covers(_OWN_PACKAGES, module):
        return True
    if _covers(frozenset(Settings.load().get("TRUSTED_PACKAGES") or ()), module):
        return True
    return _covers(_installed_packages(), module)


def _covers(packages: frozenset[str], module: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def load_class(name: str) -> type[Any]:
    """Imports a class by its full name, when it is trusted.

    Args:
        name: `package.module.Class`.

    Raises:
        UntrustedClassError: before anything is imported, or when a trusted module merely passes on a class that is
            defined in an untrusted one.
        DirectiveError: when there is no such module or class; `ImportError` of the module is the cause.
    """
    module_name, _, class_name = name.strip().rpartition(".")
    if not module_name or not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise DirectiveError(f"{name!r} is no full name of a class, expected package.module.Class")
    _require_trust(module_name, name)
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SystemExit) as exc:  # a driver whose shared library is missing may call sys.exit()
        raise DirectiveError(f"cannot import {module_name}: {exc}") from exc
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        raise DirectiveError(f"there is no class {class_name} in {module_name}")
    _require_trust(found.__module__, name)
    return found


def _require_trust(module: str, name: str) -> None:
    if not is_trusted(module):
        package = module.split(".")[0]
        raise UntrustedClassError(
            f"{name} is refused, a Setup may only name classes of trusted packages and {package} is none: "
            f"add it to TRUSTED_PACKAGES in the local settings if you trust it"
        )
