"""What a saved notebook keeps of the Tasks GUI: its tasks, what was run, and what that has printed, as text and HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Self

from camtest.jupyter import keeping
from egse.system import format_datetime

if TYPE_CHECKING:
    from camtest.tasks.parts import AppPanel
    from camtest.tasks.session import TaskSession

LAST = 10
"""So many of the last runs are listed."""


class Keepsake:
    """The static form of the GUI; see `camtest.jupyter.keeping.Kept`."""

    session: TaskSession
    title: str
    _apps: Mapping[int, AppPanel]

    def _keep(self) -> None:
        self.static_form: Any = None
        self.seen = keeping.Seen()
        self._kept: tuple[Any, ...] = ()

    def __str__(self) -> str:
        runs = [
            f"  {run.call.shown}  ({run.mode}, {run.outcome.status if run.outcome else 'running'})"
            for run in self.session.runs[-LAST:]
        ]
        parts = [f"Tasks GUI {self.title} (kernel: {self.session.kernel_name})", str(self.session.catalogue)]
        return "\n".join([*parts, "runs:", *runs] if runs else parts)

    def __repr__(self) -> str:
        return str(self)

    def to_html(self, *, opened: bool = True) -> str:
        """Returns the state as plain HTML, which needs no kernel and no script.

        Args:
            opened: shown at once; otherwise a line that unfolds.
        """
        now = format_datetime()
        parts = [
            f'<details class="camtest-static"{" open" if opened else ""} data-at="{now}">'
            f'<summary style="font-size:11px;opacity:.7">{escape(self.title)}, as it was at {now}</summary>'
            f"<pre>{escape(str(self))}</pre>{self.session.console.html()}"
        ]
        parts += [f"{app.state.value}{app.run.console.html()}" for app in list(self._apps.values())]
        return "".join([*parts, "</details>"])

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget; and for what cannot show widgets (papermill, nbconvert) the same as text."""
        bundle = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle or {})
        data["text/plain"] = str(self)
        data["text/html"] = self.to_html()
        return data

    def _ipython_display_(self) -> None:
        self.static_form = keeping.show(self)

    def snapshot(self) -> None:
        """Leaves the present state in the notebook as text and HTML, where the GUI was shown; unless it is there already."""
        if self.static_form is None:
            return
        revisions = [app.run.console.revision for app in list(self._apps.values())]
        state = (self.session.revision, self.session.console.revision, *revisions, self.closed, self.is_seen)
        if state != self._kept:
            self._kept = state
            keeping.update(self, self.static_form)

    @property
    def widget(self) -> Self:
        """The live widget: the GUI itself."""
        return self

    @property
    def is_seen(self) -> bool:
        """True when a browser shows the GUI."""
        return bool(self.seen.rendered)

    def close(self) -> None:
        """Ends it; the GUI says how."""
        super().close()  # type: ignore[misc]

    @property
    def closed(self) -> bool:
        """True after `close()`; the GUI says so."""
        raise NotImplementedError(f"{type(self).__name__} must say whether it is closed: define `closed`")
