"""Wording of helpful errors, shared by everything that refuses a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Returns " Did you mean `x`?" for the candidate closest to `name`, or " Known: ..." when none is close.

    Args:
        name: what was given.
        candidates: what would have been right.
    """
    known = [str(candidate) for candidate in candidates]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean `{close[0]}`?"
    if not known:
        return ""
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f" Known: {shown}."
