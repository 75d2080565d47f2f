"""Wording of helpful errors, shared by everything that refuses a name."""

from __future__ import annotations

from collections.abc import Iterable


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """Returns the candidate most like `name`, None when none is close."""
    known = list(candidates)
    import difflib  # only mistakes need it

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    return {candidate.lower(): candidate for candidate in known}.get(name.lower())


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Returns the sentence " Did you mean `x`?" for the candidate closest to `name`, else " Known: ...".

    Args:
        name: what was given.
        candidates: what would have been right.
    """
    known = [str(candidate) for candidate in candidates]
    close = closest(name, known)
    if close is not None:
        return f" Did you mean `{close}`?"
    if not known:
        return ""
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f" Known: {shown}."


def or_meant(name: str, candidates: Iterable[str]) -> str:
    """Returns the half-sentence ", did you mean 'x'?" for the closest candidate, or an empty text."""
    close = closest(name, candidates)
    return f", did you mean {close!r}?" if close is not None else ""


def missing_key_message(place: str, key: object, keys: Iterable[str]) -> str:
    """Says that a key is missing, which one may be meant, and which there are."""
    names = list(keys)
    known = ", ".join(names) if names else "none"
    return f"no key {key!r} in {place}{or_meant(str(key), names)} (keys: {known})"
