"""The parameters of a procedure notebook, read from its cell tagged `parameters`, and checked before anything starts.

    num_cycles: int = 2                                     # number of readout cycles
    attenuation: Annotated[float, Range(0, 1)] = 0.01       # transmission of the filter wheels
    ccd_side: Literal["E", "F", "BOTH"] = "BOTH"            # which side is read out
    temperature: Annotated[float, Unit("degC")]             # no default: must be given

The type comes from the annotation, from a comment `# type: int help` (papermill's form), or from the default. A
parameter without a default, or with the default `None` or `...` that its type does not allow, must be given. The cell
is parsed, never executed.
"""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import click
import yaml

from camtest.core.syntax import parse_expression, parse_statements
from camtest.run.notebooks import has_tag
from egse.advice import did_you_mean
from egse.command import CommandError, ParameterDefinition, Range, Unit

if typing.TYPE_CHECKING:
    from nbformat import NotebookNode

PARAMETERS_TAG = "parameters"
RESERVED_PREFIX = "PAPERMILL_"
"""papermill may inject its paths under such names."""

_PLAIN_TYPES: dict[str, Any] = {
    kind.__name__: kind for kind in (int, float, str, bool, list, dict, tuple, bytes)
} | {"Any": Any, "None": None, "List": list, "Dict": dict, "Tuple": tuple}
_INFERRED: dict[type, Any] = {int: int | float, float: float, str: str, bool: bool, list: list, dict: dict}
_NO_DEFAULT = inspect.Parameter.empty


class ParameterError(click.ClickException, ValueError):
    """Parameters that do not fit the notebook; `errors` has one line for each."""

    exit_code = 2

    def __init__(self, notebook: str, errors: list[str]) -> None:
        self.errors = errors
        count = "a parameter is" if len(errors) == 1 else f"{len(errors)} parameters are"
        listed = "\n".join(f"  - {error}" for error in errors)
        super().__init__(f"{notebook}: {count} wrong, nothing was started\n{listed}")


@dataclass(frozen=True)
class NotebookParameter:
    """One parameter of a notebook.

    Attributes:
        definition: name, type, unit and range.
        annotation: the type as written; empty when it was inferred from the default.
        default: the default as written; empty when there is none.
        help: the comment behind it.
        required: True when it must be given.
    """

    definition: ParameterDefinition
    annotation: str = ""
    default: str = ""
    help: str = ""
    required: bool = False

    @property
    def name(self) -> str:
        """The name of the variable."""
        return self.definition.name

    @property
    def type_name(self) -> str:
        """The type as a person would write it."""
        return self.annotation or getattr(self.definition.hint, "__name__", str(self.definition.hint))

    def convert(self, text: str) -> Any:
        """Returns the value that `text` from a command line stands for; the text itself when it fits no type."""
        return convert_text(self.definition.hint, text)


def parameters_cell(notebook: NotebookNode) -> NotebookNode | None:
    """Returns the first cell tagged `parameters`, None when there is none."""
    tagged = (c for c in notebook.cells if c.cell_type == "code" and has_tag(c, PARAMETERS_TAG))
    return next(tagged, None)


def notebook_parameters(notebook: NotebookNode) -> dict[str, NotebookParameter]:
    """Returns the parameters of a notebook by name, in order.

    Raises:
        ValueError: when the cell is not valid Python.
    """
    cell = parameters_cell(notebook)
    if cell is None:
        return {}
    try:
        tree = parse_statements(cell.source)
    except SyntaxError as exc:
        raise ValueError(f"the cell tagged `parameters` is not valid Python: {exc}") from exc
    comments = _comments(cell.source)
    return {parameter.name: parameter for parameter in _declared(tree, comments)}


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}


def _declared(tree: ast.Module, comments: Mapping[int, str]) -> Iterator[NotebookParameter]:
    for statement in tree.body:
        comment = comments.get(statement.end_lineno or statement.lineno, "")
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                yield _parameter(name, annotation, value, comment)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                declared, comment = _type_comment(comment)
                yield _parameter(name, declared, value, comment)


def _type_comment(comment: str) -> tuple[ast.expr | None, str]:
    """Splits papermill's `type: int help` into type and help."""
    if not comment.startswith("type:"):
        return None, comment
    declared, _, rest = comment.removeprefix("type:").strip().partition(" ")
    try:
        return parse_expression(declared), rest.strip()
    except SyntaxError:
        return None, comment


def _parameter(
    name: str, annotation: ast.expr | None, value: ast.expr | None, comment: str
) -> NotebookParameter:
    default = _literal(value)
    if annotation is None:
        hint: Any = _INFERRED.get(type(default), Any)
    else:
        hint = _hint(annotation)
    absent = value is None or default is Ellipsis or (default is None and not _allows_none(hint))
    parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
    return NotebookParameter(
        definition=ParameterDefinition.of(parameter, hint),
        annotation="" if annotation is None else ast.unparse(annotation),
        default="" if value is None else ast.unparse(value),
        help=comment,
        required=absent,
    )


def _literal(value: ast.expr | None) -> Any:
    """Returns the value of a literal, `_NO_DEFAULT` for any other expression."""
    if value is None:
        return _NO_DEFAULT
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return _NO_DEFAULT


