"""The board: lamps and values of a panel in one widget, repainted by one message, stale by itself when nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

STALE_AFTER = 5.0
"""A board that the kernel has not told anything for so long says that it is stale [s]; it is told something every second."""


def static(name: str) -> str:
    """Returns the text of a file in `camtest/panels/static`."""
    return files("camtest.panels").joinpath("static", name).read_text("utf-8")


def script(name: str) -> str:
    """Returns the script of a widget that keeps its elements, with the functions of `dom.js` before it."""
    return static("dom.js") + static(name)


STYLE = static("panels.css")


@dataclass(frozen=True)
class Lamp:
    """A lamp.

    Attributes:
        name: what it tells about.
        state: ok, info, warn, bad or off: its colour.
        text: the state in words; colour alone never says anything.
    """

    name: str
    state: str
    text: str = ""


@dataclass(frozen=True)
class Value:
    """A line of the table.

    Attributes:
        name: of the parameter.
        text: the value as it is shown.
        unit: of the value.
        state: warn (out of operational limits), bad (out of limits) or empty.
        hint: what the parameter is.
    """

    name: str
    text: str
    unit: str = ""
    state: str = ""
    hint: str = ""


@dataclass(frozen=True)
class BoardState:
    """All that a board shows; also the source of the static form of a panel.

    Attributes:
        title: what the panel is about.
        note: one line on how its server is.
        alive: False when the server is not heard.
        lamps, values: in their order.
        charted: names of values that are shown as charts.
    """

    title: str = ""
    note: str = ""
    alive: bool = True
    lamps: tuple[Lamp, ...] = ()
    values: tuple[Value, ...] = ()
    charted: tuple[str, ...] = field(default=())

    def as_trait(self) -> dict[str, Any]:
        """Returns it as it travels to the browser."""
        return {
            "title": self.title,
            "note": self.note,
            "alive": self.alive,
            "lamps": [[lamp.name, lamp.state, lamp.text] for lamp in self.lamps],
            "rows": [[v.name, v.text, v.unit, v.state, v.hint] for v in self.values],
            "charted": list(self.charted),
        }


class Board(anywidget.AnyWidget):
    """Shows a `BoardState`.

    Args:
        on_pick: called with the name of a value that the operator wants to see as a chart; None when there are none.
        on_render: called when a browser shows the board.
    """

    _esm = script("board.js")
    _css = STYLE
    state = traitlets.Dict().tag(sync=True)
    beat = traitlets.Int(0).tag(sync=True)
    closed = traitlets.Bool(False).tag(sync=True)
    chartable = traitlets.Bool(False).tag(sync=True)
    stale_after = traitlets.Float(STALE_AFTER).tag(sync=True)

    def __init__(
        self, on_pick: Callable[[str], None] | None = None, on_render: Callable[[], None] | None = None
    ) -> None:
        super().__init__(chartable=on_pick is not None)
        self.shown = BoardState()
        self.rendered = False
        """A browser shows it, or has shown it."""
        self._on_pick, self._on_render = on_pick, on_render
        self.on_msg(Board._take)

    def _take(self, content: dict[str, Any], _buffers: Any) -> None:
        if content.get("rendered"):
            self.rendered = True
            if self._on_render is not None:
                self._on_render()
        elif self._on_pick is not None and content.get("picked"):
            self._on_pick(str(content["picked"]))

    def show(self, state: BoardState) -> None:
        """Repaints, in one message; nothing is sent when nothing has changed."""
        if state != self.shown:
            self.shown = state
            self.state = state.as_trait()
