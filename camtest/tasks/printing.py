"""Results and messages of tasks as rich prints them; brackets that are no styles stay. Quick to import."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import IO, Any

LOGGER = logging.getLogger(__name__)

WIDTH = 100
"""Width of what is printed [characters]."""
_TAG = re.compile(r"(\\*)\[([a-z#/@][^\[\]]*?)\]")
"""What rich may take for a style, with the backslashes before it."""


def print_result(result: Any, file: IO[str] | None = None) -> None:
    """Prints a result as rich does; None is not printed. One that cannot be printed is told, and nothing is raised.

    Args:
        result: of a task.
        file: where to; standard output by default.
    """
    if result is None:
        return
    from rich.console import Console

    console = Console(
        file=file, force_terminal=True, width=WIDTH, color_system="truecolor", force_jupyter=False
    )
    try:
        console.print(styled(result) if isinstance(result, str) else result)
    except Exception as exc:  # of the result's own making: the task has done what it had to do
        LOGGER.warning("a result cannot be shown", exc_info=exc)
        text = f"the result, a {type(result).__name__}, cannot be shown: {type(exc).__name__}: {exc}"
        console.print(text, markup=False)


def styled(text: str) -> str:
    """Returns a text for rich: `[red]...[/]` and `[red]...` are styles, brackets that are none are printed as they are."""
    return _escaped(text, to_the_end=True)[0]


def _escaped(text: str, *, to_the_end: bool) -> tuple[str, bool]:
    """Returns a text in which all tags are escaped that are no styles, and whether there is one that is.

    Args:
        text: the text.
        to_the_end: a style that is not closed counts too; never one of a letter, which is rather an index, `x[i]`.
    """
    tags = [match for match in _TAG.finditer(text) if not len(match[1]) % 2]
    opened: list[tuple[int, str]] = []
    kept: set[int] = set()
    for match in tags:
        tag = match[2].strip()
        if not tag.startswith("/"):
            if is_style(tag):
                opened.append((match.start(), tag))
            continue
        name = tag[1:].strip()
        found = next((one for one in reversed(opened) if name in ("", _closing_name(one[1]))), None)
        if found is not None:
            opened.remove(found)
            kept |= {found[0], match.start()}
    if to_the_end:
        kept |= {start for start, tag in opened if len(tag) > 1}
    pieces, position = [], 0
    for match in tags:
        if match.start() not in kept:
            at = match.start() + len(match[1])
            pieces.append(text[position:at] + "\\")
            position = at
    return "".join([*pieces, text[position:]]), bool(kept)


def _closing_name(tag: str) -> str:
    return "link" if tag.startswith("link=") else tag


@lru_cache(maxsize=256)
def is_style(text: str) -> bool:
    """Returns True for a style of rich: `bold`, `red on white`, `#ff8800`, `link https://...`."""
    from rich.errors import StyleSyntaxError
    from rich.style import Style

    if text.startswith("link="):
        return True
    try:
        return bool(Style.parse(text))
    except StyleSyntaxError:
        return False


@lru_cache(maxsize=1024)
def in_colour(line: str) -> str:
    """Returns a printed line with `[red]...[/]` as colours; a line without a style that is closed stays as it is.

    Tasks print such texts, which only rich's own `print` would make red.
    """
    if "[/" not in line:
        return line
    text, has_style = _escaped(line, to_the_end=False)
    if not has_style:
        return line
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    file = StringIO()
    Console(file=file, force_terminal=True, width=10**6, color_system="truecolor", force_jupyter=False).print(
        Text.from_markup(text, emoji=False), end="", soft_wrap=True, highlight=False
    )
    return file.getvalue()
