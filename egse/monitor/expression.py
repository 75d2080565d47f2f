"""A small language for conditions over several parameters: `abs(GAEU_V_CCD_NFEE - 34.7) > 0.5 and state == "RUNNING"`.

The text is parsed, checked against a short list of what is allowed, and made into nested functions; nothing is ever handed
to the interpreter. Allowed are numbers, texts, names of parameters, `state`, `phase`, `mode`; arithmetic, comparisons, `and`,
`or`, `not`, `in`, `A if B else C`; and the functions in `FUNCTIONS`.

A value that is not known (never came, no number, divided by zero) makes what depends on it unknown; `or` and `and` cope with
that as far as the known side decides.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 1000
"""Longest text of an expression [characters]."""
LARGEST = 200
"""An expression has at most so many parts."""
CONTEXT_NAMES = ("state", "phase", "mode")
"""Names that stand for the context and not for a parameter."""

Values = Mapping[str, Any]
_Evaluate = Callable[[Values], Any]


class ExpressionError(ValueError):
    """A text that is no expression, or one with something in it that is not allowed."""


class UnknownValueError(Exception):
    """The result is not known, because a value is not."""


def _number(value: Any) -> float:
    if isinstance(value, bool) or (isinstance(value, int | float) and value == value):
        return value
    raise UnknownValueError


def _power(base: float, exponent: float) -> float:
    return math.pow(base, exponent)  # never the whole numbers of unlimited size that `**` may give


ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.BitAnd: lambda a, b: int(a) & int(b),
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
EQUALITIES: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "sqrt": math.sqrt,
    "mean": lambda *values: sum(values) / len(values),
    "spread": lambda *values: max(values) - min(values),
}
_ARGUMENTS = {"abs": (1, 1), "sqrt": (1, 1)}


class Expression:
    """An expression, ready to be evaluated.

    Args:
        text: the expression.

    Attributes:
        text: as it was written.
        names: the parameters in it.
        context_names: which of `state`, `phase`, `mode` are in it.

    Raises:
        ExpressionError: when it is none, saying what is wrong.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or not text.strip():
            raise ExpressionError(f"an expression is a text, not {text!r}")
        if len(text) > LONGEST:
            raise ExpressionError(f"an expression has at most {LONGEST} characters, this one {len(text)}")
        self.text = text.strip()
        try:
            tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as exc:
            reason = exc.msg if isinstance(exc, SyntaxError) else str(exc)
            raise ExpressionError(f"{self.text!r} is no expression: {reason}") from None
        if sum(1 for _ in ast.walk(tree)) > LARGEST:
            raise ExpressionError(f"{self.text!r} is too long: at most {LARGEST} parts")
        self._names: set[str] = set()
        self._evaluate = self._compile(tree)
        self.names = frozenset(self._names.difference(CONTEXT_NAMES))
        self.context_names = frozenset(self._names.intersection(CONTEXT_NAMES))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __call__(self, values: Values) -> Any:
        """Returns the result.

        Args:
            values: of the parameters and the context, by name.

        Raises:
            UnknownValueError: when it is not known.
        """
        try:
            return self._evaluate(values)
        except (ArithmeticError, ValueError, TypeError) as exc:
            raise UnknownValueError(str(exc)) from None

    # -- making functions ------------------------------------------------------------------------------------------

    def _compile(self, node: ast.expr) -> _Evaluate:
        method = getattr(self, f"_compile_{type(node).__name__.lower()}", None)
        if method is None:
            raise ExpressionError(f"`{ast.unparse(node)}` in {self.text!r} is not allowed here")
        made: _Evaluate = method(node)
        return made

    def _compile_constant(self, node: ast.Constant) -> _Evaluate:
        value = node.value
        if not isinstance(value, int | float | str | bool):
            raise ExpressionError(f"`{value!r}` in {self.text!r} is neither number nor text")
        return lambda values: value

    def _compile_name(self, node: ast.Name) -> _Evaluate:
        name = node.id
        self._names.add(name)

        def look_up(values: Values) -> Any:
            value = values.get(name)
            if value is None:
                raise UnknownValueError(name)
            return value

        return look_up

    def _compile_unaryop(self, node: ast.UnaryOp) -> _Evaluate:
        operand = self._compile(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda values: not operand(values)
        if isinstance(node.op, ast.USub):
            return lambda values: -_number(operand(values))
        if isinstance(node.op, ast.UAdd):
            return lambda values: _number(operand(values))
        raise ExpressionError(f"`{ast.unparse(node)}` in {self.text!r} is not allowed here")

    def _compile_binop(self, node: ast.BinOp) -> _Evaluate:
        function = ARITHMETIC.get(type(node.op))
        if function is None:
            raise ExpressionError(f"`{ast.unparse(node)}` in {self.text!r} is not allowed here")
        left, right = self._compile(node.left), self._compile(node.right)
        return lambda values: function(_number(left(values)), _number(right(values)))

    def _compile_boolop(self, node: ast.BoolOp) -> _Evaluate:
        parts = [self._compile(part) for part in node.values]
        decides = isinstance(node.op, ast.Or)  # what one known side is enough for

        def combine(values: Values) -> bool:
            unknown = False
            for part in parts:
                try:
                    if bool(part(values)) is decides:
                        return decides
                except UnknownValueError:
                    unknown = True
            if unknown:
                raise UnknownValueError
            return not decides

        return combine

    def _compile_compare(self, node: ast.Compare) -> _Evaluate:
        first = self._compile(node.left)
        rest = []
        for kind, comparator in zip(node.ops, node.comparators):
            if isinstance(comparator, ast.Tuple | ast.List):
                if not isinstance(kind, ast.In | ast.NotIn):
                    raise ExpressionError(f"`{ast.unparse(node)}` in {self.text!r} is not allowed here")
                rest.append((EQUALITIES[type(kind)], self._compile_choices(comparator), False))
                continue
            if isinstance(kind, ast.In | ast.NotIn) or type(kind) not in (*COMPARISONS, *EQUALITIES):
                raise ExpressionError(f"`{ast.unparse(node)}` in {self.text!r} is not allowed here")
            ordered = type(kind) in COMPARISONS
            function = COMPARISONS[type(kind)] if ordered else EQUALITIES[type(kind)]
            rest.append((function, self._compile(comparator), ordered))

        def compare(values: Values) -> bool:
            left = first(values)
            for function, other, ordered in rest:
                right = other(values)
                if ordered:
                    left, right = _number(left), _number(right)
                if not function(left, right):
                    return False
                left = right
            return True

        return compare

    def _compile_choices(self, node: ast.Tuple | ast.List) -> _Evaluate:
        parts = [self._compile(part) for part in node.elts]
        return lambda values: [part(values) for part in parts]

    def _compile_ifexp(self, node: ast.IfExp) -> _Evaluate:
        test, yes, no = self._compile(node.test), self._compile(node.body), self._compile(node.orelse)
        return lambda values: yes(values) if test(values) else no(values)

    def _compile_call(self, node: ast.Call) -> _Evaluate:
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        function = FUNCTIONS.get(name)
        if function is None:
            known = ", ".join(FUNCTIONS)
            raise ExpressionError(f"there is no function {name!r} in {self.text!r} (there are: {known})")
        low, high = _ARGUMENTS.get(name, (1, LARGEST))
        if node.keywords or not low <= len(node.args) <= high:
            raise ExpressionError(f"`{ast.unparse(node)}` in {self.text!r}: these arguments do not fit")
        parts = [self._compile(part) for part in node.args]
        chosen = function
        if name in ("min", "max") and len(parts) == 1:
            return parts[0]
        return lambda values: chosen(*(_number(part(values)) for part in parts))
