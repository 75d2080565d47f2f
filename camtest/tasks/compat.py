"""Task packages that were written for the Qt original: what they import besides, and is not installed here.

- `PyQt5` (a package may define form fields of its own with it): a stand-in whose names can be imported and sub-classed,
  so that the module loads and its other tasks work; a field made of Qt widgets is replaced, see `camtest.tasks.fields`.
- `executor.ExternalCommand`, with which `__init__.py` files start the GUI in the background: a small one that does that.
- other modules of the original (`gui_executor.client`, `gui_executor.view`, ...): stand-ins whose names can be read,
  called and set, to no effect.
- modules of the original Common-EGSE that have another place here (`egse.state`, `egse.exceptions`, `egse.obsid`, ...), and
  names that modules have there and not here: what does the same here, `RELOCATED` and `ADDED`. A name for which there is
  nothing is missing, as ever.

They are found last, and only while task modules are loaded: what is installed is taken as it is.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from camtest.tasks.types import is_qt_class

QT = ("PyQt5", "PyQt6", "PySide2", "PySide6")
"""Toolkits for which there is a stand-in."""
ORIGINAL = "gui_executor."
"""What modules of the original begin with."""

_ADAPTED = "camtest.tasks.shared.original"
_HUBER = "egse.stages.huber.smc9300"

RELOCATED: dict[str, dict[str, str]] = {
    "egse.state": {"GlobalState": "camtest.state"},
    "egse.exceptions": {"Abort": "camtest.core.exec"},
    "egse.obsid": {"ObservationIdentifier": _ADAPTED, "obsid_from_storage": _ADAPTED},
    "egse.collimator": {},
    "egse.collimator.fcul": {},
    "egse.collimator.fcul.ogse": {
        **dict.fromkeys(("OGSEController", "OGSEInterface", "OGSEProxy", "OGSESimulator"), "egse.ogse"),
        "is_ogse_cs_active": _ADAPTED,
    },
    "egse.stages.huber.smc9300_devif": dict.fromkeys(("HuberError", "HuberSMC9300EthernetInterface"), _HUBER),
}
"""Modules that have another place here: for each of their names, the module that has it."""

ADDED: dict[str, dict[str, str]] = {
    "egse.tcs.tcs": {"is_tcs_cs_active": _ADAPTED},
    "egse.stages.huber": {"is_smc9300_cs_active": _ADAPTED},
    _HUBER: {"untangle_status": _ADAPTED},
    "camtest.commanding.csl_gse": dict.fromkeys(
        ("rotation_stage_move", "sma_rotation_move", "sma_translation_move"), _ADAPTED
    ),
}
"""Names that modules have besides while task modules are loaded, and the module that has them."""


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


def _names_of(module: str, names: Mapping[str, str], otherwise: Any = None) -> Any:
    """Returns a `__getattr__` of a module that looks for names in other modules, after its own."""

    def get(name: str) -> Any:
        if name in names:
            return getattr(importlib.import_module(names[name]), name)
        if otherwise is not None:
            return otherwise(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return get


class _Additions:
    """Gives modules the names of `ADDED`, those that are loaded and those that will be, for as long as anybody wants them.

    First in `sys.meta_path`, but it finds nothing: it only has the modules concerned looked for by the others, and adds
    their names once they are executed.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users = 0
        self._before: dict[str, tuple[ModuleType, Any]] = {}

    def begin(self) -> None:
        """Adds the names, unless they are there."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                sys.meta_path.insert(0, self)
                for name in ADDED:
                    if name in sys.modules:
                        self.add(sys.modules[name])

    def end(self) -> None:
        """Takes them away again, when nobody else wants them."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            sys.meta_path.remove(self)
            for module, before in self._before.values():
                if before is None:
                    del module.__getattr__
                else:
                    module.__getattr__ = before  # type: ignore[method-assign]
            self._before.clear()

    def add(self, module: ModuleType) -> None:
        """Adds the names of one module."""
        name = module.__name__
        with self._lock:
            if self._users and name not in self._before:
                own = vars(module).get("__getattr__")
                self._before[name] = (module, own)
                module.__getattr__ = _names_of(name, ADDED[name], own)  # type: ignore[method-assign]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in ADDED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            loader, execute = spec.loader, spec.loader.exec_module

            def execute_and_add(module: ModuleType) -> None:
                execute(module)
                self.add(module)

            loader.exec_module = execute_and_add  # type: ignore[method-assign]
        return spec


_additions = _Additions()


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the stand-ins when they are imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        root = fullname.partition(".")[0]
        known = fullname == "executor" or fullname in RELOCATED
        if not known and root not in QT and not fullname.startswith(ORIGINAL):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname != "executor")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)
        if spec.name == "executor":
            module.ExternalCommand = ExternalCommand  # type: ignore[attr-defined]
            return module
        if spec.name in RELOCATED:
            module.__getattr__ = _names_of(spec.name, RELOCATED[spec.name])  # type: ignore[method-assign]
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
    _additions.begin()
    try:
        yield
    finally:
        _additions.end()
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
