"""YAML as used by Settings and Setup: one reader and one writer with the surprises of YAML 1.1 taken out.

Read here:

- `1e3`, `1.0e3`, `-1e-3` and `1.000000E-01` are floats (PyYAML takes the first three for text);
- `12:30:45` is text (not 45045 in base sixty) and `010` is text (not 8 in octal; PyYAML itself takes `089` for text);
- keys are text, as written: `no:` is "no" and `0:` is "0";
- a key given twice in one mapping is an error, and so is an alias that contains itself.

What is written is read back the same by this reader and by any other.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml

try:
    from yaml import CSafeDumper as _BaseDumper
    from yaml import CSafeLoader as _BaseLoader
except ImportError:  # a PyYAML that was built without libyaml: slower, but the same result
    from yaml import SafeDumper as _BaseDumper  # type: ignore[assignment]
    from yaml import SafeLoader as _BaseLoader  # type: ignore[assignment]

MAX_NODES = 1_000_000
"""A document with more values than this, aliases expanded, is refused: it is a mistake or an attack."""

MAX_DEPTH = 200
"""A document that is nested deeper is refused: far below the depth at which libyaml would run out of stack."""

_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_INT_PATTERN = re.compile(r"^[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)$")
_FLOAT_PATTERN = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
         |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
         |[-+]?\.(?:inf|Inf|INF)
         |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_DECIMAL_KEY = re.compile(r"0|[1-9][0-9]*")


class YAMLFileError(ValueError):
    """Text that is no valid YAML, or no YAML that is accepted here.

    Attributes:
        source: the file, or a name for the text.
        line: where the problem is, from 1; None when unknown.
        problem: what is wrong.
    """

    def __init__(
        self, source: str | Path, problem: str, line: int | None = None, column: int | None = None
    ) -> None:
        place = str(source)
        if line is not None:
            place += f", line {line}" + (f", column {column}" if column is not None else "")
        super().__init__(f"{place}: {problem}")
        self.source = str(source)
        self.line = line
        self.problem = problem


class _Loader(_BaseLoader):
    """The safe loader with numbers as described above and keys as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - declared without ClassVar in the base class
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_INT, _FLOAT)]
        for first, resolvers in _BaseLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


class _Dumper(_BaseDumper):
    """The safe dumper; text that this or another reader would take for a number is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _FlowDumper(_Dumper):
    """The same with everything between brackets."""


_ONE_LINE = 1_000_000
"""So many columns that no line is ever broken."""

for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(_INT, _INT_PATTERN, list("-+0123456789"))
    _class.add_implicit_resolver(_FLOAT, _FLOAT_PATTERN, list("-+0123456789."))


def parse_yaml(text: str, source: str | Path = "<text>") -> Any:
    """Reads one YAML document.

    Args:
        text: the document.
        source: the file or a name for it, used in errors.

    Returns:
        Dicts with `str` keys, lists, and scalars; None for an empty document.

    Raises:
        YAMLFileError: with file, line and column of what is wrong.
    """
    try:
        _check_depth(text, source)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check(node, source, {}, [])
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        problem = ", ".join(part for part in (exc.context, exc.problem) if part)
        raise YAMLFileError(source, problem, *((mark.line + 1, mark.column + 1) if mark else ())) from exc
    except (yaml.YAMLError, ValueError) as exc:
        if isinstance(exc, YAMLFileError):
            raise
        raise YAMLFileError(source, str(exc)) from exc
    except RecursionError as exc:
        raise YAMLFileError(source, "nested too deeply") from exc


def read_yaml(path: str | Path) -> Any:
    """Reads a YAML file, see `parse_yaml`.

    Raises:
        FileNotFoundError: when there is no such file.
        YAMLFileError: when the content is not valid.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise YAMLFileError(path, f"not UTF-8 text: {exc}") from exc
    return parse_yaml(text, path)


def line_of(text: str, key_path: Sequence[str]) -> int | None:
    """Finds the line of a key in YAML text (looked up only when an error has to be told).

    Args:
        text: the document.
        key_path: the keys from the root down.

    Returns:
        The line, from 1, of the deepest key on the path that stands in the text; None when not even the first does.
    """
    try:
        node: Any = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError:
        return None
    line = None
    for key in key_path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((k, v) for k, v in pairs if isinstance(k, yaml.ScalarNode) and k.value == key), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def format_yaml(data: Mapping[str, Any]) -> str:
    """Writes a nested mapping as YAML text.

    Floats are written as `1.000000E-01` with as many digits as they need to be read back the same, short lists on one
    line, mappings as blocks in their own order; keys that are decimal numbers are not quoted.

    Args:
        data: values may be mappings, lists, tuples, sets of text, str, numbers, bool, None, bytes, dates, paths,
            enums (written by value), numpy scalars and arrays (written as numbers and lists).

    Raises:
        TypeError: naming the key path of a value that has no YAML form.
    """
    return _dump(to_plain(data))


def to_plain(data: Mapping[str, Any]) -> dict[Any, Any]:
    """Returns what `format_yaml` writes: dicts, lists and scalars that YAML knows, keys that are numbers as numbers.

    Raises:
        TypeError: naming the key path of a value that has no YAML form.
    """
    plain: dict[Any, Any] = _plain(data, ())
    return plain


