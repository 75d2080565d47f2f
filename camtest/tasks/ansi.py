"""Output with ANSI colours as HTML, and what a terminal would show of a stream with carriage returns."""

from __future__ import annotations

import re
from html import escape

SEQUENCE = re.compile(
    r"\x1b\[([0-?]*)([ -/]*[@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_]|[\x00-\x08\x0b\x0c\x0e-\x1a]"
)
"""Control sequences (the first group has the numbers, the second the letter), operating system commands, control characters."""

_COLOURS = ("#3e424d", "#d03a31", "#008744", "#a87800", "#1f6fc4", "#a03196", "#0e8a8a", "#8a8a8a")
_BRIGHT = ("#6b7080", "#e75c58", "#00a250", "#ddb62b", "#4a90e2", "#d160c4", "#20b2b2", "#b0b0b0")
_LEVELS = (0, 95, 135, 175, 215, 255)


def strip_ansi(text: str) -> str:
    """Returns text without control sequences."""
    return SEQUENCE.sub("", text)


def settle(line: str) -> str:
    """Returns what stays of a line after its carriage returns: each begins at the left again, over what is there.

    One at the end is kept: what comes next begins at the left.
    """
    if "\r" not in line:
        return line
    parts = [part for part in line.split("\r") if part]
    if not parts:
        return ""
    shown = parts[0]
    for part in parts[1:]:
        plain, new = strip_ansi(shown), strip_ansi(part)
        shown = part if len(new) >= len(plain) else part + plain[len(new) :]
    return shown + ("\r" if line.endswith("\r") else "")


def _palette(number: int) -> str:
    if number < 16:
        return (*_COLOURS, *_BRIGHT)[number]
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return f"rgb({grey},{grey},{grey})"
    number -= 16
    red, green, blue = _LEVELS[number // 36], _LEVELS[number // 6 % 6], _LEVELS[number % 6]
    return f"rgb({red},{green},{blue})"


class _Style:
    """Colours and weights as the sequences have set them."""

    def __init__(self) -> None:
        self.css: dict[str, str] = {}

    def __str__(self) -> str:
        css = dict(self.css)
        if css.pop("inverse", ""):
            colour, ground = css.get("color", "var(--jp-ui-font-color1, #222)"), css.get("background")
            css |= {"background": colour, "color": ground or "var(--jp-layout-color1, #fff)"}
        return ";".join(f"{key}:{value}" for key, value in css.items())

    def apply(self, numbers: str) -> None:
        codes = [int(code) for code in re.split("[;:]", numbers) if code.isdigit()] or [0]
        while codes:
            code = codes.pop(0)
            if code in (38, 48):
                self._extended("color" if code == 38 else "background", codes)
            else:
                self._simple(code)

    def _simple(self, code: int) -> None:
        on = {1: ("font-weight", "bold"), 2: ("opacity", "0.7"), 3: ("font-style", "italic")}
        on |= {
            4: ("text-decoration", "underline"),
            7: ("inverse", "1"),
            9: ("text-decoration", "line-through"),
        }
        off = {
            22: ("font-weight", "opacity"),
            23: ("font-style",),
            24: ("text-decoration",),
            27: ("inverse",),
        }
        off |= {29: ("text-decoration",), 39: ("color",), 49: ("background",)}
        if code == 0:
            self.css.clear()
        elif code in on:
            key, value = on[code]
            self.css[key] = value
        elif code in off:
            for key in off[code]:
                self.css.pop(key, None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            self.css["color"] = _COLOURS[code - 30] if code < 90 else _BRIGHT[code - 90]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            self.css["background"] = _COLOURS[code - 40] if code < 100 else _BRIGHT[code - 100]

    def _extended(self, key: str, codes: list[int]) -> None:
        if codes[:1] == [5] and len(codes) >= 2:
            self.css[key] = _palette(min(255, codes[1]))
            del codes[:2]
        elif codes[:1] == [2] and len(codes) >= 4:
            self.css[key] = f"rgb({','.join(map(str, codes[1:4]))})"
            del codes[:4]


def ansi_to_html(text: str) -> str:
    """Returns text as HTML: escaped, its colours as spans. Every element is closed."""
    style, pieces, position = _Style(), [], 0
    for match in SEQUENCE.finditer(text):
        pieces.append(_span(text[position : match.start()], style))
        position = match.end()
        if match[2] == "m":
            style.apply(match[1])
    pieces.append(_span(text[position:], style))
    return "".join(pieces)


def _span(text: str, style: _Style) -> str:
    if not text:
        return ""
    css = str(style)
    return f'<span style="{css}">{escape(text)}</span>' if css else escape(text)
