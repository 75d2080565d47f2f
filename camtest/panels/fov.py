"""The panels of the source position and of the visited positions: the focal plane with the source, and what was visited."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.display.fieldmap import field_map
from camtest.panels.board import Value
from camtest.panels.device import DevicePanel
from camtest.panels.panel import Panel
from camtest.panels.static_form import Section
from camtest.panels.threads import weak
from camtest.state import GlobalState
from egse.coordinates import FocalPlane
from egse.fov import FOVProxy
from egse.proxy import Proxy
from egse.setup import Setup

COORDINATES: dict[str, tuple[str, ...]] = {
    "focal plane": ("x [mm]", "y [mm]"),
    "pixel": ("row", "column", "CCD"),
    "field angles": ("theta [deg]", "phi [deg]"),
}
"""In which coordinates places are shown and marked."""
SHOWN = 12
"""So many of the last visited places stand in the table."""

Place = tuple[float, float]


class FOVPanel(DevicePanel):
    """The focal plane: the source where it is and where it was sent, visited positions, marking by hand.

    Args:
        proxy: of `fov_hk`; one from the Settings by default.
        title: shown above.
    """

    name: ClassVar[str] = "fov"

    def __init__(self, proxy: Proxy | None = None, title: str = "Source position") -> None:
        self.plane = FocalPlane()
        self._drawn: Any = None
        super().__init__(proxy or FOVProxy(), title)
        self.command("?the loaded Setup", _active_setup, self._take_setup)

    def _take_setup(self, setup: Setup | None) -> None:
        self.plane = FocalPlane.from_setup(setup)
        self._drawn = None

    # -- what is shown -------------------------------------------------------------------------------------------------

    def _place(self, kind: str) -> Place | None:
        row = self.telemetry.row
        theta, phi = row.get(f"FOV_{kind}_THETA"), row.get(f"FOV_{kind}_PHI")
        if not self.telemetry.alive or theta is None or phi is None:
            return None
        return self.plane.image_of(float(theta), float(phi))

    @property
    def visited(self) -> list[Place]:
        """The visited places, oldest first: x, y [mm]."""
        return [(float(x), float(y)) for x, y in self.telemetry.status.get("visited") or ()]

    def _values(self) -> list[Value]:
        found = super()._values()
        for kind, text in (("ACT", "source"), ("CMD", "commanded")):
            place = self._place(kind)
            if place is not None:
                for name in ("focal plane", "pixel"):
                    found.append(Value(f"{text}, {name}", self._described(place, name)))
        return [*found, Value("visited positions", str(len(self.visited)))]

    def _described(self, place: Place, kind: str) -> str:
        names, values = COORDINATES[kind], self._in(place, kind)
        if values is None:
            return "beside the CCDs"
        return ", ".join(f"{name} {value:.6g}" for name, value in zip(names, values, strict=True))

    def _in(self, place: Place, kind: str) -> tuple[float, ...] | None:
        """Returns a place in one of the `COORDINATES`; None beside the CCDs."""
        if kind == "focal plane":
            return place
        if kind == "field angles":
            return self.plane.source_of(*place)
        row, column, ccd = self.plane.focal_plane_to_ccd(*place)
        return None if row is None or column is None or ccd is None else (row, column, ccd)

    def _out_of(self, values: Sequence[float], kind: str) -> Place:
        """Returns the place in the focal plane that is meant by one of the `COORDINATES`."""
        if kind == "focal plane":
            return values[0], values[1]
        if kind == "field angles":
            return self.plane.image_of(values[0], values[1])
        return self.plane.ccd_to_focal_plane(values[0], values[1], int(values[2]))

    def _extra_sections(self) -> Sequence[Section]:
        kind = str(self.kind.value)
        rows = tuple(
            (str(number), self._described(place, kind), "", "")
            for number, place in enumerate(self.visited, 1)
        )
        sections = [Section("Visited positions", rows[-SHOWN:])] if rows else []
        return [*sections, *super()._extra_sections()]

    def _refresh(self) -> None:
        super()._refresh()
        kind = str(self.kind.value)
        state = (self.plane, tuple(self.visited), self._place("ACT"), self._place("CMD"), kind)
        if state != self._drawn:
            self._drawn = state
            self.map.value = field_map(*state[:4])
            lines = [f"<li>{self._described(place, kind)}</li>" for place in reversed(self.visited[-SHOWN:])]
            self.table.value = f'<ol reversed start="{len(self.visited)}">{"".join(lines)}</ol>'

    # -- widgets -------------------------------------------------------------------------------------------------------

    def _controls(self) -> list[widgets.Widget]:
        self.map, self.table = widgets.HTML(), widgets.HTML()
        self.kind = widgets.Dropdown(options=list(COORDINATES), description="Coordinates")
        self.fields = [
            widgets.FloatText(style={"description_width": "6em"}, layout=widgets.Layout(width="14em"))
            for _ in range(3)
        ]
        self.kind.observe(weak(self._name_fields), "value")
        buttons = [
            self.button("Mark", self._mark, style="primary", hint="Mark this place as visited"),
            self.button("↶ Undo", self._undo, hint="Forget the place that was marked last"),
            self.button("Forget all", self._forget, hint="Forget all visited places"),
        ]
        self._name_fields()
        marking = widgets.VBox([self.kind, *self.fields, widgets.HBox(buttons), self.table])
        return [widgets.HBox([self.map, marking])]

    def _name_fields(self, _change: Any = None) -> None:
        names = COORDINATES[str(self.kind.value)]
        for field, name in zip(self.fields, (*names, ""), strict=False):
            field.description = name
            field.layout.display = "" if name else "none"
        self.fields[2].layout.display = "" if len(names) == 3 else "none"

    def _mark(self) -> None:
        values = [float(field.value) for field in self.fields]
        x, y = self._out_of(values, str(self.kind.value))
        self.command(f"visit(x={x:.4f}, y={y:.4f})", partial(self._fov.visit, x, y))

    def _undo(self) -> None:
        self.command("undo_visit()", self._fov.undo_visit)

    def _forget(self) -> None:
        self.command(
            "clear_visited_positions()",
            self._fov.clear_visited_positions,
            confirm="Forget all visited positions?",
        )

    @property
    def _fov(self) -> Any:
        return self.proxy


def _active_setup() -> Setup | None:
    return GlobalState.setup


def make() -> Panel:
    """Returns a new panel of the source position, for the page."""
    return FOVPanel()


def make_visited() -> Panel:
    """Returns a new panel of the visited positions, for the page."""
    return FOVPanel(title="Visited positions")
