"""Taking over edited code without starting Python anew (manual, section 18.2).

For work at the bench: a function is edited in its file and used again in the same session. Code in servers is not
touched; they are restarted.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeVar, cast

__all__ = ["ReloadWarning", "reload_function", "reload_module"]

P = ParamSpec("P")
R = TypeVar("R")


class ReloadWarning(UserWarning):
    """Something in this session still uses what was there before the reload."""


def reload_module(module: ModuleType | str, *, walk: bool = True) -> ModuleType:
    """Reads a module again from its file.

    Names that were taken out of it before (`from module import name`) stay what they were, and so do objects of its
    classes; import them again.

    Args:
        module: the module or its full name; one that was not imported yet is imported.
        walk: also reload the packages above it, from the inside out, so that what they pass on is new too.

    Returns:
        The module, the same object as before.

    Raises:
        ImportError: when there is no such module, or it has no file to be read again (`__main__`).
        SyntaxError: when the edited file is no Python; the module stays usable as it was.
    """
    name = module if isinstance(module, str) else module.__name__
    if name == "__main__":
        raise ImportError("__main__ cannot be reloaded: run the notebook cell or the script again")
    fresh = name not in sys.modules
    loaded = importlib.import_module(name)
    if not fresh:
        _reload(loaded)
    while walk and (name := name.rpartition(".")[0]):
        _reload(sys.modules[name])
    return loaded


def reload_function(function: Callable[P, R]) -> Callable[P, R]:
    """Reads the module of a function again and returns the function as it is now.

    `analyse = reload_function(analyse)`: the result must be kept, the old function stays what it was. Decorated
    functions and building blocks work as well, functions of a class by their full name.

    Args:
        function: a function defined in a module.

    Returns:
        The new function. A `ReloadWarning` names the modules that still hold the old one.

    Raises:
        ValueError: when it was not defined in the body of a module or class (a lambda, an inner function), or when
            the edited module no longer has it.
        ImportError: see `reload_module`.
    """
    module_name, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not module_name or not path or "<" in path:
        raise ValueError(f"{function!r} is not defined in the body of a module or class")
    new: Any = reload_module(module_name)
    for name in path.split("."):
        if not hasattr(new, name):
            raise ValueError(f"{module_name} has no {path} any more")
        new = getattr(new, name)
    holders = [name for name in _holders(function) if name != "__main__"]
    if holders and new is not function:
        text = (
            f"these modules still use the old {path}: {', '.join(holders)}; reload them too (reload_module)"
        )
        warnings.warn(text, ReloadWarning, stacklevel=2)
    return cast("Callable[P, R]", new)


def _reload(module: ModuleType) -> None:
    """Reloads a module, also when its file changed within the resolution of the cache of compiled files."""
    source = getattr(module, "__file__", None)
    if source and source.endswith(".py"):
        with contextlib.suppress(OSError, NotImplementedError):  # a folder of somebody else: reload as it is
            Path(importlib.util.cache_from_source(source)).unlink(missing_ok=True)
    importlib.reload(module)


def _holders(thing: object) -> list[str]:
    """Returns the names of all modules with a global variable that is this object."""
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and any(value is thing for value in list(vars(module).values()))
    )
