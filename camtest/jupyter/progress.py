"""Long waits in a notebook: one bar for each, below the cell that waits."""

from __future__ import annotations

from html import escape
from typing import Any

from camtest.core.waiting import Waiting, on_progress


class ProgressBar:
    """A long wait as HTML and as text."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting

    def __repr__(self) -> str:
        return f"{'done ' if self.waiting.over else ''}{self.waiting}"

    def _repr_html_(self) -> str:
        done = self.waiting.timeout if self.waiting.over else min(self.waiting.elapsed, self.waiting.timeout)
        bar = f'<progress value="{done:.1f}" max="{self.waiting.timeout:.1f}"></progress>'
        return f"<div>{bar} {escape(repr(self))}</div>"


class WaitDisplay:
    """Shows waits in the output of the cell that is running; a later report takes the place of the one before."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    def __call__(self, waiting: Waiting) -> None:
        from IPython.display import display

        bar = ProgressBar(waiting)
        if waiting.what in self._handles:
            self._handles[waiting.what].update(bar)
        else:
            self._handles[waiting.what] = display(bar, display_id=True)  # type: ignore[no-untyped-call]
        if waiting.over:
            del self._handles[waiting.what]


_display = WaitDisplay()


def show_waits() -> None:
    """Has long waits of this kernel shown in its notebook."""
    on_progress(_display)
