"""Calls as code in `gui_executor.utils`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from camtest.tasks.calls import Name, TaskCall
from camtest.tasks.catalogue import Task
from camtest.tasks.exec import Argument, ArgumentKind
from camtest.tasks.types import VariableName

_REQUIRED = re.compile(r"<<([:\w]+)>>")


def _call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskCall:
    return TaskCall(Task(function, function.__module__, function.__name__), args, kwargs)


def create_code_snippet(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], call_func: bool = True
) -> str:
    """Returns the call of a task as code that can be executed; only its imports without `call_func`."""
    code = _call(func, args, kwargs).code
    return code if call_func else code.rpartition("\n\n")[0] + "\n"


def create_code_snippet_renderable(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Returns the call of a task for the eye, between two rules, as rich prints it."""
    from rich import box
    from rich.panel import Panel
    from rich.syntax import Syntax

    return Panel(Syntax(_call(func, args, kwargs).shown, "python", word_wrap=True), box=box.HORIZONTALS)


def custom_repr(arg: Any) -> str:
    """Returns a member of an enumeration as `Class.NAME`, anything else as `repr` does."""
    return f"{type(arg).__name__}.{arg.name}" if isinstance(arg, Enum) else repr(arg)


def stringify_args(args: Sequence[Any]) -> str:
    """Returns positional arguments as they stand in a call."""
    return ", ".join(map(custom_repr, args))


def stringify_kwargs(kwargs: Mapping[str, Any]) -> str:
    """Returns arguments by name as they stand in a call."""
    return ", ".join(f"{name}={custom_repr(value)}" for name, value in kwargs.items())


def stringify_imports(args: Sequence[Any], kwargs: Mapping[str, Any], indent: str = "") -> str:
    """Returns the imports of the enumerations in some arguments, a line for each."""
    kinds = [type(value) for value in (*args, *kwargs.values()) if isinstance(value, Enum)]
    return f"\n{indent}".join(f"from {kind.__module__} import {kind.__name__}" for kind in kinds)


def stringify_var_name_checks(args: Sequence[Any], kwargs: Mapping[str, Any], indent: str = "") -> str:
    """Returns code that sets `error` when a variable of the kernel is not there, a line for each."""
    names = [value.name for value in (*args, *kwargs.values()) if isinstance(value, Name)]
    return f"\n{indent}".join(
        f"if {name!r} not in locals(): print({f'the kernel has no variable {name}'!r}); error = True"
        for name in names
    )


def extract_var_name_args_and_kwargs(ui_args: Mapping[str, Argument]) -> tuple[list[Any], dict[str, Any]]:
    """Returns the arguments that are variables of the kernel: those by position, those by name."""
    found = {name: arg for name, arg in ui_args.items() if isinstance(arg.annotation, VariableName)}
    by_name = (ArgumentKind.POSITIONAL_OR_KEYWORD, ArgumentKind.KEYWORD_ONLY)
    return (
        [a.annotation.get_value() for a in found.values() if a.kind is ArgumentKind.POSITIONAL_ONLY],
        {name: a.annotation.get_value() for name, a in found.items() if a.kind in by_name},
    )


def _lines(code: str | Sequence[str]) -> list[str]:
    return code.split("\n") if isinstance(code, str) else list(code)


def get_required_args(code: str | Sequence[str]) -> list[tuple[str, str | None]]:
    """Returns name and type of each `<<name:type>>` in some code; None for a type that is not given."""
    marks = [mark.partition(":") for line in _lines(code) for mark in _REQUIRED.findall(line)]
    return [(name, kind or None) for name, _, kind in marks]


def replace_required_args(code: str | Sequence[str], args: Sequence[Any]) -> list[str]:
    """Returns the lines of some code, each `<<name:type>>` in them blotted out as `****`."""
    return [_REQUIRED.sub("****", line) for line in _lines(code)]
