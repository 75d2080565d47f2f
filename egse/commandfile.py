"""Command YAML files: the older way to define commands, compiled into the same definitions (manual, section 6.6.1).

    Commands:
        get_current_position:
            description:   Returns the current position of an axis [deg].
            cmd:           '{axis}'
            device_method: get_current_position
            response:      handle_device_method
            arguments:
                axis: {type: int, range: [1, 3]}

| Key of a command | Meaning | Without it |
|---|---|---|
| `description` | documentation | that of the method on the interface |
| `cmd` | format string that names the arguments: `'{axis} {position:.3f}'`; `{}` are called `arg1`, `arg2`, ... | those of the method; none |
| `device_method` | the method of the Controller | the name of the command |
| `response` | `handle_device_method` is the only way to answer | the same |
| `arguments` | by name: `type` (float, int, bool, str, list, dict, any), `range` ([minimum, maximum]), `unit`, `choices`, `default` | anything goes |

`BaseClass`, `ProxyClass`, `ControlServerClass`, `ControlServer` and `UserInterface` beside `Commands` are for people.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from egse.advice import did_you_mean
from egse.catalogue import make_function, parameter_of
from egse.command import (
    DEFINITION_ATTRIBUTE,
    INTERFACE_MARKER,
    CommandDefinition,
    CommandError,
    command_method,
    commands_of,
)
from egse.command_check import placeholders
from egse.yamlfile import read_yaml

C = TypeVar("C", bound=type)

RESPONSE_METHOD = "handle_device_method"
TOP_KEYS = ("Commands", "BaseClass", "ProxyClass", "ControlServerClass", "ControlServer", "UserInterface")
COMMAND_KEYS = ("description", "cmd", "device_method", "response", "arguments")
ARGUMENT_KEYS = ("type", "range", "unit", "choices", "default")

_OWN_ATTRIBUTES = (DEFINITION_ATTRIBUTE, "__wrapped__", "__signature__")
"""What a method says about itself; everything else was put there by decorators."""

_UNNAMED = re.compile(r"(?<!\{)\{(?=[:!}])")


def read_command_file(path: str | Path) -> dict[str, CommandDefinition]:
    """Reads the commands of a command file that stands for itself, without an interface class.

    Args:
        path: the YAML file.

    Returns:
        The definitions by name, in the order of the file.

    Raises:
        FileNotFoundError: when there is no such file.
        YAMLFileError: when it is not valid YAML.
        CommandError: naming file and command, when an entry makes no sense.
    """
    return {name: _compile(path, name, entry, None) for name, entry in _read_entries(path).items()}


def command_file(path: str | Path) -> Callable[[C], C]:
    """Class decorator: gives an interface the commands of a command YAML file.

    A method declared with `dynamic_interface` gets description, types and ranges from the file; a command that the
    class does not have is added. The result is the same as if all had been written on the interface.

    Args:
        path: the file; a relative path starts at the folder of the module that defines the class.

    Raises:
        FileNotFoundError, YAMLFileError, CommandError: as `read_command_file`; also when file and method do not agree.
    """

    def decorate(interface: C) -> C:
        file = Path(path) if Path(path).is_absolute() else Path(inspect.getfile(interface)).parent / path
        declared = commands_of(interface)
        for name, entry in _read_entries(file).items():
            if name not in declared and hasattr(interface, name):
                raise CommandError(
                    f"{file}: {name}: {interface.__name__}.{name} exists and is no command; decorate it with "
                    "@dynamic_interface"
                )
            method = command_method(_compile(file, name, entry, declared.get(name), interface.__name__))
            if name in declared:
                _carry_marks(getattr(interface, name), method)
            setattr(method, INTERFACE_MARKER, True)
            setattr(interface, name, method)
        return interface

    return decorate


def _read_entries(path: str | Path) -> dict[str, Mapping[str, Any]]:
    content = read_yaml(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("Commands"), Mapping):
        raise CommandError(f"{path}: a command file has a mapping `Commands`")
    _refuse_unknown(f"{path}", content, TOP_KEYS)
    entries = {}
    for name, entry in content["Commands"].items():
        where = f"{path}: {name}"
        if not name.isidentifier() or name.startswith("_"):
            raise CommandError(f"{where}: this cannot be the name of a command")
        if entry is not None and not isinstance(entry, Mapping):
            raise CommandError(f"{where}: expected a mapping, got {entry!r}")
        _refuse_unknown(where, entry or {}, COMMAND_KEYS)
        entries[name] = entry or {}
    return entries


def _refuse_unknown(where: str, mapping: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in mapping:
        if key not in known:
            raise CommandError(f"{where}: unknown key {key!r}.{did_you_mean(key, known)}")


def _compile(
    path: str | Path,
    name: str,
    entry: Mapping[str, Any],
    declared: CommandDefinition | None,
    owner: str = "",
) -> CommandDefinition:
    """Returns the definition of one command of the file, joined with its declaration on the interface."""
    where = f"{path}: {name}"
    if declared is not None and declared.cmd_type != "call":
        raise CommandError(f"{where}: already defined by @dynamic_command, remove it from the file")
    if entry.get("response", RESPONSE_METHOD) != RESPONSE_METHOD:
        raise CommandError(f"{where}: response must be {RESPONSE_METHOD}, got {entry['response']!r}")
    cmd = _named_fields(where, entry)
    device_method = entry.get("device_method") or ""
    if not isinstance(device_method, str) or (device_method and not device_method.isidentifier()):
        raise CommandError(f"{where}: device_method must be the name of a method, got {device_method!r}")
    try:
        names = placeholders(cmd, use_format=True)
        arguments = _read_arguments(entry)
        parameters = _parameters(names, arguments, declared, has_cmd="cmd" in entry)
        returns = declared.hints.get("return", Any) if declared else Any
        doc = (declared.doc if declared else "") or str(entry.get("description") or "").strip()
        function = make_function(name, doc, parameters, returns, owner)
        if declared is not None:
            _carry_marks(declared.function, function)
        definition = CommandDefinition(function, "call", cmd, use_format=True, device_method=device_method)
        _ = definition.parameters  # checks them
    except ValueError as exc:
        raise CommandError(f"{where}: {exc}") from exc
    return definition


def _carry_marks(declared: Callable[..., Any], method: Callable[..., Any]) -> None:
    """Gives a method what decorators (`urgent`, `observe`, ...) have said about the declaration that it replaces."""
    marks = {key: value for key, value in vars(declared).items() if key not in _OWN_ATTRIBUTES}
    vars(method).update(marks)


def _named_fields(where: str, entry: Mapping[str, Any]) -> str:
    cmd = entry.get("cmd") or ""
    if not isinstance(cmd, str):
        raise CommandError(f"{where}: cmd must be text in quotes, got {cmd!r}")
    count = 0

    def named(_: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"{{arg{count}"

    return _UNNAMED.sub(named, cmd)


def _read_arguments(entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    arguments = entry.get("arguments") or {}
    if not isinstance(arguments, Mapping):
        raise CommandError(f"arguments must be a mapping by name, got {arguments!r}")
    result = {}
    for name, spec in arguments.items():
        if not isinstance(spec, Mapping):
            raise CommandError(f"argument `{name}` must be a mapping, got {spec!r}")
        _refuse_unknown(f"argument `{name}`", spec, ARGUMENT_KEYS)
        values = dict(spec)
        result[name] = {"name": name, "limits": values.pop("range", None), **values}
    return result


def _parameters(
    names: list[str],
    arguments: dict[str, dict[str, Any]],
    declared: CommandDefinition | None,
    *,
    has_cmd: bool,
) -> list[inspect.Parameter]:
    known = list(declared.signature.parameters) if declared else names
    for name in [*names, *arguments]:
        if name not in known:
            what = f"{declared.name}{declared.signature}" if declared else "cmd"
            raise CommandError(f"`{name}` is no argument of {what}.{did_you_mean(name, known)}")
    if declared is None:
        return [parameter_of(arguments.get(name, {"name": name})) for name in names]
    signature = declared.signature.parameters.values()
    missing = [p.name for p in signature if p.default is inspect.Parameter.empty and p.name not in names]
    if has_cmd and missing:
        raise CommandError(f"cmd does not have `{missing[0]}` of {declared.name}{declared.signature}")
    return [_joined(p, declared.hints, arguments.get(p.name)) for p in signature]


def _joined(
    parameter: inspect.Parameter, hints: Mapping[str, Any], spec: Mapping[str, Any] | None
) -> inspect.Parameter:
    """Returns a declared parameter with what the file adds; each thing is said in one place only."""
    if spec is None:
        return parameter.replace(annotation=hints.get(parameter.name, Any))
    if parameter.name in hints:
        raise CommandError(f"`{parameter.name}` is annotated on the interface, leave it out of the file")
    if "default" in spec:
        raise CommandError(f"the default of `{parameter.name}` belongs on the interface")
    return parameter_of(spec).replace(kind=parameter.kind, default=parameter.default)
