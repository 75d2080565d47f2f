"""The buttons for the running observation: they post from the browser to the Jupyter server, past a kernel that is busy."""

from __future__ import annotations

from collections.abc import Callable

import anywidget

from camtest.panels.board import STYLE, static


class VerbBar(anywidget.AnyWidget):
    """Pause, resume, STOP, ABORT and HALT.

    Args:
        fallback: gets verb and reason when the server of this notebook lacks the extension `camtest.panels.server`.
    """

    _esm = static("verbs.js")
    _css = STYLE

    def __init__(self, fallback: Callable[[str, str], None]) -> None:
        super().__init__()
        self.on_msg(
            lambda _widget, content, _buffers: fallback(
                str(content.get("verb", "")), str(content.get("reason", ""))
            )
        )
