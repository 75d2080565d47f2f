"""How the console tells that a task has failed: where in the operator's own code, what is wrong; a refusal in one line."""

from __future__ import annotations

import copy
import traceback
from pathlib import Path

import egse
from egse.response import SERVER_TRACEBACK

_EGSE = str(Path(egse.__file__).parent)
_TASKS = str(Path(__file__).parent)


def tell_failure(exc: BaseException) -> str:
    """Returns what stands in the console of a task that raised.

    A refusal (control of the site, role of a key, rights of a file) is told in one line: nothing in the code is wrong. Of errors
    that come from a control server the frames of the client and the traceback of the server are left out; that is in its log.

    Args:
        exc: what was raised.
    """
    if isinstance(exc, PermissionError):
        return f"REFUSED: {exc}\n"
    notes = list(getattr(exc, "__notes__", ()))
    own = [note for note in notes if not note.startswith(SERVER_TRACEBACK)]
    trace = exc.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    shown = traceback.TracebackException(type(exc), exc, trace)
    if len(own) < len(notes):
        shown.stack = traceback.StackSummary.from_list(
            [frame for frame in shown.stack if not frame.filename.startswith(_EGSE)]
        )
        shown = copy.copy(shown)
        shown.__notes__ = [*own, "(from a control server: its log has the traceback)"]
    return "".join(shown.format())


def _is_ours(file: str) -> bool:
    return file.startswith(_TASKS) or "runpy" in file
