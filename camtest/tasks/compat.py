"""Task packages that were written for the Qt original: what they import besides, and is not installed here.

- `PyQt5` (a package may define form fields of its own with it): a stand-in whose names can be imported and sub-classed,
  so that the module loads and its other tasks work; a field made of Qt widgets is replaced, see `camtest.tasks.fields`.
- `executor.ExternalCommand`, with which `__init__.py` files start the GUI in the background: a small one that does that.
- other modules of the original (`gui_executor.client`, `gui_executor.view`, ...): stand-ins whose names can be read,
  called and set, to no effect.

They are found last, and only while task modules are loaded: what is installed is taken as it is.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from camtest.tasks.types import is_qt_class

QT = ("PyQt5", "PyQt6", "PySide2", "PySide6")
"""Toolkits for which there is a stand-in."""
ORIGINAL = "gui_executor."
"""What modules of the original begin with."""


class QtStandIn:
    """Stands for any class of a Qt toolkit that is not installed; it cannot be used, only named and sub-classed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "Qt widgets cannot be shown here: write the field with ipywidgets, see docs/tasks.md (Your own type hints)"
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()


class _OpenMeta(type):
    def __getattr__(cls, name: str) -> Any:
        return _open_name(cls.__module__, name)


class OpenStandIn(metaclass=_OpenMeta):
    """Stands for anything in a module of the original that is not here: whatever is done with it has no effect."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return _open_name(type(self).__module__, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return OpenStandIn()


class ExternalCommand:
    """Runs a command in another process, as much of `executor.ExternalCommand` as `__init__.py` files use.

    Args:
        *command: one text as for a shell, or program and arguments.
        asynchronous: `start` does not wait for the end.
    """

    def __init__(self, *command: str, asynchronous: bool = False, **options: Any) -> None:
        self.command = shlex.split(command[0]) if len(command) == 1 else list(command)
        self.asynchronous = asynchronous
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it.

        Raises:
            OSError: when there is no such program.
            subprocess.CalledProcessError: when it was waited for and fails.
        """
        self.process = subprocess.Popen(self.command, start_new_session=self.asynchronous)
        if not self.asynchronous and self.process.wait():
            raise subprocess.CalledProcessError(self.process.returncode, self.command)


def _qt_name(module: str, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (QtStandIn,), {"__module__": module})


def _keep(module: ModuleType, name: str, value: Any) -> Any:
    """Keeps what was made for a name, so that the name means the same the next time."""
    return vars(module).setdefault(name, value)


def _open_name(module: str, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (OpenStandIn,), {"__module__": module})


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the stand-ins when they are imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        root = fullname.partition(".")[0]
        if fullname != "executor" and root not in QT and not fullname.startswith(ORIGINAL):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname != "executor")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)
        if spec.name == "executor":
            module.ExternalCommand = ExternalCommand  # type: ignore[attr-defined]
            return module
        make = _open_name if spec.name.startswith(ORIGINAL) else _qt_name
        module.__getattr__ = lambda name: _keep(module, name, make(spec.name, name))  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to execute."""


@contextmanager
def stand_ins() -> Iterator[None]:
    """While the `with` block runs, imports of what is not installed are answered with stand-ins."""
    finder = _StandIns()
    before = set(sys.modules)
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:  # nobody else shall take them for the real ones
            if getattr(getattr(sys.modules[name], "__spec__", None), "loader", None) is finder:
                del sys.modules[name]


def load_module(name: str) -> ModuleType:
    """Imports a task module, with stand-ins for what is not installed.

    Raises:
        Exception: whatever the module raises.
    """
    with stand_ins():
        return importlib.import_module(name)


def uses_qt(kind: type) -> bool:
    """Returns True when a class is one of Qt widgets, real or not, or is defined in a module that works with them."""
    if any(is_qt_class(base) or base is QtStandIn for base in kind.__mro__):
        return True
    module = sys.modules.get(kind.__module__)
    return module is not None and any(
        isinstance(value, type) and (is_qt_class(value) or QtStandIn in value.__mro__)
        for value in vars(module).values()
    )
