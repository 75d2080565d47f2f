"""Tables of spots, and what they tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camtest.analysis import scans
from egse.coordinates import FocalPlane
from egse.fee import FrameLayout
from egse.fee.frame import Frame, plan_chunks
from egse.fee.light import Exposure
from egse.fee.n_fee_sim import make_model
from egse.h5 import SideImage, sides_in_frame

PLANE = FocalPlane()


def cycle(frames: int = 2) -> list[SideImage]:
    """Frames of CCD 3 with the source at a known place, as in a raw file."""
    model = make_model("fm", seed=1)
    model.point_source_at(8.0, -45.0)
    row, _, ccd = PLANE.focal_plane_to_ccd(*PLANE.image_of(8.0, -45.0))
    assert (row is not None, ccd) == (True, 3)
    first = round(row or 0.0) - 60
    layout = FrameLayout(first, first + 120)
    fields = {"v_start": first, "v_end": first + 120, "h_end": 2294, "sensor_sel": 3}
    images = []
    for number in range(frames):
        frame = Frame(layout, 5, number, number, Exposure(2, 9, 20.0, 1.0), model._pixel_source())
        packets = [
            np.frombuffer(packet, np.uint8)
            for chunk in plan_chunks(layout)
            for packet in frame.packets(chunk)
        ]
        images += sides_in_frame(packets, fields)
    return images


def test_spots_of_a_cycle() -> None:
    table = scans.spots_in(cycle(), PLANE, 7)
    assert table["frame"].tolist() == [0, 1]
    assert set(table["cycle"]) == {7}
    assert table["theta"].tolist() == pytest.approx([8.0, 8.0], abs=1e-4)
    assert table["phi"].tolist() == pytest.approx([-45.0, -45.0], abs=1e-3)
    assert scans.spots_in([], PLANE).empty


def test_reduced_tables_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = scans.spots_in(cycle(1), PLANE)
    monkeypatch.setattr(scans, "measure", lambda obsid, location: table)
    path = scans.reduce_spots(17, tmp_path / "reduced")
    assert path.name == "spots_17.csv"
    again = scans.read_reduced([17], tmp_path / "reduced")
    pd.testing.assert_frame_equal(again.drop(columns="obsid"), table)
    with pytest.raises(LookupError, match="18 has not been reduced"):
        scans.read_reduced([17, 18], tmp_path / "reduced")
    assert len(scans.plot_circle(again).axes) == 3


def test_the_focus_of_a_sweep() -> None:
    positions = [-0.2, -0.1, 0.0, 0.1, 0.2]
    widths = [(1.0 + 9.0 * (z - 0.03) ** 2) ** 0.5 for z in positions]
    table = pd.DataFrame({"cycle": np.repeat(np.arange(10), 4), "width": np.repeat(np.repeat(widths, 2), 4)})
    assert scans.focus_of_sweep(table, positions) == pytest.approx((0.03, 1.0))
    with pytest.raises(ValueError, match="no multiple of 4"):
        scans.focus_of_sweep(table, positions[:4])
