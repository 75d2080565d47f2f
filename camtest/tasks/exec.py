"""`@exec_ui`: marks a function as a task (section 22.3 of the manual). Nothing else happens when a module is imported."""

from __future__ import annotations

import enum
import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from camtest.tasks.compat import load_module

P = ParamSpec("P")
R = TypeVar("R")

FileName = TypeVar("FileName", bound=Path)
"""The name of a file with its extension, without a folder."""
FilePath = TypeVar("FilePath", bound=Path)
"""The path of a file, absolute or relative."""
Directory = TypeVar("Directory", bound=Path)
"""The path of a folder."""

KERNEL, APP, SCRIPT = "kernel", "app", "script"
MODES = (KERNEL, APP, SCRIPT)


class Kind(enum.IntEnum):
    """What becomes of a function."""

    BUTTON = 1
    RECURRING = 2


class StatusType(enum.IntEnum):
    """Where the text of a recurring task is shown: at the right of the status bar, or at its left."""

    PERMANENT = 1
    NORMAL = 2


class ArgumentKind(enum.IntEnum):
    """How an argument is passed, numbered as in `inspect`."""

    POSITIONAL_ONLY = 0
    POSITIONAL_OR_KEYWORD = 1
    VAR_POSITIONAL = 2
    KEYWORD_ONLY = 3
    VAR_KEYWORD = 4


class Argument:
    """An argument of a task: annotation and default are None where there is none."""

    def __init__(self, name: str, kind: int, annotation: Any, default: Any) -> None:
        self.name = name
        self.kind = ArgumentKind(kind)
        self.annotation = annotation
        self.default = default


