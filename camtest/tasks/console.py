"""The console panel: text with colours, pictures and tables, as it comes from any thread.

It is bounded: of long output the end is kept. `revision` grows with each change, so that a panel shows it a few times a
second at most, whatever the rate of the output (a browser is sent no more than it can take).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from camtest.tasks.ansi import ansi_to_html, settle, strip_ansi
from camtest.tasks.printing import in_colour

MAX_LINES = 2000
"""Lines of text that are kept."""
MAX_LINE = 5000
"""Longest line that is shown [characters]."""
MAX_RICH = 20
"""Pictures and tables that are kept."""
PRE = "margin:0;white-space:pre-wrap;line-height:1.35;font-family:var(--jp-code-font-family, monospace)"
PICTURES = ("image/png", "image/jpeg", "image/gif")


@dataclass
class _Text:
    line: str
    error: bool = False

    @property
    def shown(self) -> str:
        """The line with ANSI colours."""
        return in_colour(self.line.rstrip("\r"))


@dataclass
class _Rich:
    data: dict[str, Any]
    display_id: str = ""


class Console:
    """What tasks have printed and shown.

    Args:
        save_to: file that gets all of it as plain text, from its beginning on; None for none.
    """

    def __init__(self, save_to: Path | None = None) -> None:
        self.revision = 0
        self._lock = threading.RLock()
        self._items: deque[_Text | _Rich] = deque()
        self._open = False
        self._save_to = save_to
        if save_to is not None:
            save_to.write_text("")

    def write(self, text: str, *, error: bool = False) -> None:
        """Adds text, with newlines, carriage returns and ANSI colours."""
        if not text:
            return
        with self._lock:
            lines = text.replace("\r\n", "\n").split("\n")
            if self._open and lines and self._items and isinstance(last := self._items[-1], _Text):
                last.line = settle(last.line + lines.pop(0))[-MAX_LINE:]
                self._open = not lines
            for index, line in enumerate(lines):
                if index == len(lines) - 1 and not line:
                    self._open = False
                    break
                self._items.append(_Text(settle(line)[-MAX_LINE:], error))
                self._open = index == len(lines) - 1
            while len(self._items) > MAX_LINES:
                self._items.popleft()
            self.revision += 1
        self._save(text)

    def show(self, data: Mapping[str, Any], display_id: str = "", *, update: bool = False) -> None:
        """Adds something with a rich form, or puts it in the place of the one with the same `display_id`.

        Args:
            data: by MIME type, as in a notebook.
            display_id: id by which it can be replaced.
            update: replace what is there.
        """
        with self._lock:
            rich = _Rich(dict(data), display_id)
            if update:
                for item in self._items:
                    if isinstance(item, _Rich) and display_id and item.display_id == display_id:
                        item.data = rich.data
                self.revision += 1
                return
            self._items.append(rich)
            self._open = False
            shown = [item for item in self._items if isinstance(item, _Rich)]
            for item in shown[:-MAX_RICH]:
                self._items.remove(item)
            self.revision += 1
        self._save(f"{rich.data.get('text/plain', '')}\n")

    def clear(self) -> None:
        """Removes everything."""
        with self._lock:
            self._items.clear()
            self._open = False
            self.revision += 1

    @property
    def last_line(self) -> str:
        """The line that has no end yet, without colours; empty when there is none."""
        with self._lock:
            last = self._items[-1] if self._items and self._open else None
            return strip_ansi(last.shown) if isinstance(last, _Text) else ""

    @property
    def text(self) -> str:
        """All of it as plain text."""
        with self._lock:
            return "\n".join(
                strip_ansi(item.shown) if isinstance(item, _Text) else str(item.data.get("text/plain", ""))
                for item in self._items
            ) + ("" if self._open else "\n")

    def html(self) -> str:
        """Returns all of it as HTML: safe text, pictures, and the HTML that displays have made."""
        with self._lock:
            pieces: list[str] = []
            lines: list[str] = []
            for item in self._items:
                if isinstance(item, _Text):
                    lines.append(item.shown)
                    continue
                pieces.append(_pre(lines))
                pieces.append(_rich_html(item.data))
                lines = []
            pieces.append(_pre(lines))
            return "".join(pieces)

    def _save(self, text: str) -> None:
        if self._save_to is not None:
            with self._save_to.open("a") as file:
                file.write(strip_ansi(text))


def _pre(lines: list[str]) -> str:
    if not lines:
        return ""
    # colours go on over the ends of lines
    return f'<pre style="{PRE}">{ansi_to_html(chr(10).join(lines))}</pre>'


def _rich_html(data: Mapping[str, Any]) -> str:
    for kind in PICTURES:
        if kind in data:
            text = escape(str(data.get("text/plain", "picture")))
            return f'<img alt="{text}" style="max-width:100%" src="data:{kind};base64,{"".join(str(data[kind]).split())}">'
    for kind in ("image/svg+xml", "text/html"):
        if kind in data:
            return f"<div>{_joined(data[kind])}</div>"
    return _pre([_joined(data.get("text/plain", ""))])


def _joined(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)
