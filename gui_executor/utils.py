"""What task packages use of `gui_executor.utils`."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import os
import re
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from camtest.tasks.ansi import strip_ansi as remove_ansi_escape
from gui_executor.snippets import (
    create_code_snippet,
    create_code_snippet_renderable,
    custom_repr,
    extract_var_name_args_and_kwargs,
    get_required_args,
    replace_required_args,
    stringify_args,
    stringify_imports,
    stringify_kwargs,
    stringify_var_name_checks,
)
from gui_executor.timing import Timer, format_datetime, timer

__all__ = [
    "Data",
    "Timer",
    "b64decode",
    "bool_env",
    "borg",
    "capture",
    "combo_box_from_enum",
    "combo_box_from_list",
    "copy_func",
    "create_code_snippet",
    "create_code_snippet_renderable",
    "custom_repr",
    "decode_traceback",
    "expand_path",
    "extract_var_name_args_and_kwargs",
    "format_datetime",
    "get_file_path",
    "get_required_args",
    "is_renderable",
    "print_system_info",
    "read_id",
    "remove_ansi_escape",
    "replace_environment_variable",
    "replace_required_args",
    "select_directory",
    "select_file",
    "stringify_args",
    "stringify_imports",
    "stringify_kwargs",
    "stringify_var_name_checks",
    "sys_path",
    "timer",
    "var_exists",
    "walk_dict_tree",
    "write_id",
]

T = TypeVar("T", bound=type)
_TRUE = ("1", "true", "yes", "on")
_VARIABLE = re.compile(r"ENV\[['\"](\w+)['\"]\]")


def copy_func(
    func: Callable[..., Any],
    module_display_name: str | None = None,
    function_display_name: str | None = None,
) -> Callable[..., Any]:
    """Returns a copy of a task, to be shown in another module.

    Args:
        func: a decorated function.
        module_display_name: the group in which it is shown; that of the module when None.
        function_display_name: the label of its button; that of the task when None.
    """
    copied = types.FunctionType(
        func.__code__,
        func.__globals__,
        func.__name__,
        func.__defaults__,
        func.__closure__,
    )
    copied.__kwdefaults__ = func.__kwdefaults__
    copied.__doc__, copied.__module__ = func.__doc__, func.__module__
    copied.__dict__.update(vars(func))
    marks: Any = copied
    marks.__ui_lineno__ = sys._getframe(1).f_lineno
    if module_display_name:
        marks.__ui_module_display_name__ = module_display_name
    if function_display_name:
        marks.__ui_display_name__ = function_display_name
    return copied


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


def bool_env(var_name: str, default: bool = False) -> bool:
    """Returns True when a variable of the environment says so: 1, true, yes, on; `default` when it is not set."""
    text = os.environ.get(var_name, "")
    return text.strip().lower() in _TRUE if text else default


def var_exists(var_name: str) -> bool:
    """Returns True when the caller has a variable of this name, of its own or of its module."""
    caller = sys._getframe(1)
    return var_name in caller.f_locals or var_name in caller.f_globals


@dataclass
class Data:
    """What was printed within `capture`."""

    stdout: str = ""
    stderr: str = ""


@contextlib.contextmanager
def capture() -> Iterator[Data]:
    """While the block runs, what is printed is kept; it is in the `Data` afterwards."""
    data, out, err = Data(), io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield data
    finally:
        data.stdout, data.stderr = out.getvalue(), err.getvalue()


def borg(cls: T) -> T:
    """Makes all instances of a class, and of its sub-classes, have one state."""
    shared: dict[str, Any] = {}
    begin = cls.__init__  # type: ignore[misc]

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        self.__dict__ = shared
        begin(self, *args, **kwargs)

    init.__doc__ = begin.__doc__
    setattr(cls, "__init__", init)  # noqa: B010
    setattr(cls, "_shared_state", shared)  # noqa: B010
    return cls


def walk_dict_tree(dictionary: dict[Any, Any], tree: Any, text_style: str = "green") -> None:
    """Adds a dictionary to a tree of rich; those within it become branches."""
    from rich.text import Text

    for key, value in dictionary.items():
        if isinstance(value, dict):
            walk_dict_tree(value, tree.add(Text(str(key), "purple"), guide_style="dim"), text_style)
        else:
            tree.add(Text.assemble((str(key), "medium_purple1"), ": ", (str(value), text_style)))


def decode_traceback(traceback: str | list[str]) -> str:
    """Returns the lines of a traceback of a kernel as plain text."""
    return remove_ansi_escape(traceback if isinstance(traceback, str) else "\n".join(traceback))


def b64decode(s: str | bytes, altchars: str | bytes | None = None, validate: bool = False) -> bytes:
    """Returns what a text in base 64 stands for.

    Args:
        s: the text.
        altchars: two characters that stand for `+` and `/`.
        validate: other characters are an error, and not left out.

    Raises:
        binascii.Error: when it is no base 64.
    """
    try:
        return base64.b64decode(s, altchars, validate)
    except binascii.Error as exc:
        raise binascii.Error(f"this is no base 64: {exc}") from exc


def combo_box_from_enum(enumeration: type[Enum]) -> Any:
    """Returns a choice (an ipywidget) of the names of an enumeration."""
    return combo_box_from_list([member.name for member in enumeration])


def combo_box_from_list(values: list[Any]) -> Any:
    """Returns a choice (an ipywidget) of values, shown as text."""
    import ipywidgets

    return ipywidgets.Dropdown(options=[str(value) for value in values])


def select_file(*args: Any, **kwargs: Any) -> NoReturn:
    """Says that there is no dialog for files here."""
    raise RuntimeError("there is no file dialog: give the task an argument with the hint FilePath")


def select_directory(*args: Any, **kwargs: Any) -> NoReturn:
    """Says that there is no dialog for folders here."""
    raise RuntimeError("there is no file dialog: give the task an argument with the hint Directory")
