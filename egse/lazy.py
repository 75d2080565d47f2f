"""Imports that cost less.

Packages whose names are loaded when they are first used: who needs one of them does not pay for the others.

if TYPE_CHECKING:
    from egse.confman.interface import ConfigurationManagerProxy

__all__ = ["ConfigurationManagerProxy"]
__getattr__, __dir__ = lazy_names(__name__, {"ConfigurationManagerProxy": "interface"}, __all__)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str], names: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns `__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        package: its name.
        modules: which module a name comes from: one of the package's own (`interface`), or any by its full name
            (`egse.setup`).
        names: all its public names, those included that are there from the beginning.
    """

    def get(name: str) -> Any:
        module = modules.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # Not kept here: after a reload of the module (`egse.reload`) its new content counts.
        return getattr(import_module(module if "." in module else f"{package}.{module}"), name)

    return get, lambda: sorted(names)


@contextmanager
def hidden(*modules: str) -> Iterator[None]:
    """Lets what is imported in a `with` block find that optional modules are not installed; what is loaded stays.

    Args:
        modules: their full names.
    """
    names = [module for module in modules if module not in sys.modules]
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]  # this is how Python spells it
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
