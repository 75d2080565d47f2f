"""A call of a task as Python code: what the console shows, what a kernel or a script executes, what is copied to a cell."""

from __future__ import annotations

import datetime
import enum
import functools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

from camtest.tasks.catalogue import Task

WIDTH = 78
"""Length of the rules around the generated call [characters]."""
_MOMENTS = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
_NUMBERS: tuple[type, ...] = (Decimal, Fraction, UUID)
"""Their texts for programmers are code."""


class NotCodeError(ValueError):
    """A value cannot be written as code."""


@dataclass(frozen=True)
class Name:
    """A variable of the kernel, passed by its name."""

    name: str

    def __repr__(self) -> str:
        return self.name


def code_of(value: Any) -> str:
    """Returns a value as code.

    Raises:
        NotCodeError: when it cannot be written so.
    """
    if isinstance(value, enum.Enum):
        return _enum_code(value)
    if isinstance(value, PurePath):
        return f"Path({str(value)!r})"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, (Name, *_MOMENTS)) or type(value) in _NUMBERS:
        return repr(value)
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return repr(value)
    if type(value) in (list, tuple, dict, set, frozenset):
        return _container_code(value)
    if isinstance(value, (int, float, str)) or _is_numpy_number(value):  # also a sub-class
        return repr(value.item() if hasattr(value, "item") else value)
    raise NotCodeError(f"{value!r} ({type(value).__name__}) cannot be written as code")


def _enum_code(value: enum.Enum) -> str:
    """Returns a member of an enumeration, or flags of one, as code."""
    kind = type(value)
    name = kind.__qualname__
    if "<" in name:
        raise NotCodeError(f"{value!r} belongs to no class that can be imported")
    if value.name in kind.__members__:
        return f"{name}.{value.name}"
    if not isinstance(value, enum.Flag):
        raise NotCodeError(f"{value!r} is no member of {name}")
    flags = list(value)
    if flags and functools.reduce(operator.or_, flags) == value:
        return " | ".join(f"{name}.{flag.name}" for flag in flags)
    return f"{name}({value.value!r})"


