"""The panels of the source position and the visited positions, beside a real `fov_hk`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from camtest.display.fieldmap import field_map
from camtest.panels.fov import FOVPanel, make_visited
from egse.coordinates import FocalPlane
from egse.fov import FOVProxy
from egse.settings import Settings
from egse.site.layout import SiteLayout

from .conftest import eventually

PLANE = FocalPlane()


@pytest.fixture
def fov_hk(site: SiteLayout) -> Iterator[None]:
    Settings.load(force=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "egse.fov.fov_hk", "start"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("READY fov_hk")
    yield
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()
    Settings.load(force=True)


def test_places_are_marked_shown_and_undone(fov_hk: None) -> None:
    with make_visited() as made, FOVProxy() as fov:
        assert isinstance(made, FOVPanel)
        for kind, values in (
            ("focal plane", (10.0, -20.0)),
            ("pixel", (100.0, 200.0, 3)),
            ("field angles", (8.0, 45.0)),
        ):
            made.kind.value = kind
            for field, value in zip(made.fields, values, strict=False):
                field.value = value
            made._mark()
        wanted = [(10.0, -20.0), PLANE.ccd_to_focal_plane(100, 200, 3), PLANE.image_of(8.0, 45.0)]
        eventually(lambda: len(fov.get_visited_positions()) == 3, "the marks at the server")
        assert [tuple(place) for place in fov.get_visited_positions()] == [
            pytest.approx(place) for place in wanted
        ]
        eventually(lambda: made.map.value.count('class="visited"') == 3, "the red dots")
        assert "theta [deg] 8, phi [deg] 45" in made.table.value
        assert "Visited positions" in repr(made)
        made._undo()
        eventually(lambda: made.map.value.count('class="visited"') == 2, "the undo")
        assert len(fov.get_visited_positions()) == 2
        made._forget()
        made._confirmation.children[1].click()
        eventually(lambda: 'class="visited"' not in made.map.value, "the end of all")
        made.kind.value = "pixel"
        made.fields[2].value = 7
        with pytest.raises(ValueError, match="1 to 4"):
            made._mark()


def test_the_source_is_shown(fov_hk: None) -> None:
    with FOVPanel() as made:
        eventually(lambda: made.telemetry.alive, "the server")
        made.telemetry.take(
            {"FOV_ACT_THETA": 8.0, "FOV_ACT_PHI": 45.0, "FOV_CMD_THETA": 9.0, "FOV_CMD_PHI": 45.0}
        )
        eventually(lambda: 'class="actual"' in made.map.value, "the source")
        assert 'class="commanded"' in made.map.value
        row, column, ccd = PLANE.focal_plane_to_ccd(*PLANE.image_of(8.0, 45.0))
        eventually(lambda: any(v[0] == "source, pixel" for v in made.board.state["rows"]), "the pixel")
        shown = next(v[1] for v in made.board.state["rows"] if v[0] == "source, pixel")
        assert shown == f"row {row:.6g}, column {column:.6g}, CCD {ccd}"


def test_the_picture_has_ccds_with_registers_at_their_edges() -> None:
    picture = field_map(PLANE, [(1.0, 2.0)], (3.0, 4.0), None)
    assert picture.count("<polygon") == 4
    assert picture.count('stroke-width="2"') == 4
    assert 'cx="1.000" cy="-2.000"' in picture, "y is up"
    assert 'class="commanded"' not in picture
