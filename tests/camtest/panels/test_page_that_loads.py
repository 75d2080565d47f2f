"""A page of Voila that loads does not hear what its kernel tells: panels wait until they are seen, and tell all again."""

from __future__ import annotations

import threading
from typing import Any

import ipywidgets as widgets
import pytest

from camtest.panels.panel import Panel

LONG = 20.0


class Growing(Panel):
    """Makes widgets in its threads, as panels do that do not know beforehand what there is to show."""

    name = "growing"

    def __init__(self) -> None:
        self.grown, self.answered = threading.Event(), threading.Event()
        super().__init__("growing")
        self.command("?how many", lambda: 3, self._take)

    def _body(self) -> list[widgets.Widget]:
        self.rows = widgets.VBox([])
        self.answer = widgets.HTML()
        return [self.rows, self.answer]

    def _refresh(self) -> None:
        if not self.rows.children:
            self.rows.children = [widgets.HTML("a row")]
        self.grown.set()

    def _take(self, number: int) -> None:
        self.answer.value = str(number)
        self.answered.set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Widgets whose whole state is told, in their order."""
    found: list[Any] = []
    send_state = widgets.Widget.send_state

    def send(self: Any, key: Any = None) -> None:
        if key is None:
            found.append(self)
        send_state(self, key)

    monkeypatch.setattr(widgets.Widget, "send_state", send)
    return found


def test_a_panel_on_a_page_waits_until_it_is_seen(monkeypatch: pytest.MonkeyPatch, told: list[Any]) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5")
    with Growing() as panel:
        panel.tell("something to repaint for")
        assert not panel.grown.wait(1.5)
        assert not panel.answered.is_set()
        panel.board._take({"rendered": True}, None)
        assert panel.grown.wait(LONG)
        assert panel.answered.wait(LONG)
        assert panel.answer.value == "3"
        assert len(panel.rows.children) == 1
        assert {panel.widget, panel.board, panel.rows, panel.answer} <= set(told)
        told.clear()
        panel.board._take({"rendered": True}, None)  # a second view of the same page
        panel.grown.clear()
        panel.tell("again")
        assert panel.grown.wait(LONG)
        assert panel.widget not in told


def test_a_panel_elsewhere_begins_at_once(told: list[Any]) -> None:
    with Growing() as panel:
        assert panel.grown.wait(LONG)
        assert panel.answered.wait(LONG)
        assert panel.widget not in told
