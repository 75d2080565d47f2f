"""The definition of a building block: its parameters, defaults and identity, read once from the function."""

from __future__ import annotations

import ast
import hashlib
import inspect
import logging
import os
import re
import textwrap
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

from camtest.core.conditions import OPTIONS_ATTRIBUTE, BlockOptions
from camtest.core.defaults import read_defaults
from camtest.core.errors import BuildingBlockError
from camtest.core.syntax import parse_statements
from egse.advice import did_you_mean
from egse.command import CommandError, ParameterDefinition

__all__ = ["BlockDefinition", "BuildingBlockError"]

_EMPTY = inspect.Parameter.empty
_ALLOWED_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


LOGGER = logging.getLogger(__name__)

_PLAIN_TYPES = (float, int, str, bool)
"""A value of exactly this type fits a parameter of this type that has no range."""


class BlockDefinition:
    """Everything there is to know about a building block.

    Args:
        function: the decorated function.

    Attributes:
        function: the same.
        run: the building block that people call.
        options: what was declared beside it, None when nothing was.
        yaml_defaults: arguments that may be left out, from a YAML file.

    Raises:
        BuildingBlockError: when the function cannot be a building block; the text names function, parameter, file
            and line.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.run: Callable[..., Any] = function
        self.name: str = function.__name__
        self.qualified_name = f"{function.__module__}.{function.__qualname__}"
        self.signature = inspect.signature(function)
        self._modified = _modified(self._file)
        self._refuse_kinds()
        self._refuse_defaults()
        self.names = frozenset(self.signature.parameters)
        self.optional = frozenset(
            name for name, parameter in self.signature.parameters.items() if parameter.default is None
        )
        self.options: BlockOptions | None = getattr(function, OPTIONS_ATTRIBUTE, None)
        self.yaml_defaults: dict[str, Any] = read_defaults(
            Path(self._file), function.__module__, self.name, self.names
        )
        self._check_hints()

    # Checks when the function is defined -------------------------------------------------------------------------

    @property
    def location(self) -> str:
        """`file:line` of the definition."""
        code = getattr(self.function, "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else "unknown place"

    def _refuse_kinds(self) -> None:
        asynchronous = inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function)
        if asynchronous or inspect.isgeneratorfunction(self.function):
            raise BuildingBlockError(
                f"building block `{self.name}` must be a plain function, not a coroutine or generator: it would "
                f"still be running after it returned ({self.location})"
            )
        for parameter in self.signature.parameters.values():
            if parameter.kind not in _ALLOWED_KINDS:
                raise BuildingBlockError(
                    f"building block `{self.name}`: parameter `{parameter}` cannot be given by name; use plain or "
                    f"keyword-only parameters ({self.location})"
                )

    def _refuse_defaults(self) -> None:
        for parameter in self.signature.parameters.values():
            if parameter.default is not _EMPTY and parameter.default is not None:
                raise BuildingBlockError(
                    f"building block `{self.name}`: parameter `{parameter.name}` has the default "
                    f"{parameter.default!r}; the only default allowed is None, so that every value is stated at the "
                    f"call ({self.location})"
                )

    @property
    def _file(self) -> str:
        code = getattr(self.function, "__code__", None)
        return str(code.co_filename) if code else ""

    def _check_hints(self) -> None:
        """Refuses type hints, units, ranges and YAML defaults that cannot work; names that come later are left alone."""
        try:
            parameters = self.parameters
        except BuildingBlockError:
            return
        for parameter in parameters:
            limits = parameter.limits
            if limits is not None and limits.minimum is not None and limits.minimum not in limits:
                self._refuse(f"{parameter.label} has the empty range {limits}")
            if not isinstance(parameter.unit, str) or re.search(r"[\[\]`\n]", parameter.unit):
                self._refuse(
                    f'parameter `{parameter.name}` has the unit {parameter.unit!r}: write it as Unit("degC")'
                )
            default = self.yaml_defaults.get(parameter.name)
            if default is not None:
                try:
                    parameter.check(default, f"the YAML default of `{self.name}`")
                except CommandError as exc:
                    raise BuildingBlockError(f"{exc} ({self.location})") from exc

    def _refuse(self, what: str) -> None:
        raise BuildingBlockError(f"building block `{self.name}`: {what} ({self.location})")

    # What a call needs -------------------------------------------------------------------------------------------

    @cached_property
    def parameters(self) -> tuple[ParameterDefinition, ...]:
        """The parameters in order, with types, units and ranges from their annotations."""
        try:
            hints = get_type_hints(self.function, include_extras=True)
        except NameError as exc:
            raise BuildingBlockError(
                f"building block `{self.name}`: a type annotation cannot be resolved, {exc} ({self.location})"
            ) from exc
        return tuple(
            ParameterDefinition.of(parameter, hints.get(parameter.name, Any))
            for parameter in self.signature.parameters.values()
        )

    @property
    def doc(self) -> str:
        """The documentation of the building block."""
        return inspect.getdoc(self.function) or ""

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all arguments in order, YAML defaults filled in, types and ranges checked.

        Raises:
            BuildingBlockError: when an argument is missing or unknown.
            CommandError: when a value has the wrong type or is out of range.
        """
        if given.keys() != self.names:
            given = self._completed(given)
        arguments = {}
        for name, exact, optional, check in self._checks:
            value = given[name]
            if type(value) is exact or (value is None and optional):
                arguments[name] = value
            else:
                arguments[name] = check(value, self.name)
        return arguments

    @cached_property
    def _checks(self) -> tuple[tuple[str, type | None, bool, Callable[[Any, str], Any]], ...]:
        """Returns, for each parameter, its name, the type that needs no check, whether it may be None, and the check."""
        return tuple(
            (
                parameter.name,
                parameter.hint if parameter.limits is None and parameter.hint in _PLAIN_TYPES else None,
                parameter.name in self.optional,
                parameter.check,
            )
            for parameter in self.parameters
        )

    def _completed(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        complete = {**self.yaml_defaults, **given}
        missing = [parameter for parameter in self.parameters if parameter.name not in complete]
        unknown = [key for key in complete if key not in self.names]
        if missing or unknown:
            raise BuildingBlockError(self._advice(missing, unknown))
        return complete

    def _advice(self, missing: list[ParameterDefinition], unknown: list[str]) -> str:
        """Returns what is wrong with the names, as a colleague would say it."""
        parts = []
        if missing:
            parts.append("needs " + _enumerated([parameter.label for parameter in missing]))
        if unknown:
            passed = _enumerated([f"`{key}`" for key in unknown])
            parts.append(f"you passed {passed}" if missing else f"has no parameter {passed}")
        text = f"`{self.name}` {'; '.join(parts)}."
        candidates = [parameter.name for parameter in missing] or list(self.signature.parameters)
        if len(missing) == len(unknown) == 1:
            return f"{text} Did you mean `{candidates[0]}`?"
        for key in unknown:
            text += _suggestion(key, candidates)
        if missing and not unknown:
            text += " Every argument is given by name at each call, even when it is None."
        return text

    def refuse_positional(self, args: tuple[Any, ...]) -> BuildingBlockError:
        """Returns the error for a call with positional arguments."""
        wanted = ", ".join(f"{name}=..." for name in self.signature.parameters)
        count = "a positional argument" if len(args) == 1 else f"{len(args)} positional arguments"
        return BuildingBlockError(
            f"`{self.name}` was called with {count} ({', '.join(map(repr, args))}); building blocks take keyword "
            f"arguments only: {self.name}({wanted})"
        )

    # Identity ----------------------------------------------------------------------------------------------------

    @cached_property
    def bbid(self) -> str:
        """Identity of the code: 16 hexadecimal digits that change when the code of the building block changes.

        Comments, layout and documentation do not count, nor do machine or Python version. "" when the source is not
        known, or was edited since this building block was defined: it is not what runs.
        """
        if _modified(self._file) != self._modified:
            LOGGER.warning("%s was edited after `%s` was imported; reload it", self._file, self.name)
            return ""
        try:
            tree = parse_statements(textwrap.dedent(inspect.getsource(self.function)))
        except (OSError, TypeError, SyntaxError):
            return ""
        text = f"{self.qualified_name}\n{_normalised(tree.body[0])}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """Returns name, documentation and parameters as plain data: for forms, documentation and the command line."""
        return {
            "name": self.name,
            "qualified_name": self.qualified_name,
            "doc": self.doc,
            "bbid": self.bbid,
            "parameters": [
                {
                    "name": parameter.name,
                    "type": getattr(parameter.hint, "__name__", str(parameter.hint)),
                    "unit": parameter.unit,
                    "range": None if parameter.limits is None else str(parameter.limits),
                    "default": self.yaml_defaults.get(parameter.name),
                }
                for parameter in self.parameters
            ],
        }


def _modified(path: str) -> int:
    """Returns when a file was changed last [ns], 0 for what is no file (a notebook cell)."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _suggestion(given: str, candidates: list[str]) -> str:
    """Returns " Did you mean ...?" also for abbreviations, which a measure of similarity does not find."""
    abbreviated = [name for name in candidates if name.startswith(given) or given.startswith(name)]
    if len(abbreviated) == 1:
        return f" Did you mean `{abbreviated[0]}`?"
    return did_you_mean(given, candidates)


def _enumerated(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _normalised(node: Any) -> str:
    """Returns an abstract syntax tree as text that does not depend on the Python version.

    Fields that are empty are left out (versions differ in which they have), and so are docstrings.
    """
    if isinstance(node, ast.AST):
        fields = []
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "kind", "type_comment") or value is None or value == []:
                continue
            if name == "body" and isinstance(value, list):
                value = _without_docstring(value)
            elif isinstance(node, ast.JoinedStr):
                value = [part for part in value if not _is_empty_text(part)]
            fields.append(f"{name}={_normalised(value)}")
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(_normalised(item) for item in node)}]"
    return repr(node)


def _is_empty_text(node: ast.AST) -> bool:
    """Returns True for the empty piece of an f-string that Python 3.12 has and others have not."""
    return isinstance(node, ast.Constant) and node.value == ""


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    documented = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return body[1:] if documented else body
