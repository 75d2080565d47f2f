"""Source is read into trees, also from many threads at once."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor

import pytest

from camtest.core.syntax import parse_expression, parse_statements

SOURCE = "".join(f"def f{n}(a=[{{1: (2, [3])}}]):\n    return [a for _ in range({n})]\n" for n in range(300))


def test_statements_and_expressions() -> None:
    assert [type(node) for node in parse_statements("a = 1\nb").body] == [ast.Assign, ast.Expr]
    assert isinstance(parse_expression("float | None"), ast.BinOp)
    with pytest.raises(SyntaxError):
        parse_expression("a = 1")


def test_many_threads_at_once() -> None:
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(parse_statements, [SOURCE] * 12))
    assert {len(tree.body) for tree in trees} == {300}