def compose_yaml(text: str) -> yaml.Node | None:
    """Returns the nodes of YAML text that `parse_yaml` accepts, with their places in it."""
    return yaml.compose(text, Loader=_Loader)


def format_inline(value: Any, flow: bool) -> str:
    """Writes a plain value on one line, where that is possible.

    Args:
        value: as `to_plain` gives it.
        flow: whether it will stand within `[]` or `{}`, where more has to be quoted.
    """
    text = _dump({"k": value}, _FlowDumper if flow else _Dumper, _ONE_LINE).rstrip("\n").partition("k:")[2]
    return (text[:-1] if flow else text).strip()


def format_entry(value: Any, column: int) -> str:
    """Writes a plain value as it follows `key:` in a block, with a leading blank or a new line.

    Args:
        value: as `to_plain` gives it.
        column: where the key begins.
    """
    first, *rest = _dump({"k": value})[2:].rstrip("\n").split("\n")
    return "\n".join([first, *(" " * column + line if line else "" for line in rest)])


def _dump(data: Any, dumper: Any = None, width: int = 110) -> str:
    text: str = yaml.dump(data, Dumper=dumper or _Dumper, sort_keys=False, allow_unicode=True, width=width)
    return text


def _check_depth(text: str, source: str | Path) -> None:
    """Refuses deep nesting before the parser, which is recursive C code, crashes the process on it."""
    # Every level takes a bracket, or a column of its own at the beginning of some line.
    bound = text.count("[") + text.count("{") + max(map(len, text.splitlines()), default=0)
    if bound <= 5 * MAX_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise YAMLFileError(source, "nested too deeply", event.start_mark.line + 1)  # type: ignore[union-attr]
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check(node: yaml.Node, source: str | Path, sizes: dict[int, int], open_nodes: list[int]) -> int:
    """Refuses repeated keys, aliases that contain themselves and explosions; returns the number of values."""
    if id(node) in sizes:
        return sizes[id(node)]
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in open_nodes:
        raise _refuse(node, source, "an alias contains itself")
    open_nodes.append(id(node))
    children: list[yaml.Node]
    if isinstance(node, yaml.MappingNode):
        _check_keys(node, source)
        children = [value for _, value in node.value]
    else:
        children = list(node.value)
    size = 1 + sum(_check(child, source, sizes, open_nodes) for child in children)
    if size > MAX_NODES:
        raise _refuse(node, source, f"more than {MAX_NODES} values")
    open_nodes.pop()
    sizes[id(node)] = size
    return size


def _check_keys(node: yaml.MappingNode, source: str | Path) -> None:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refuse(key, source, "a key must be a single text")
        if key.value in seen and key.value != "<<":
            raise _refuse(key, source, f"the key {key.value!r} was already given in line {seen[key.value]}")
        seen[key.value] = key.start_mark.line + 1


def _refuse(node: yaml.Node, source: str | Path, problem: str) -> YAMLFileError:
    return YAMLFileError(source, problem, node.start_mark.line + 1, node.start_mark.column + 1)


def _plain(value: Any, path: tuple[str, ...]) -> Any:
    """Turns what people put into a Setup into what YAML knows."""
    if isinstance(value, Mapping):
        items = dict.items(value) if isinstance(value, dict) else value.items()
        return {_plain_key(key): _plain(item, (*path, str(key))) for key, item in items}
    if isinstance(value, enum.Enum):
        return _plain(value.value, path)
    if value is None or type(value) in (str, bytes, bool, int, float):
        return value
    kinds: tuple[type[Any], ...] = (str, bytes, int, float)
    for kind in kinds:  # sub-classes, such as numpy.float64, as what they are
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return _plain(value.tolist(), path)
    if isinstance(value, Sequence | set | frozenset):
        return [_plain(item, (*path, str(index))) for index, item in enumerate(value)]
    if hasattr(value, "isoformat") and hasattr(value, "year"):  # date and datetime
        return value
    raise TypeError(f"{'.'.join(path)}: a value of type {type(value).__name__} cannot be written to YAML")


def _plain_key(key: Any) -> Any:
    return int(key) if isinstance(key, str) and _DECIMAL_KEY.fullmatch(key) else key


def _represent_float(dumper: Any, value: float) -> Any:
    if value != value:
        text = ".nan"
    elif value in (float("inf"), float("-inf")):
        text = ".inf" if value > 0 else "-.inf"
    else:
        text = next(text for digits in range(6, 17) if float(text := f"{value:.{digits}E}") == value)
    return dumper.represent_scalar(_FLOAT, text)


def _represent_str(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


def _represent_list(dumper: Any, value: list[Any]) -> Any:
    flow = all(not isinstance(item, dict) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=flow)


def _represent_dict(dumper: Any, value: dict[Any, Any]) -> Any:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=not value)


_Dumper.add_representer(float, _represent_float)
_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(dict, _represent_dict)
_FlowDumper.add_representer(
    list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, True)
)
_FlowDumper.add_representer(
    dict, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value, True)
)
