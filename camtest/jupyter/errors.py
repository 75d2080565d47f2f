"""Exceptions that come from a control server, or from the inside of `egse`, are shown short: where it happened in the code
of the user, what is wrong, and how to see more.

`%tb server` shows the traceback of the server, `%tb` all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import egse
from egse.response import SERVER_TRACEBACK

HINT = "Where it happened in the control server: %tb server"
MORE = "All of the traceback: %tb"
_INSIDE = str(Path(egse.__file__).parent)


def server_tracebacks(error: BaseException | None) -> list[str]:
    """Returns the tracebacks of control servers that an exception and its causes carry, the outermost first."""
    return [
        note.removeprefix(SERVER_TRACEBACK)
        for one in _chain(error)
        for note in getattr(one, "__notes__", ())
        if note.startswith(SERVER_TRACEBACK)
    ]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def shorten_server_errors(shell: Any) -> None:
    """Has exceptions of control servers shown short from now on.

    Args:
        shell: the interactive shell.
    """
    formatter = shell.InteractiveTB
    full = type(formatter).structured_traceback

    def structured_traceback(
        etype: Any = None, evalue: Any = None, etb: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        from_server = bool(server_tracebacks(evalue))
        if not (from_server or _comes_from_inside(etb)):
            return full(formatter, etype, evalue, etb, *args, **kwargs)
        with _short_notes(evalue, HINT if from_server else MORE):
            return full(formatter, etype, evalue, _without_egse(etb), *args, **kwargs)

    formatter.structured_traceback = structured_traceback


def show_full_errors(shell: Any) -> None:
    """Has all exceptions shown in full again."""
    shell.InteractiveTB.__dict__.pop("structured_traceback", None)


@contextmanager
def full_errors(shell: Any) -> Iterator[None]:
    """Has exceptions shown in full within a `with` block."""
    formatter = shell.InteractiveTB
    short = formatter.__dict__.pop("structured_traceback", None)
    try:
        yield
    finally:
        if short is not None:
            formatter.structured_traceback = short


@contextmanager
def _short_notes(error: BaseException, hint: str) -> Iterator[None]:
    """Has a hint in the place of the server's traceback, within a `with` block."""
    kept = [(one, one.__notes__) for one in _chain(error) if hasattr(one, "__notes__")]
    for one, notes in kept:
        one.__notes__ = [note for note in notes if not note.startswith(SERVER_TRACEBACK)]
    error.add_note(hint)
    try:
        yield
    finally:
        del error.__notes__
        for one, notes in kept:
            one.__notes__ = notes


def _comes_from_inside(traceback: TracebackType | None) -> bool:
    """True when it was raised by a proxy or something else of egse."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_INSIDE)


def _without_egse(traceback: TracebackType | None) -> TracebackType | None:
    """Returns a traceback without the frames of proxies and what they are made of; all of it when nothing else is there."""
    frames = []
    step = traceback
    while step is not None:
        if not step.tb_frame.f_code.co_filename.startswith(_INSIDE):
            frames.append(step)
        step = step.tb_next
    if not frames:
        return traceback
    chain: TracebackType | None = None
    for step in reversed(frames):
        chain = TracebackType(chain, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return chain
