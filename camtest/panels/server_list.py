"""The list of servers in the browser, with their lamps and buttons: one widget, so that a page has it with one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anywidget
import traitlets

from camtest.panels.board import STYLE, script

VERBS = ("start", "stop", "switch", "open")
"""What the buttons of a server want: start and stop it, the other mode for its next start, its panel."""


@dataclass(frozen=True)
class ServerRow:
    """One server.

    Attributes:
        name, title: what it is called.
        group: heading under which it stands.
        column: 0 at the left, 1 at the right.
        state: as the process manager says it.
        colour: of its lamp: ok, info, warn or bad.
        words: the state for people.
        start, stop: whether that is possible now; None for one without these buttons.
        simulator: what its next start uses; None for one without a choice.
        address: of its page; empty for none.
        panel: it has one, which its button opens where there are no pages.
        why: what is wrong, and the last lines of its output.
    """

    name: str
    title: str
    group: str
    column: int
    state: str
    colour: str
    words: str
    start: bool | None = None
    stop: bool | None = None
    simulator: bool | None = None
    address: str = ""
    panel: bool = False
    why: str = ""


class ServerList(anywidget.AnyWidget):
    """Shows all servers.

    Args:
        on_press: called with one of `VERBS` and the name of a server when its button was pressed.
    """

    _esm = script("servers.js")
    _css = STYLE
    servers: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(self, on_press: Callable[[str, str], None]) -> None:
        super().__init__()
        self.rows: tuple[ServerRow, ...] = ()
        self._on_press = on_press
        self.on_msg(ServerList._take)

    def _take(self, content: dict[str, Any], _buffers: Any) -> None:
        known = {row.name for row in self.rows}
        for verb in VERBS:
            if content.get(verb) in known:
                self._on_press(verb, content[verb])

    def show(self, rows: Sequence[ServerRow]) -> None:
        """Repaints, in one message; nothing is sent when nothing has changed."""
        if tuple(rows) != self.rows:
            self.rows = tuple(rows)
            self.servers = [asdict(row) for row in rows]