def _container_code(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{code_of(k)}: {code_of(v)}' for k, v in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return _set_code(value)
    inner = ", ".join(map(code_of, value))
    if isinstance(value, list):
        return f"[{inner}]"
    return f"({inner}{',' if len(value) == 1 else ''})"


def _set_code(value: Iterable[Any]) -> str:
    inner = ", ".join(sorted(map(code_of, value)))
    if isinstance(value, frozenset):
        return f"frozenset({{{inner}}})" if inner else "frozenset()"
    return f"{{{inner}}}" if inner else "set()"


def _is_numpy_number(value: Any) -> bool:
    return (
        type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item")
    )


def is_code(value: Any) -> bool:
    """Returns True when a value can be written as code."""
    try:
        code_of(value)
    except NotCodeError:
        return False
    return True


def _imports(value: Any) -> Iterator[str]:
    if isinstance(value, enum.Enum):
        kind = type(value)
        yield f"from {kind.__module__} import {kind.__qualname__.partition('.')[0]}"
    elif isinstance(value, PurePath):
        yield "from pathlib import Path"
    elif isinstance(value, _MOMENTS):
        yield "import datetime"
    elif type(value) in _NUMBERS:
        yield f"from {type(value).__module__} import {type(value).__name__}"
    elif isinstance(value, Mapping):
        yield from (line for pair in value.items() for item in pair for line in _imports(item))
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from (line for item in value for line in _imports(item))


@dataclass(frozen=True)
class TaskCall:
    """A task with its arguments.

    Attributes:
        task: which.
        args: positional arguments.
        kwargs: arguments by name.
    """

    task: Task
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def call(self) -> str:
        """The call itself: `hello_you(name='Rik')`.

        Raises:
            NotCodeError: when an argument cannot be written as code.
        """
        given = [code_of(value) for value in self.args]
        given += [f"{name}={code_of(value)}" for name, value in self.kwargs.items()]
        return f"{self.task.name}({', '.join(given)})"

    @property
    def snippet(self) -> str:
        """The call and what takes its result: `response = hello_you(name='Rik')`."""
        return self._taking(self.call)

    def _taking(self, call: str) -> str:
        return f"{self.task.capture} = {'await ' if self.task.is_coroutine else ''}{call}"

    @property
    def shown(self) -> str:
        """The snippet for the eye, also when an argument cannot be written as code."""
        try:
            return self.snippet
        except NotCodeError:
            given = [repr(value) for value in self.args]
            given += [f"{name}={value!r}" for name, value in self.kwargs.items()]
            return self._taking(f"{self.task.name}({', '.join(given)})")

    @property
    def code(self) -> str:
        """The call with its imports, as a cell has it."""
        return self._with_imports(self.snippet)

    @property
    def script(self) -> str:
        """The same as a script has it, where nothing can be awaited."""
        if not self.task.is_coroutine:
            return self.code
        return self._with_imports(f"{self.task.capture} = asyncio.run({self.call})", "import asyncio")

    def _with_imports(self, statement: str, *more: str) -> str:
        needed = {
            *more,
            f"from {self.task.module} import {self.task.name}",
            *(line for value in (*self.args, *self.kwargs.values()) for line in _imports(value)),
        }
        return "\n".join(
            [*sorted(needed, key=lambda line: (line.startswith("from"), line)), "", statement, ""]
        )

    @property
    def variables(self) -> list[str]:
        """The variables of the kernel that it passes."""
        return [value.name for value in (*self.args, *self.kwargs.values()) if isinstance(value, Name)]

    def header(self, where: str) -> str:
        """Returns the beginning of the output in the console: what runs where, and the call between two rules."""
        rule = " " + "─" * WIDTH
        return f"----- Running script '{self.task.name}' in {where}\nThe code snippet:\n{rule}\n  {self.shown}\n{rule}\n\n"

    def footer(self, status: str) -> str:
        """Returns the last line in the console."""
        how = "" if status == "done" else f" ({status})"
        return f"----- function '{self.task.name}' execution finished{how}.\n"


def store_result(capture: str, result: Any, namespace: dict[str, Any]) -> None:
    """Puts a result where an assignment `capture = result` would put it.

    Raises:
        ValueError: when the result does not have so many parts.
    """
    names = [name.strip() for name in capture.split(",") if name.strip()]
    if len(names) == 1 and "," not in capture and not names[0].startswith("*"):
        namespace[names[0]] = result
        return
    values = list(result)
    star = next((i for i, name in enumerate(names) if name.startswith("*")), None)
    if star is not None:
        rest = len(names) - star - 1
        if len(values) < len(names) - 1:
            raise ValueError(f"the result has {len(values)} parts, too few for `{capture}`")
        middle = values[star : len(values) - rest]
        values = [*values[:star], middle, *values[len(values) - rest :]]
    if len(values) != len(names):
        raise ValueError(f"the result has {len(values)} parts, but `{capture}` has {len(names)} names")
    namespace.update({name.lstrip("*"): value for name, value in zip(names, values)})


def resolved(call: TaskCall, namespace: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Returns the arguments with the variables of a namespace in place of their names.

    Raises:
        NameError: when a variable is not there; the text says what to do.
    """
    require_variables(call.variables, namespace)

    def get(value: Any) -> Any:
        return namespace[value.name] if isinstance(value, Name) else value

    return [get(value) for value in call.args], {name: get(value) for name, value in call.kwargs.items()}


def require_variables(names: Sequence[str], namespace: Mapping[str, Any]) -> None:
    """Raises NameError when a variable of the kernel is not there; the text says what to do."""
    missing = [name for name in names if name not in namespace]
    if missing:
        raise NameError(
            f"{', '.join(f'`{name}`' for name in missing)} is not defined in the kernel: run the task that makes it, "
            "or set it on the console of the kernel"
        )
