"""The panel of queue and runs: what runs, what waits, how runs ended, and the last lines of one of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import ClassVar

import ipywidgets as widgets

from camtest.panels.board import BoardState, Lamp, Value
from camtest.panels.errors import one_line
from camtest.panels.panel import Panel
from camtest.panels.static_form import Section
from camtest.run.journal import RunRecord, decode, list_runs
from camtest.run.queue import Queue, QueueState
from camtest.run.worker import start_worker
from egse.command import CommandError
from egse.files import read_tail

LOOK = 1.0
"""How often the files are looked at [s]; they are read only when they have changed."""
LAST_RUNS = 15
LINES = 40
"""So many of the last lines of a run are shown."""
TAIL = 200_000
STATES = {"running": "ok", "paused": "warn", "stopped": "off"}
OUTPUT = Path("runs")
"""Where executed notebooks go when this panel starts the worker."""


class QueuePanel(Panel):
    """The queue of this machine and its runs."""

    name: ClassVar[str] = "queue"

    def __init__(self) -> None:
        self.queue = Queue()
        self.content = QueueState()
        self.runs: list[RunRecord] = []
        self._looked = 0.0
        super().__init__("Queue and runs")

    def _refresh(self) -> None:
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            self.command("?queue", self._look, self._take)

    def _look(self) -> tuple[QueueState, list[RunRecord], str]:
        runs = list_runs()[-LAST_RUNS:]
        return self.queue.state(), runs, last_lines(runs[-1].path) if runs else ""

    def _take(self, found: tuple[QueueState, list[RunRecord], str]) -> None:
        self.content, self.runs, text = found
        rows = "".join(
            f"<tr data-run='{run.run_id}'><td>{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(run.header['t']))}</td>"
            f"<td>{escape(str(run.header.get('obsid', '')))}</td><td>{escape(str(run.header.get('name', '')))}</td>"
            f"<td><b>{escape(run.status)}</b></td><td>{escape(run.reason)}</td></tr>"
            for run in reversed(self.runs)
        )
        for widget, value in (
            (self.table, f"<b>Last runs (UTC)</b><table>{rows}</table>"),
            (self.lines, f"<b>Newest run</b><pre style='max-height:20em;overflow:auto'>{escape(text)}</pre>"),
        ):
            if widget.value != value:
                widget.value = value

    def _state(self) -> BoardState:
        queue = self.content
        lamps = [
            Lamp(
                "QUEUE",
                STATES.get(queue.status, "info"),
                queue.status + (f": {queue.reason}" if queue.reason else ""),
            ),
            Lamp("WORKER", "ok" if queue.worker else "off", "works" if queue.worker else "none"),
        ]
        running = queue.running
        values = (
            []
            if running is None
            else [Value(f"#{running.item.number}", running.item.label, f"by {running.by}", "")]
        )
        for number in queue.waiting:
            entry = queue.items[number]
            values.append(Value(f"#{number}", entry.item.label, f"waits, by {entry.by}"))
        return BoardState(self.title, "", True, tuple(lamps), tuple(values))

    def _extra_sections(self) -> Sequence[Section]:
        rows = [(str(r.header.get("obsid", r.run_id)), r.status, r.reason, "") for r in reversed(self.runs)]
        return [Section("Last runs", tuple(rows))] if rows else []

    def _body(self) -> list[widgets.Widget]:
        self.notebook = widgets.Text(
            placeholder="procedures/short_functional_test.ipynb",
            description="Notebook",
            layout=widgets.Layout(width="30em"),
        )
        self.number = widgets.BoundedIntText(
            min=1, max=10**6, description="Item", layout=widgets.Layout(width="12em")
        )
        self.reason = widgets.Text(placeholder="why", description="Reason")
        self.table, self.lines = widgets.HTML(), widgets.HTML()
        return [
            widgets.HBox([self.notebook, self.button("Add to the queue", self.add, style="success")]),
            widgets.HBox(
                [
                    self.number,
                    self.button("Make it the next", self.first),
                    self.button("Remove", self.remove, style="danger"),
                ]
            ),
            widgets.HBox(
                [
                    self.reason,
                    self.button("Pause", self.pause, hint="Start nothing more; what runs goes on"),
                    self.button("Resume", self.resume),
                    self.button("Stop", self.stop, hint="End the worker after what runs now"),
                ]
            ),
            self.table,
            self.lines,
        ]

    def add(self) -> None:
        """Puts a procedure with its defaults at the end of the queue; forms with parameters: `procedure_form`."""
        path = self.notebook.value.strip()
        self.command(f"add {path}", lambda: self._begin(self._add(path)))

    def _add(self, path: str) -> int:
        try:
            return self.queue.add(path, {})
        except ValueError as exc:  # no notebook, or one whose parameters have no defaults
            raise CommandError(f"{path or 'the notebook'}: {one_line(exc)}") from exc

    def _begin(self, number: int | None = None) -> str:
        state = self.queue.state()
        if state.status == "running" and state.waiting:
            start_worker(self.queue, OUTPUT)
        return f"number {number}" if number is not None else "done"

    def first(self) -> None:
        """Makes an item the next one."""
        number = int(self.number.value)
        self.command(f"make {number} the next", lambda: self.queue.move(number, 1))

    def remove(self) -> None:
        """Takes an item out, when the operator agrees."""
        number = int(self.number.value)
        self.command(
            f"remove {number}", lambda: self.queue.remove(number), confirm=f"Really remove item {number}?"
        )

    def pause(self) -> None:
        """Has nothing more started."""
        reason = self.reason.value
        self.command("pause the queue", lambda: self.queue.set_status("paused", reason))

    def resume(self) -> None:
        """Goes on."""

        def go_on() -> str:
            self.queue.set_status("running")
            return self._begin()

        self.command("resume the queue", go_on)

    def stop(self) -> None:
        """Ends the worker after what runs now, when the operator agrees."""
        reason = self.reason.value
        self.command(
            "stop the queue",
            lambda: self.queue.set_status("stopped", reason),
            confirm="Really stop the queue?",
        )


def last_lines(path: Path) -> str:
    """Returns the last lines of the record of a run: its cells and what they print.

    Args:
        path: of the record.
    """
    lines: list[str] = []
    for line in read_tail(path, TAIL).splitlines():
        entry = decode(line)
        if entry is None:
            continue
        if entry["kind"] == "cell":
            lines.append(f"[{entry['number']}/{entry['count']}] {entry['title']}: {entry['status']}")
        elif entry["kind"] in ("state", "end"):
            lines.append(f"{entry['status']} {entry.get('reason') or ''}")
        elif entry["kind"] == "output":
            output = entry["output"]
            text = output.get("text") or output.get("evalue") or output.get("data", {}).get("text/plain", "")
            lines += [f"    {part}" for part in str(text).splitlines()]
    return "\n".join(lines[-LINES:])


def make() -> QueuePanel:
    """Returns a new panel, for the page."""
    return QueuePanel()
