"""Reads Python source into a syntax tree, also from several threads at once.

CPython 3.11 counts the depth of a tree once for all threads and ends with a `SystemError` when two of them convert one at the
same time, as warm kernels and batches would: here they take turns.
"""

from __future__ import annotations

import ast
import threading

_lock = threading.Lock()


def parse_statements(source: str) -> ast.Module:
    """Returns the syntax tree of statements; raises SyntaxError when they are not valid."""
    with _lock:
        return ast.parse(source)


def parse_expression(source: str) -> ast.expr:
    """Returns the syntax tree of one expression; raises SyntaxError when it is not valid."""
    with _lock:
        return ast.parse(source, mode="eval").body
