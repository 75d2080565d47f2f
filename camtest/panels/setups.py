"""The panel of Setups: find, compare, edit, submit and load them."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.panels.board import BoardState, Lamp, Value
from camtest.panels.panel import Panel, monitoring_endpoint
from camtest.panels.static_form import Section
from camtest.panels.telemetry import Telemetry
from camtest.panels.threads import Subscription, weak
from egse.command import CommandError
from egse.env import get_conf_repo_location
from egse.setup import Setup, get_setup, list_setups, load_setup, submit_setup
from egse.setup.diff import diff_setups
from egse.tmdict import TMDictionary
from egse.yamlfile import parse_yaml

SETTINGS = "Configuration Manager Control Server"
_FILTER = re.compile(r"\s*([A-Za-z_][\w.]*)\s*=\s*(\"[^\"]*\"|'[^']*'|[^,]+?)\s*(?:,|$)")


def parse_filters(text: str) -> dict[str, Any]:
    """Returns the filters that somebody typed: `site_id="CSL", gse.hexapod.ID=2`; dots or `__` navigate.

    Raises:
        CommandError: when the text is none.
    """
    filters: dict[str, Any] = {}
    at = 0
    while at < len(text.rstrip(" ,")):
        match = _FILTER.match(text, at)
        if match is None:
            raise CommandError(f'{text[at:]!r} is no filter; example: site_id="CSL", gse.hexapod.ID=2')
        try:
            value = ast.literal_eval(match[2])
        except (ValueError, SyntaxError):
            value = match[2]
        filters[match[1].replace(".", "__")] = value
        at = match.end()
    return filters


class SetupPanel(Panel):
    """All Setups of the site; the one that is loaded comes with the stream of the configuration manager."""

    name: ClassVar[str] = "setups"

    def __init__(self) -> None:
        self.telemetry = Telemetry("cm_cs", TMDictionary([]))
        self.found: list[tuple[Any, ...]] = []
        self.opened: dict[str, Setup] = {}
        self._origin: Setup | None = None
        super().__init__(f"Available Setups ({get_conf_repo_location()})")
        self.search()

    def _subscriptions(self) -> list[Subscription]:
        topics = (b"status", b"new_setup")
        return [Subscription(monitoring_endpoint(SETTINGS), topics, weak(self._receive))]

    def _receive(self, frames: list[bytes]) -> None:
        self.telemetry.receive(frames)
        if frames[0] == b"new_setup":
            self.search()

    @property
    def loaded(self) -> str:
        """Id of the Setup that is loaded; empty when none is."""
        return str(self.telemetry.status.get("setup") or "")

    @property
    def obsid(self) -> str:
        """The running observation; empty when there is none."""
        return str((self.telemetry.status.get("observation") or {}).get("obsid", ""))

    def _state(self) -> BoardState:
        lamps = [
            *self.telemetry.lamps(),
            Lamp("LOADED", "ok" if self.loaded else "warn", self.loaded or "no Setup"),
        ]
        values: tuple[Value, ...] = ()
        if self.obsid:
            lamps.append(Lamp("OBSERVATION", "info", f"{self.obsid}: no other Setup can be loaded"))
        return BoardState(self.title, self.telemetry.note, self.telemetry.alive, tuple(lamps), values)

    def _extra_sections(self) -> Sequence[Section]:
        rows = [(f"{row[0]:0>5}", str(row[2]), f"{row[1]} {row[3] or ''}", "") for row in self.found]
        return [Section("Setups that fit", tuple(rows))] if rows else []

    def _refresh(self) -> None:
        idle = not self.obsid and self.telemetry.alive
        for button in (self.load_button, self.submit_button):
            if button.disabled is idle:
                button.disabled = not idle

    # -- widgets -------------------------------------------------------------------------------------------------------

    def _body(self) -> list[widgets.Widget]:
        self.filter = widgets.Text(
            placeholder='site_id="CSL", gse.hexapod.ID=2',
            description="Filter",
            continuous_update=False,
            layout=widgets.Layout(width="32em"),
        )
        self.filter.observe(weak(self._filter_changed), "value")
        self.chooser = widgets.Dropdown(options=[], description="Setups", layout=widgets.Layout(width="32em"))
        self.other = widgets.Dropdown(
            options=[], description="compare with", layout=widgets.Layout(width="32em")
        )
        self.tabs = widgets.Tab([])
        self.editor = widgets.Textarea(rows=18, description="Setup", layout=widgets.Layout(width="98%"))
        self.editor.add_class("camtest-editor")
        self.description = widgets.Text(
            placeholder="what was changed, and why",
            description="Description",
            layout=widgets.Layout(width="40em"),
        )
        self.difference = widgets.HTML()
        self.load_button = self.button(
            "Load", self.load, style="warning", hint="Make it the active Setup of the site"
        )
        self.submit_button = self.button(
            "Submit", self.submit, style="warning", hint="Save the edited Setup under a new id"
        )
        search = widgets.HBox(
            [
                self.filter,
                self.button("Search", self.search),
                self.button("✕", self.clear, hint="Clear the filter"),
            ]
        )
        choose = widgets.HBox(
            [self.chooser, self.button("Open", self.open), self.button("Edit", self.edit), self.load_button]
        )
        compare = widgets.HBox([self.other, self.button("Compare", self.compare)])
        change = widgets.HBox(
            [self.description, self.button("Show changes", self.show_changes), self.submit_button]
        )
        self._edit_box = widgets.VBox([self.editor, change], layout=widgets.Layout(display="none"))
        return [search, choose, compare, self.tabs, self._edit_box, self.difference]

    def _filter_changed(self, _change: Any) -> None:
        self._guard(self.search)

    # -- what the buttons do -------------------------------------------------------------------------------------------

    def search(self) -> None:
        """Looks for the Setups that fit the filter."""
        filters = parse_filters(self.filter.value)
        self.command("?searching Setups", lambda: list(list_setups(**filters)), self._show_found)

    def clear(self) -> None:
        """Shows all Setups again."""
        self.filter.value = ""
        self.search()

    def _show_found(self, found: list[tuple[Any, ...]]) -> None:
        self.found = found
        options = [(f"{row[1]} {int(row[0]):05d}  {row[2]}", int(row[0])) for row in found]
        for chooser in (self.chooser, self.other):
            before, numbers = chooser.value, [number for _, number in options]
            chooser.options = options
            loaded = int(self.loaded) if self.loaded.isdigit() else None
            chooser.value = next((n for n in (before, loaded, *numbers) if n in numbers), None)

    def _chosen(self) -> int:
        if self.chooser.value is None:
            raise CommandError("choose a Setup first")
        return int(self.chooser.value)

    def open(self) -> None:
        """Shows the Setup that is chosen in a tab of its own."""
        number = self._chosen()
        self.command(f"?opening Setup {number}", lambda: get_setup(number), partial(self._show, number))

    def _show(self, number: int, setup: Setup) -> None:
        label = f"{setup.get_site_id() or ''} {number:05d}"
        self.opened = {**self.opened, label: setup}
        bundle: dict[str, str] = setup._repr_mimebundle_() if hasattr(setup, "_repr_mimebundle_") else {}
        text = bundle.get("text/html") or f"<pre>{escape(str(setup))}</pre>"
        if label in self.tabs.titles:
            self.tabs.children[self.tabs.titles.index(label)].value = text
        else:
            titles = (*self.tabs.titles, label)
            self.tabs.children = (*self.tabs.children, widgets.HTML(text))
            self.tabs.titles = titles
        self.tabs.selected_index = self.tabs.titles.index(label)

    def edit(self) -> None:
        """Opens the text of the Setup that is chosen in the editor."""
        number = self._chosen()
        self.command(f"?editing Setup {number}", lambda: get_setup(number), self._begin_editing)

    def _begin_editing(self, setup: Setup) -> None:
        self._origin = setup
        self.editor.value = setup.to_yaml_string()
        self._edit_box.layout.display = None

    def _edited(self) -> tuple[Setup, Setup]:
        if self._origin is None:
            raise CommandError("nothing is being edited: choose a Setup and press Edit")
        changed = Setup.from_yaml_string(self.editor.value, self._origin.get_filename())
        outside = set(parse_yaml(self.editor.value, "")) - set(parse_yaml(self._origin.to_yaml_string(), ""))
        if outside:
            raise CommandError(
                f"{', '.join(sorted(outside))}: not part of the Setup, indent it below `Setup:`"
            )
        return self._origin, changed

    def show_changes(self) -> None:
        """Shows what is different from the Setup that was opened."""
        before, after = self._edited()
        self._show_difference(diff_setups(before, after).to_html())

    def compare(self) -> None:
        """Shows what is different between two Setups."""
        first, second = self._chosen(), int(self.other.value)
        self.command(
            "?comparing",
            lambda: diff_setups(get_setup(first), get_setup(second)).to_html(),
            self._show_difference,
        )

    def _show_difference(self, text: str) -> None:
        self.difference.value = text

    def submit(self) -> None:
        """Saves the edited Setup under a new id and makes it the active one, when the operator agrees."""
        description = self.description.value.strip()
        if not description:
            raise CommandError("a description of what was changed is needed")
        before, changed = self._edited()
        if not diff_setups(before, changed):
            raise CommandError("nothing was changed")
        self.command(
            "submit Setup",
            lambda: f"Setup {submit_setup(changed, description).get_id()}",
            confirm=f"Really submit: {description}? It becomes the active Setup.",
        )

    def load(self) -> None:
        """Makes the Setup that is chosen the active one, when the operator agrees."""
        number = self._chosen()
        self.command(
            f"load Setup {number}",
            lambda: f"Setup {load_setup(number).get_id()}",
            confirm=f"Really load Setup {number:05d} for the whole site?",
        )


def make() -> SetupPanel:
    """Returns a new panel, for the page."""
    return SetupPanel()
