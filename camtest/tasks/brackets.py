"""Texts that people type for lists and dictionaries: what stands within brackets and quotes stays together."""

from __future__ import annotations

import re


class FieldError(ValueError):
    """What was entered does not fit; the text says what is wrong, without the name of the argument."""


_PIECES = re.compile(
    r"""(?<![^\s,=:\[({])[bBrRuU]{0,2}  # a quote begins where a value may begin
        (?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
        (?=\s*(?:[,=:\])}]|$))  # and ends where a value may end
        |.""",
    re.DOTALL | re.VERBOSE,
)
_OPENING, _CLOSING = ("[", "(", "{"), ("]", ")", "}")


def _pieces(text: str) -> list[tuple[str, int]]:
    """Returns characters and quoted texts, each with the number of brackets that are open behind it."""
    found, depth = [], 0
    for match in _PIECES.finditer(text):
        piece = match.group()
        depth = max(0, depth + (piece in _OPENING) - (piece in _CLOSING))
        found.append((piece, depth))
    if depth:
        raise FieldError(f"a bracket is not closed in {text!r}")
    return found


def inside(text: str, kind: str = "") -> str:
    """Returns what stands in brackets around a whole text; the text when there are none.

    Args:
        text: what was typed.
        kind: may stand before the brackets, as in `set()`.
    """
    if kind and text.startswith(f"{kind}(") and _is_enclosed(text.removeprefix(kind)):
        return inside(text.removeprefix(kind)[1:-1].strip())
    return text[1:-1].strip() if _is_enclosed(text) else text


def _is_enclosed(text: str) -> bool:
    if text[:1] + text[-1:] not in ("[]", "()", "{}"):
        return False
    return all(depth for _, depth in _pieces(text)[:-1])


def split(text: str) -> list[str]:
    """Splits a text at the commas outside of brackets and quotes; one at the end may be."""
    found = [""]
    for piece, depth in _pieces(text):
        if piece == "," and not depth:
            found.append("")
        else:
            found[-1] += piece
    found = [part.strip() for part in found]
    if not found[-1]:
        found.pop()
    if not all(found):
        raise FieldError(f"there is nothing before a comma in {text!r}")
    return found


def halves(text: str) -> tuple[str, str]:
    """Splits a text at the first `=` or `:` outside of brackets and quotes; the second is empty without one."""
    before = ""
    for piece, depth in _pieces(text):
        if piece in ("=", ":") and not depth:
            return before.strip(), text[len(before) + 1 :].strip()
        before += piece
    return text, ""
