"""What a task package holds: tabs, groups and tasks (sections 22.1, 22.2 and 22.8 of the manual).

A module that cannot be imported is a group with the reason; the others work.
"""

from __future__ import annotations

import importlib
import inspect
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from camtest.tasks.compat import load_module
from camtest.tasks.exec import (
    KERNEL,
    Kind,
    StatusType,
    find_modules,
    find_subpackages,
    functions_of,
    signature_of,
)

FAILURES = (Exception, SystemExit)
"""What the import of a module of tasks may raise: whatever its author wrote there is told to the operator."""


class TaskPackageError(ValueError):
    """A package cannot be made a GUI."""


@dataclass(frozen=True)
class Task:
    """One button.

    Attributes:
        function: the decorated function.
        module: the module in which it was found.
        name: its name there.
    """

    function: Callable[..., Any]
    module: str
    name: str

    def _ui(self, what: str, default: Any = None) -> Any:
        return getattr(self.function, f"__ui_{what}__", default)

    @property
    def title(self) -> str:
        """The label of the button."""
        return str(self._ui("display_name") or self.name)

    @property
    def tooltip(self) -> str:
        """The docstring, else the description."""
        return inspect.getdoc(self.function) or self._ui("description") or ""

    @property
    def is_coroutine(self) -> bool:
        """True when it is an `async def`, whose result has to be awaited."""
        return inspect.iscoroutinefunction(inspect.unwrap(self.function))

    @property
    def mode(self) -> str:
        """Where it runs when nobody chooses: kernel, app or script."""
        return str(self._ui("runnable") or KERNEL)

    @property
    def immediate(self) -> bool:
        """True when it runs at the click."""
        return bool(self._ui("immediate_run", False))

    @property
    def may_interrupt(self) -> bool:
        """True when it may interrupt a running task."""
        return bool(self._ui("allow_kernel_interrupt", False))

    @property
    def capture(self) -> str:
        """The variables that take its result, as they stand left of the `=`."""
        return str(self._ui("capture_response", "response"))

    @property
    def input_request(self) -> tuple[str, ...]:
        """Texts by which questions are known."""
        texts = self._ui("input_request") or ()
        return (texts,) if isinstance(texts, str) else tuple(texts)

    @property
    def file_filters(self) -> dict[str, tuple[str, ...]]:
        """Patterns of file names by argument."""
        found: dict[str, Any] = self._ui("file_filter") or {}
        return {name: tuple(re.sub(r".*\((.*)\)", r"\1", text).split()) for name, text in found.items()}

    @property
    def icons(self) -> tuple[Path, ...]:
        """Pictures of the button that exist: normal, selected; a relative path begins at the folder of the module."""
        icons = self._ui("icons") or ()
        folder = Path(self._ui("file") or ".").parent
        found = [folder / icon for icon in ((icons,) if isinstance(icons, (str, Path)) else icons)]
        return tuple(path for path in found if path.is_file())

    @property
    def signature(self) -> inspect.Signature:
        """Its arguments, with evaluated annotations."""
        return signature_of(self.function)

    @property
    def source(self) -> str:
        """The source code, or why it is not known."""
        try:
            return inspect.getsource(getattr(self.function, "__ui_source__", inspect.unwrap(self.function)))
        except (OSError, TypeError) as exc:
            return f"# the source is not known: {exc}"


