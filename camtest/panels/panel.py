"""The base of all panels: threads, messages, confirmation, errors, the static form, and the end."""

from __future__ import annotations

import logging
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from html import escape
from typing import Any, ClassVar, Self, TypeVar

import ipywidgets as widgets

from camtest.jupyter import keeping
from camtest.panels.banner import Banner
from camtest.panels.board import Board, BoardState
from camtest.panels.errors import PanelError, is_expected, one_line, raises_in_tests
from camtest.panels.static_form import Section, as_html, as_text
from camtest.panels.threads import FAREWELL, Commanding, Listening, Subscription, weak
from egse.proxy import Proxy, endpoint_from_settings
from egse.system import format_datetime

LOGGER = logging.getLogger(__name__)

HISTORY = 200
"""So many things that were done, or went wrong, a panel remembers."""
BEAT = 1.0
"""How often the browser is told that the kernel is alive [s]."""

P = TypeVar("P", bound=Proxy)


def fresh(proxy: P, timeout: float = 10.0) -> P:
    """Returns a proxy for the same server with a connection of its own, so that a panel never waits for other users.

    Args:
        proxy: any proxy.
        timeout: of its calls [s].
    """
    other = copy(proxy)
    other.timeout = timeout
    other._channel = other._submitter = None
    return other


