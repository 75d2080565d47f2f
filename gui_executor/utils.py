"""What task packages use of `gui_executor.utils`."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from camtest.tasks.ansi import strip_ansi as remove_ansi_escape
from camtest.tasks.calls import TaskCall
from camtest.tasks.catalogue import Task

__all__ = [
    "copy_func",
    "create_code_snippet",
    "custom_repr",
    "expand_path",
    "format_datetime",
    "get_file_path",
    "is_renderable",
    "print_system_info",
    "read_id",
    "remove_ansi_escape",
    "replace_environment_variable",
    "sys_path",
    "write_id",
]

_VARIABLE = re.compile(r"ENV\[['\"](\w+)['\"]\]")


def copy_func(function: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """Returns a copy of a task, to be shown in another module.

    Args:
        function: a decorated function.
        name: the group in which it is shown; that of the module when None.
    """
    copied = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__doc__, copied.__module__ = function.__doc__, function.__module__
    copied.__dict__.update(vars(function))
    if name is not None:
        copied.__ui_group__ = name  # type: ignore[attr-defined]
    return copied


def create_code_snippet(
    function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], call_func: bool = True
) -> str:
    """Returns the call of a task as code that can be executed; only its imports without `call_func`."""
    call = TaskCall(Task(function, function.__module__, function.__name__), args, kwargs)
    return call.code if call_func else call.code.rpartition("\n\n")[0] + "\n"


def custom_repr(value: Any) -> str:
    """Returns a member of an enumeration as `Class.NAME`, anything else as `repr` does."""
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else repr(value)


def replace_environment_variable(text: str) -> str | None:
    """Returns a text with `ENV['NAME']` replaced by the variable of the environment; None when there is none."""
    names = _VARIABLE.findall(text)
    if any(name not in os.environ for name in names):
        return None
    return _VARIABLE.sub(lambda match: os.environ[match[1]], text)


def expand_path(path: Path | str) -> Path:
    """Returns an absolute path, `~` and `ENV['NAME']` replaced.

    Raises:
        ValueError: when a variable is not set.
    """
    text = replace_environment_variable(str(path))
    if text is None:
        raise ValueError(f"{path} names a variable of the environment that is not set")
    return Path(text).expanduser().resolve()


def get_file_path(path: str | Path, name: str) -> Path:
    """Returns the path of a file in a folder.

    Raises:
        ValueError: when folder or file are not there.
    """
    folder = expand_path(path)
    file = folder / name
    if not file.exists():
        raise ValueError(
            f"there is no {'folder' if not folder.exists() else 'file'} {file if folder.exists() else folder}"
        )
    return file


def read_id(path: Path | str) -> str:
    """Returns what `write_id` has written; an empty text when there is no file."""
    file = Path(path).expanduser()
    return file.read_text().strip() if file.exists() else ""


def write_id(value: Any, path: Path | str) -> None:
    """Writes an id into a file of its own."""
    Path(path).expanduser().write_text(str(value.value if isinstance(value, Enum) else value))


def format_datetime(moment: datetime | None = None) -> str:
    """Returns a moment (now) as text."""
    return (moment or datetime.now(UTC)).isoformat(timespec="milliseconds")


def is_renderable(value: Any) -> bool:
    """Returns True for what rich shows in a form of its own."""
    return hasattr(value, "__rich__") or hasattr(value, "__rich_console__")


@contextlib.contextmanager
def sys_path(path: Path | str) -> Iterator[None]:
    """While the block runs, modules are looked for in a folder first."""
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(path))


def print_system_info() -> None:
    """Prints which Python this is and where it looks for modules."""
    print(f"Python {sys.version}\nsys.executable = {sys.executable}\nsys.path = {sys.path}")  # noqa: T201