def _hint(node: ast.expr) -> Any:
    """Returns the type that an annotation stands for, `Any` for what is not known here."""
    match node:
        case ast.Constant(value=None):
            return type(None)
        case ast.Constant(value=str(text)):
            return _hint(parse_expression(text))
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _PLAIN_TYPES.get(name, Any)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([_hint(left), _hint(right)])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _generic(name, list(inner.elts) if isinstance(inner, ast.Tuple) else [inner])
    return Any


def _generic(name: str, items: list[ast.expr]) -> Any:
    match name:
        case "Literal":
            return Literal[tuple(ast.literal_eval(item) for item in items)]
        case "Optional":
            return _union([_hint(items[0]), type(None)])
        case "Union":
            return _union([_hint(item) for item in items])
        case "Annotated":
            extras = tuple(extra for item in items[1:] if (extra := _metadata(item)) is not None)
            return Annotated[(_hint(items[0]), *extras)] if extras else _hint(items[0])
        case "list" | "List":
            return list[_hint(items[0])]  # type: ignore[misc]
    return _PLAIN_TYPES.get(name, Any)


def _union(members: list[Any]) -> Any:
    """Returns the union of types; unit and range of `Annotated[float, Unit("K")] | None` are those of the whole."""
    annotated = [member for member in members if typing.get_origin(member) is Annotated]
    rest = [member for member in members if member is not type(None)]
    if len(annotated) == 1 and rest == annotated:
        bare, *extras = typing.get_args(annotated[0])
        return Annotated[(Union[bare, None], *extras)]  # noqa: UP007 (made at run time)
    return Union[tuple(members)]  # noqa: UP007


def _metadata(node: ast.expr) -> Range | Unit | None:
    """Returns the `Range(...)` or `Unit(...)` that is written in an annotation."""
    match node:
        case ast.Call(func=ast.Name(id="Range") | ast.Attribute(attr="Range"), args=args, keywords=keywords):
            return Range(*map(ast.literal_eval, args), **_keywords(keywords))
        case ast.Call(func=ast.Name(id="Unit") | ast.Attribute(attr="Unit"), args=args, keywords=keywords):
            return Unit(*map(ast.literal_eval, args), **_keywords(keywords))
    return None


def _keywords(keywords: list[ast.keyword]) -> dict[str, Any]:
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in keywords if keyword.arg}


def _allows_none(hint: Any) -> bool:
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    return hint is Any or hint is type(None) or type(None) in typing.get_args(hint)


# Values ----------------------------------------------------------------------------------------------------------


def check_parameters(
    notebook: NotebookNode, given: Mapping[str, Any], name: str = "notebook"
) -> dict[str, Any]:
    """Returns the parameters with which the notebook will run, those given over the defaults that are literals.

    Args:
        notebook: the notebook.
        given: values by name.
        name: how the notebook is called, for the error.

    Raises:
        ParameterError: when a parameter is unknown, missing or has a wrong type or value; it tells all of them.
    """
    known = notebook_parameters(notebook)
    errors = [
        f"`{key}` is not a parameter of this notebook.{did_you_mean(key, known)}"
        for key in given
        if key not in known and not key.startswith(RESERVED_PREFIX)
    ]
    values: dict[str, Any] = {}
    for parameter in known.values():
        if parameter.name in given:
            try:
                values[parameter.name] = _checked(parameter, given[parameter.name])
            except CommandError as exc:
                errors.append(str(exc))
        elif parameter.required:
            errors.append(f"{parameter.definition.label} ({parameter.type_name}) is missing")
        else:
            values[parameter.name] = _default(parameter)
    if errors:
        raise ParameterError(name, errors)
    return values | {key: value for key, value in given.items() if key not in known}


def _default(parameter: NotebookParameter) -> Any:
    """Returns the default: its value when it is a literal, else the expression as text."""
    value = _literal(parse_expression(parameter.default))
    return parameter.default if value is _NO_DEFAULT else value


def _checked(parameter: NotebookParameter, value: Any) -> Any:
    if value is None and not parameter.required and parameter.default == "None":
        return None
    if value is None and not _allows_none(parameter.definition.hint):
        raise CommandError(f"{parameter.definition.label} must have a value, got None")
    return parameter.definition.check(value, parameter.type_name)


def convert_text(hint: Any, text: str) -> Any:
    """Returns the value that a text stands for in the type of a hint; the text itself when it fits no type."""
    if hint is str:
        return text
    if hint is Any or typing.get_origin(hint) is Literal:
        choices = {str(choice): choice for choice in typing.get_args(hint)}
        return choices.get(text, _guess(text))
    members = [m for m in typing.get_args(hint) if m is not type(None)]
    if members and typing.get_origin(hint) in (Union, type(int | str)):
        if text in ("None", "null") and _allows_none(hint):
            return None
        for member in members:
            value = convert_text(member, text)
            if value is not text or member is str:
                return value
        return text
    if hint is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if hint in (int, float):
        return _number(hint, text)
    return _guess(text)


def _number(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text


def _guess(text: str) -> Any:
    """Returns what papermill would make of a text: None, a truth value, a number, else YAML lists and mappings."""
    if text in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[text]
    for kind in (int, float):
        value = _number(kind, text)
        if value is not text:
            return value
    if text[:1] in "[{":
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text
    return text


def convert_texts(notebook: NotebookNode, texts: Mapping[str, str]) -> dict[str, Any]:
    """Returns values of `-p NAME VALUE` in the types that the notebook declares."""
    known = notebook_parameters(notebook)
    return {
        name: known[name].convert(text) if name in known else _guess(text) for name, text in texts.items()
    }