@dataclass(frozen=True)
class Group:
    """The buttons of one module, or of modules with one title; `problem` says why there are none."""

    title: str
    module: str
    tasks: tuple[Task, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class RecurringTask:
    """A function whose text is shown in the status bar."""

    function: Callable[..., Any]
    module: str
    name: str

    @property
    def permanent(self) -> bool:
        """True at the right of the status bar, where all stand that are not said to be NORMAL."""
        return getattr(self.function, "__ui_status_type__", None) != StatusType.NORMAL


@dataclass(frozen=True)
class Tab:
    """The groups of one package."""

    title: str
    package: str
    groups: tuple[Group, ...]


@dataclass
class Catalogue:
    """All that is in some task packages."""

    packages: tuple[str, ...]
    tabs: list[Tab] = field(default_factory=list)
    recurring: list[RecurringTask] = field(default_factory=list)

    def tasks(self) -> Iterator[Task]:
        """All tasks, tab by tab."""
        for tab in self.tabs:
            for group in tab.groups:
                yield from group.tasks

    def find(self, name: str) -> Task:
        """Returns the task with a name: of the function, with or without module, or of the button.

        Raises:
            LookupError: when there is none, or more than one.
        """
        found = [t for t in self.tasks() if name in (t.name, t.title, f"{t.module}.{t.name}")]
        if len(found) != 1:
            known = ", ".join(t.name for t in self.tasks())
            raise LookupError(f"{'no' if not found else 'more than one'} task {name!r}; there are: {known}")
        return found[0]

    def __str__(self) -> str:
        lines = []
        for tab in self.tabs:
            lines.append(tab.title)
            for group in tab.groups:
                lines.append(f"  {group.title}" + (f": {group.problem}" if group.problem else ""))
                lines += [
                    f"    {task.title}{' (runs at once)' if task.immediate else ''}" for task in group.tasks
                ]
        return "\n".join(lines)


def read_catalogue(packages: Sequence[str]) -> Catalogue:
    """Imports task packages and returns what is in them.

    Args:
        packages: names of packages; the groups of each make a tab if there are any, and so do their sub-packages.

    Raises:
        TaskPackageError: when a package cannot be imported, is none, or when there is nothing to show.
    """
    catalogue = Catalogue(tuple(packages))
    hidden = []
    for package in packages:
        root = _import(package)
        if _is_hidden_root(root, package):
            hidden.append(package)
            continue
        groups = _groups(package, catalogue)
        if groups:
            title = getattr(root, "UI_TAB_DISPLAY_NAME", package.rpartition(".")[2])
            catalogue.tabs.append(Tab(str(title), package, groups))
        catalogue.tabs += _sub_tabs(package, root, catalogue)
    if not catalogue.tabs and hidden:
        raise TaskPackageError(f"{', '.join(hidden)}: hidden by UI_TAB_HIDE, there is nothing to show")
    if not catalogue.tabs:
        raise TaskPackageError(
            f"{', '.join(packages)}: there is no module with a function decorated by @exec_ui(...)"
        )
    return catalogue


def _import(package: str) -> ModuleType:
    importlib.invalidate_caches()
    try:
        module = load_module(package)
    except ModuleNotFoundError as exc:
        if exc.name and package.startswith(exc.name):
            raise TaskPackageError(
                f"there is no package {package}: start from the folder above it, or name that folder in PYTHONPATH"
            ) from exc
        raise TaskPackageError(f"{package} cannot be imported: {exc}") from exc
    except FAILURES as exc:
        raise TaskPackageError(f"{package} cannot be imported: {_reason(exc)}") from exc
    if not hasattr(module, "__path__"):
        parent = package.rpartition(".")[0]
        hint = f"name the package that it is in, {parent}" if parent else "put it into a folder of its own"
        raise TaskPackageError(f"{package} is a module and no package: {hint}")
    return module


def _is_hidden(module: ModuleType) -> bool:
    hide = getattr(module, "UI_TAB_HIDE", None)
    return callable(hide) and bool(hide())


def _is_hidden_root(root: ModuleType, package: str) -> bool:
    try:
        return _is_hidden(root)
    except FAILURES as exc:
        raise TaskPackageError(f"UI_TAB_HIDE of {package} fails: {_reason(exc)}") from exc


def _sub_tabs(package: str, root: ModuleType, catalogue: Catalogue) -> list[Tab]:
    """Returns the tabs of sub-packages: those of UI_TAB_ORDER first, the others sorted by title."""
    tabs: dict[str, Tab] = {}
    for name in find_subpackages(package):
        full = f"{package}.{name}"
        try:
            module = load_module(full)
            if _is_hidden(module):
                continue
        except FAILURES as exc:
            tabs[name] = Tab(name, full, (Group(name, full, problem=_reason(exc)),))
            continue
        groups = _groups(full, catalogue)
        if groups:
            tabs[name] = Tab(str(getattr(module, "UI_TAB_DISPLAY_NAME", name)), full, groups)
    wanted = [name for name in getattr(root, "UI_TAB_ORDER", None) or () if name in tabs]
    others = sorted(set(tabs) - set(wanted), key=lambda name: (in_order(tabs[name].title), name))
    return [tabs[name] for name in dict.fromkeys((*wanted, *others))]


def _groups(package: str, catalogue: Catalogue) -> tuple[Group, ...]:
    """Returns the groups of a package sorted by title; modules with one title make one group."""
    groups: list[Group] = []
    found: dict[str, list[Task]] = {}
    for name, full in find_modules(package).items():
        try:
            module = load_module(full)
        except FAILURES as exc:
            groups.append(Group(name, full, problem=_reason(exc)))
            continue
        catalogue.recurring += [
            RecurringTask(function, full, key)
            for key, function in functions_of(module, Kind.RECURRING).items()
        ]
        own = str(getattr(module, "UI_MODULE_DISPLAY_NAME", name))
        for key, function in functions_of(module, Kind.BUTTON).items():
            title = str(getattr(function, "__ui_module_display_name__", "") or own)  # set by `copy_func`
            tasks = found.setdefault(title, [])
            imported = any(task.function is function and task.module != full for task in tasks)
            if not imported:  # else it stands in this group already
                tasks.append(Task(function, full, key))
    groups += [Group(title, tasks[0].module, tuple(tasks)) for title, tasks in found.items()]
    return tuple(sorted(groups, key=lambda group: in_order(group.title)))


def in_order(title: str) -> list[tuple[int, int, str]]:
    """Returns a key for sorting in which numbers count as such: `2 Camera` comes before `10 OGSE`."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", title) if part
    ]


def _reason(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(exc).__name__}: {exc}{where}"