def exec_ui(
    kind: Kind = Kind.BUTTON,
    description: str | None = None,
    display_name: str | None = None,
    input_request: tuple[str, ...] | None = None,
    use_kernel: bool = False,
    use_gui_app: bool = False,
    use_script_app: bool = False,
    icons: tuple[str | Path, ...] | None = None,
    immediate_run: bool = False,
    allow_kernel_interrupt: bool = False,
    capture_response: str | tuple[str, ...] = "response",
    file_filter: Mapping[str, str] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function a task of the Tasks GUI; used with brackets.

    Args:
        kind: a button, or a function that is called again and again.
        description: tool tip of a function without docstring.
        display_name: label of the button; the default is the name of the function.
        input_request: texts by which a question of the task is known: one that `input` asks gets Yes and No, and one that
            the task only prints, as the last thing, gets a dialog too.
        use_kernel: runs in the kernel (the default).
        use_gui_app: runs as an app: a process with an output panel of its own, while other tasks go on.
        use_script_app: runs as a script: a process with its output in the console.
        icons: pictures (PNG or SVG) of the button and of the selected button.
        immediate_run: runs at the click, without a form; the label is blue.
        allow_kernel_interrupt: may interrupt a running task to run at once (emergency actions).
        capture_response: variable, or variables, of the kernel that take the result.
        file_filter: by name of an argument, which files are offered: `*.yaml` or `YAML files (*.yaml *.yml)`.

    Raises:
        TypeError: when the decorator is used without brackets.
    """
    if callable(kind):
        raise TypeError(
            f"@exec_ui is used with brackets: @exec_ui()\ndef {getattr(kind, '__name__', '...')}(...)"
        )

    def decorator(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def task(*args: P.args, **kwargs: P.kwargs) -> R:
            return function(*args, **kwargs)

        original = inspect.unwrap(function)
        code = getattr(original, "__code__", None)
        mode = SCRIPT if use_script_app else KERNEL if use_kernel else APP if use_gui_app else KERNEL
        _mark(
            task,
            kind=kind,
            description=description,
            display_name=display_name,
            file=getattr(code, "co_filename", ""),
            lineno=getattr(code, "co_firstlineno", 0),
            module=function.__module__,
            input_request=input_request,
            immediate_run=immediate_run,
            icons=icons,
            allow_kernel_interrupt=allow_kernel_interrupt,
            capture_response=(
                capture_response if isinstance(capture_response, str) else ", ".join(capture_response)
            ),
            file_filter=dict(file_filter or {}),
            runnable=mode,
        )
        return task

    return decorator


exec_task = exec_ui
"""Another name of `exec_ui`."""


def exec_recurring_task(
    kind: Kind = Kind.RECURRING, status_type: StatusType | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function without arguments one whose text is shown in the status bar, called about once a second.

    Args:
        kind: `Kind.RECURRING`.
        status_type: NORMAL for the left of the status bar, PERMANENT (also without one) for its right.
    """

    def decorator(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def task(*args: P.args, **kwargs: P.kwargs) -> R:
            return function(*args, **kwargs)

        _mark(task, kind=kind, status_type=status_type, module=function.__module__)
        return task

    return decorator


def _mark(function: Any, **attributes: Any) -> None:
    for name, value in attributes.items():
        setattr(function, f"__ui_{name}__", value)


# What there is ---------------------------------------------------------------------------------------------------------


def functions_of(module: ModuleType, kind: Kind | None = None) -> dict[str, Callable[..., Any]]:
    """Returns the tasks in a module by name, in the order in which they stand there."""
    return {
        name: member
        for name, member in vars(module).items()
        if inspect.isfunction(member)
        and hasattr(member, "__ui_kind__")
        and (kind is None or member.__ui_kind__ & kind)
    }


def find_ui_functions(
    module_path: str, predicate: Callable[[Any], Any] | None = None
) -> dict[str, Callable[..., Any]]:
    """Returns the marked functions of a module by name, those for which `predicate` holds.

    Raises:
        ImportError: when there is no such module.
    """
    found = functions_of(load_module(module_path))
    return {name: function for name, function in found.items() if predicate is None or predicate(function)}


def find_ui_button_functions(module_path: str) -> dict[str, Callable[..., Any]]:
    """Returns the tasks of a module that are buttons."""
    return functions_of(load_module(module_path), Kind.BUTTON)


def find_ui_recurring_functions(module_path: str) -> dict[str, Callable[..., Any]]:
    """Returns the recurring tasks of a module."""
    return functions_of(load_module(module_path), Kind.RECURRING)


def get_module_location(module_path: str) -> Path:
    """Returns the folder of a package.

    Raises:
        ValueError: when it is no package on disk.
    """
    module = load_module(module_path)
    file = getattr(module, "__file__", None)
    paths = [str(path) for path in getattr(module, "__path__", [])]
    if file is None and paths:
        warnings.warn(
            f"{module_path} is a package without an `__init__.py` (in {paths[0]}); make one, it can be empty",
            stacklevel=2,
        )
    location = Path(file).parent if file else Path(paths[0]) if paths else None
    if location is None or not location.is_dir():
        raise ValueError(f"{module_path} is no package in a folder")
    return location


def find_modules(module_path: str) -> dict[str, str]:
    """Returns the full names of the modules of a package by their names; nothing is imported."""
    found = sorted(get_module_location(module_path).glob("*.py"))
    return {path.stem: f"{module_path}.{path.stem}" for path in found if path.name != "__init__.py"}


def find_subpackages(module_path: str) -> dict[str, Path]:
    """Returns the folders of the sub-packages of a package by their names."""
    location = get_module_location(module_path)
    return {path.parent.name: path.parent for path in sorted(location.glob("*/__init__.py"))}


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Returns the signature; each annotation that was written as text is evaluated where that is possible.

    The annotation of the result stays as it is.
    """
    signature = inspect.signature(function)
    original = inspect.unwrap(function, stop=lambda wrapper: hasattr(wrapper, "__signature__"))
    names = getattr(original, "__globals__", {})
    parameters = [
        parameter.replace(annotation=_evaluated(parameter.annotation, names))
        for parameter in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def _evaluated(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    try:
        return inspect.get_annotations(holder, globals=names, eval_str=True)["it"]
    except Exception:  # written by the author of the tasks: the text stays, the other arguments are usable
        return annotation


def get_arguments(function: Callable[..., Any]) -> dict[str, Argument]:
    """Returns the arguments of a task by name."""
    empty = inspect.Parameter.empty
    return {
        name: Argument(
            name,
            int(parameter.kind),
            None if parameter.annotation is empty else parameter.annotation,
            None if parameter.default is empty else parameter.default,
        )
        for name, parameter in signature_of(function).parameters.items()
    }
