"""Decorators and markers used all over the core."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LOGGER = logging.getLogger(__name__)

FAIL_POINT_VARIABLE = "CGSE_FAIL_POINT"
"""The environment variable that arms one fail point of a process when it starts: `name`, or `name#k`."""


def _parse_fail_point(value: str) -> tuple[str, int]:
    name, _, passage = value.partition("#")
    if passage and not (passage.isdecimal() and int(passage) > 0):
        raise ValueError(f"{FAIL_POINT_VARIABLE} is {value!r}: expected NAME or NAME#K with K from 1")
    return name, int(passage or 1)


_armed_name, _armed_passage = _parse_fail_point(os.environ.get(FAIL_POINT_VARIABLE, ""))
_passages = itertools.count(1)


def fail_point(name: str) -> None:
    """Marks a place where a test can kill this process, before or after a change of persistent state.

    The process ends with SIGKILL, as in a power cut for it: no `finally`, no buffers flushed. It does so when the
    environment variable `CGSE_FAIL_POINT` was `name` at start, or `name#k` for the k-th time it comes by here;
    otherwise this costs one comparison.

    Args:
        name: the name of the place, e.g. "cm.start_observation.before_append".
    """
    if _armed_name and name == _armed_name and next(_passages) == _armed_passage:
        os.kill(os.getpid(), signal.SIGKILL)


def deprecate(*, reason: str = "", alternative: str = "") -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Makes a function warn (`DeprecationWarning`) when it is called.

    Args:
        reason: why it will go away.
        alternative: what to use.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        message = f"{function.__qualname__}() is deprecated"
        message += f": {reason}" if reason else ""
        message += f"; use {alternative}" if alternative else ""

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def timer(*, level: int = logging.DEBUG) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Logs how long each call of a function took [s], also when it raises.

    Args:
        level: the logging level; nothing is measured when the logger does not listen to it.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            if not LOGGER.isEnabledFor(level):
                return function(*args, **kwargs)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                LOGGER.log(level, "%s took %.6f s", function.__qualname__, time.perf_counter() - start)

        return wrapper

    return decorate
