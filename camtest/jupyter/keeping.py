"""What a notebook keeps of live widgets: panels and the Tasks GUI leave their last state in it as plain text and HTML.

It is known which of them are shown where: they are kept alive, their static form below them is refreshed after each cell,
and they are closed at the end of the kernel. One that a cell shows replaces those that the same cell has shown when it was
run before.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from typing import Any, Protocol

import anywidget
import traitlets


class Kept(Protocol):
    """What has a static form.

    Attributes:
        title: what it is, in a few words.
        static_form: handle of the output with its static form; None when there is none.
    """

    title: str
    static_form: Any

    @property
    def widget(self) -> Any:
        """The live widget."""

    @property
    def closed(self) -> bool:
        """True when it lives no more."""

    @property
    def is_seen(self) -> bool:
        """True when a browser shows it."""

    def to_html(self, *, opened: bool = True) -> str:
        """Returns its state as HTML that needs no kernel and no script; folded up when not `opened`."""

    def snapshot(self) -> None:
        """Brings the static form up to date; calls `update`."""

    def close(self) -> None:
        """Ends it."""


class Seen(anywidget.AnyWidget):
    """Tells whether a browser shows the widget that this one is part of; shows nothing itself."""

    _esm = "export default { render({ model }) { model.set('rendered', true); model.save_changes(); } };"
    rendered = traitlets.Bool(False).tag(sync=True)


_shown: dict[Kept, tuple[str, str]] = {}
"""The panels that are shown, with cell and execution."""
_lock = threading.RLock()
_following: Any = None


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _place(shell: Any) -> tuple[str, str]:
    """Returns cell and execution that are running."""
    try:
        parent = shell.get_parent()
    except AttributeError:  # no kernel
        return "", ""
    return str(parent.get("metadata", {}).get("cellId", "")), str(parent.get("header", {}).get("msg_id", ""))


def is_page() -> bool:
    """True in a kernel of Voila: a page is not saved and needs no static form."""
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


def tell_all(widget: Any) -> None:
    """Tells the browser the state of a widget and of all below it: what was told while it loaded the page it has not heard."""
    for child in getattr(widget, "children", ()):
        tell_all(child)
    if (layout := getattr(widget, "layout", None)) is not None:
        layout.send_state()
    widget.send_state()


def show(panel: Kept) -> Any:
    """Shows a panel in the cell that is running, its static form below it; returns the handle of that."""
    from IPython.display import display

    shell = _shell()
    if shell is None:
        print(repr(panel))  # noqa: T201  (plain Python)
        return None
    place = _place(shell)
    _replace(panel, place)
    _follow(shell)
    bundle = panel.widget._repr_mimebundle_() or {}
    bundle.pop("text/html", None)  # that is the static form
    display({**bundle, "text/plain": panel.title}, raw=True)  # type: ignore[no-untyped-call]
    if is_page():
        return None
    data = {"text/html": panel.to_html(opened=False), "text/plain": repr(panel)}
    return display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]


def update(panel: Kept, handle: Any) -> None:
    """Puts the present state in the place of the static form."""
    opened = panel.closed or not panel.is_seen  # papermill and nbclient have no browser: it is all there is
    handle.update({"text/html": panel.to_html(opened=opened), "text/plain": repr(panel)}, raw=True)


def _replace(panel: Kept, place: tuple[str, str]) -> None:
    cell, execution = place
    with _lock:
        before = [
            p for p, (c, e) in _shown.items() if cell and c == cell and e != execution and p is not panel
        ]
        _shown[panel] = place
    for other in before:
        other.static_form = None  # its output is gone
        other.close()


def forget(panel: Kept) -> None:
    """The panel is closed."""
    with _lock:
        _shown.pop(panel, None)


def open_panels() -> list[Kept]:
    """Returns the panels that are shown now."""
    with _lock:
        return list(_shown)


def close_all() -> None:
    """Closes all panels that are shown."""
    for panel in open_panels():
        panel.close()


def _close_at_exit() -> None:
    for panel in open_panels():
        panel.static_form = None  # nobody receives it any more
        with contextlib.suppress(Exception):  # the kernel ends in any case; what failed is in the log
            panel.close()


atexit.register(_close_at_exit)


def _follow(shell: Any) -> None:
    """Has the static forms refreshed after each cell."""
    global _following
    if _following is shell:
        return
    _following = shell
    shell.events.register("post_run_cell", _after_cell)


def _after_cell(*_: Any) -> None:
    for panel in open_panels():
        panel.snapshot()


__all__ = ["close_all", "open_panels"]