class Panel:
    """A live view with buttons; a context manager, closed at the latest when the kernel ends.

    Above it stand the alarms of the site, when there are any. A sub-class says what it listens to (`_subscriptions`), what it shows (`_state`, `_extra_sections`) and which widgets it
    has (`_body`). All that is called from buttons goes through `command`, which returns at once.

    Args:
        title: shown above the panel.

    Attributes:
        widget: the widget, to be put into others.
        history: what was done and what went wrong: time, what, how it ended.
        errors: exceptions of the panel's own code.
    """

    name: ClassVar[str] = "panel"

    def __init__(self, title: str) -> None:
        self.title = title
        self.history: deque[tuple[str, str, str]] = deque(maxlen=HISTORY)
        self.errors: list[Exception] = []
        self.banner = Banner()
        self.board = Board(weak(self._pick) if self._has_charts() else None, weak(self._begun_to_be_seen))
        # What is made or changed while a page of Voila loads gets lost on the way, or breaks the page: it waits.
        self._waits_for_page = keeping.is_page()
        self._put_off: deque[Callable[[], None]] = deque()
        self.message = widgets.HTML()
        self._confirmation = widgets.HBox([])
        self._question: tuple[str, Callable[[], Any]] | None = None
        self._text, self._is_bad, self._busy = "", False, ""
        self._beaten = 0.0
        self._closed = False
        self.static_form: Any = None
        self.widget = widgets.VBox(
            [self.banner.widget, self.board, *self._body(), self._confirmation, self.message]
        )
        self.widget.add_class("camtest-panel")
        self._end_threads: Callable[[], Any] = lambda: None
        self._start()

    # -- for sub-classes ---------------------------------------------------------------------------------------------

    def _has_charts(self) -> bool:
        return False

    def _body(self) -> list[widgets.Widget]:
        """Returns the widgets below the board; made once."""
        return []

    def _subscriptions(self) -> list[Subscription]:
        """Returns what the panel listens to."""
        return []

    def _refresh(self) -> None:
        """Updates widgets of the sub-class; called in the listening thread, at most five times a second."""

    def _state(self) -> BoardState:
        """Returns what the board shows."""
        return BoardState(self.title)

    def _extra_sections(self) -> Sequence[Section]:
        """Returns what the static form shows beyond the board."""
        return ()

    def _pick(self, name: str) -> None:
        """The operator wants to see a value as a chart, or not any more."""

    # -- life --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._commanding = Commanding(self.name, weak(self._begun), weak(self.report))
        subscriptions = [self.banner.subscription(), *self._subscriptions()]
        self._listening = Listening(self.name, subscriptions, weak(self._tick), weak(self.report))
        threads = (self._commanding, self._listening)
        self._end_threads = weakref.finalize(self, _end, threads, self.widget, self.board)
        for thread in threads:
            thread.start()

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= BEAT:
            self._beaten = now
            self.board.beat += 1
        if self._waits_for_page:
            if not self.is_seen:
                return
            self._waits_for_page = False
            keeping.tell_all(self.widget)
        while self._put_off:
            self._put_off.popleft()()
        self.banner.show()
        self._refresh()
        self.board.show(self._state())
        self._show_message()

    def _begun_to_be_seen(self) -> None:
        self._listening.wake()

    @property
    def is_seen(self) -> bool:
        """True when a browser shows the panel."""
        return bool(self.board.rendered)

    @property
    def closed(self) -> bool:
        """True after `close()`."""
        return self._closed

    def close(self) -> None:
        """Ends threads and connections and leaves the last state in the notebook; again has no effect.

        Raises:
            PanelError: when `CAMTEST_PANELS_RAISE` is set and a callback had failed.
        """
        if self._closed:
            return
        self._closed = True
        self.snapshot()
        keeping.forget(self)
        self._end_threads()
        if self.errors and raises_in_tests():
            raise PanelError(f"{self.name}: {one_line(self.errors[0])}") from self.errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- commands and messages -----------------------------------------------------------------------------------------

    def command(
        self,
        what: str,
        action: Callable[[], Any],
        done: Callable[[Any], None] | None = None,
        *,
        confirm: str = "",
    ) -> None:
        """Has something done in the commanding thread; returns at once.

        Args:
            what: for people, as it stands in the history; what begins with `?` only asks and is not recorded.
            action: what to do; what it raises is shown.
            done: gets the result.
            confirm: a question to the operator, who must agree before.
        """
        if self._closed:
            return
        if confirm:
            self._ask(confirm, lambda: self.command(what, action, done))
            return
        self._commanding.put(what, action, self._then(what, done))

    def _then(self, what: str, done: Callable[[Any], None] | None) -> Callable[[Any], None]:
        def finish(result: Any) -> None:
            if not what.startswith("?"):
                text = "done" if result is None else _short(result)
                self.history.append((format_datetime(), what, text))
                self.tell(f"{what}: {text}")
            if done is not None and self._waits_for_page:
                self._put_off.append(partial(self._own_code, done, result))
            elif done is not None:
                self._own_code(done, result)
            self._listening.wake()

        return finish

    def _own_code(self, function: Callable[[Any], None], value: Any) -> None:
        try:
            function(value)
        except Exception as exc:  # the panel's own callback: shown, recorded, and raised under test
            self._note_bug(exc, "showing a result")

    def _begun(self, what: str) -> None:
        self._busy = what
        self._listening.wake()

    def tell(self, text: str, *, bad: bool = False) -> None:
        """Shows a message to the operator; from any thread."""
        self._text, self._is_bad = text, bad
        self._listening.wake()

    def report(self, error: Exception, what: str) -> None:
        """Shows an error and records it; that of the panel's own code is raised under test."""
        self.history.append((format_datetime(), what, f"failed: {one_line(error)}"))
        if is_expected(error):
            LOGGER.warning("panel %s: %s: %s", self.name, what, one_line(error))
        else:
            self._note_bug(error, what)
            return
        self.tell(f"{what}: {one_line(error)}", bad=True)

    def _note_bug(self, error: Exception, what: str) -> None:
        LOGGER.error("panel %s: %s failed", self.name, what, exc_info=error)
        known = [(type(e), str(e)) for e in self.errors]
        if (type(error), str(error)) not in known:  # what fails at each repaint is told once
            self.errors.append(error)
            self.history.append((format_datetime(), what, "".join(traceback.format_exception(error))))
        self.tell(
            f"{what}: error in the panel, {type(error).__name__}: {one_line(error)}; see the log", bad=True
        )

    def _show_message(self) -> None:
        busy = (
            f'<span class="busy" aria-busy="true">⏳ {escape(self._busy)} ...</span> ' if self._busy else ""
        )
        kind = "bad" if self._is_bad else "good"
        value = (
            f'<div class="camtest-message" role="status" aria-live="polite" data-busy="{escape(self._busy)}">{busy}'
            f'<span class="{kind}" data-message="{kind}">{escape(self._text)}</span></div>'
        )
        if self.message.value != value:
            self.message.value = value

    # -- confirmation --------------------------------------------------------------------------------------------------

    def _ask(self, question: str, action: Callable[[], Any]) -> None:
        self._question = (question, action)
        yes = widgets.Button(description="Yes, do it", button_style="danger", tooltip=question)
        no = widgets.Button(description="No", tooltip="Do nothing")
        yes.on_click(weak(self._agreed))
        no.on_click(weak(self._declined))
        text = f'<b role="alert" data-question="1">{escape(question)}</b>'
        self._confirmation.children = [widgets.HTML(text), yes, no]

    def _agreed(self, _button: Any = None) -> None:
        question, self._question = self._question, None
        self._confirmation.children = []
        if question is not None:
            self._guard(question[1])

    def _declined(self, _button: Any = None) -> None:
        question, self._question = self._question, None
        self._confirmation.children = []
        if question is not None:
            self.tell(f"not done: {question[0]}")

    def _guard(self, action: Callable[[], Any]) -> None:
        """Runs what a button does."""
        try:
            action()
        except Exception as exc:  # the one place where errors of callbacks are shown and recorded
            self.report(exc, "button")

    def button(
        self, text: str, action: Callable[[], Any], *, style: str = "", hint: str = ""
    ) -> widgets.Button:
        """Returns a button; what its action raises is shown.

        Args:
            text: on the button.
            action: a bound method of this panel.
            style: success, info, warning, danger or empty.
            hint: tool tip.
        """
        made = widgets.Button(description=text, button_style=style, tooltip=hint or text)
        made.layout.width = "max-content"
        call = weak(action) if hasattr(action, "__self__") else action
        guard = weak(self._guard)
        made.on_click(lambda _button: guard(call))
        return made

    # -- the static form -----------------------------------------------------------------------------------------------

    def sections(self) -> list[Section]:
        """Returns what the panel shows, as plain tables."""
        state = self.board.shown if self._closed else self._state()
        rows = [(lamp.name, lamp.text or lamp.state, "", lamp.state) for lamp in state.lamps]
        rows += [(v.name, v.text, v.unit, v.state) for v in state.values]
        heading = f"{state.title}" + (f" ({state.note})" if state.note else "")
        return [*self.banner.sections(), Section(heading, tuple(rows)), *self._extra_sections()]

    def __repr__(self) -> str:
        return as_text(self.sections())

    def to_html(self, *, opened: bool = True) -> str:
        """Returns the state as plain HTML, which needs no kernel and no script."""
        return as_html(self.sections(), format_datetime(), opened=opened)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = self.widget._repr_mimebundle_() or {}
        return {**bundle, "text/html": self.to_html(), "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        self._tick_once()
        self.static_form = keeping.show(self)

    def _tick_once(self) -> None:
        if not self._closed:
            self.board.show(self._state())

    def snapshot(self) -> None:
        """Leaves the present state in the notebook as text and HTML, where the panel was shown."""
        if self.static_form is not None:
            keeping.update(self, self.static_form)


def _short(value: Any, limit: int = 300) -> str:
    text = str(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _end(threads: Sequence[Any], *shown: Any) -> None:
    for thread in threads:
        thread.end()
    for thread in threads:
        if thread.ident is not None:
            try:
                thread.join(FAREWELL)
            except RuntimeError:  # a panel that was closed from its own thread
                continue
    box, board = shown
    board.closed = True
    _close_tree(box)


def _close_tree(widget: Any) -> None:
    for child in getattr(widget, "children", ()):
        _close_tree(child)
    widget.close()
    layout = getattr(widget, "layout", None)
    if layout is not None:
        layout.close()


def monitoring_endpoint(settings: str, port: str = "MONITORING_PORT") -> Callable[[], str]:
    """Returns a function that finds a stream of a control server in the Settings."""
    return lambda: endpoint_from_settings(settings, port)
