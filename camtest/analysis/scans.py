"""The spots in all images of an observation, as a table; what circles, Hartmann measurements and focus sweeps tell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from camtest.analysis.images import image_files, read_cycle
from camtest.analysis.spots import find_spot
from egse.coordinates import FocalPlane
from egse.fee import camera_model
from egse.fee.geometry import LEFT_SIDE
from egse.h5 import SideImage

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("cycle", "frame", "ccd", "row", "column", "flux", "width", "peak", "x", "y", "theta", "phi")


def spots_in(images: Iterable[SideImage], plane: FocalPlane, cycle: int = 0) -> pd.DataFrame:
    """Measures the brightest spot of each CCD in each frame.

    Args:
        images: of one cycle.
        plane: focal plane of the camera.
        cycle: number for the table.

    Returns:
        Columns as in `COLUMNS`: rows and columns in pixels, flux and peak in ADU, width in pixels, x and y in the focal plane [mm],
        theta and phi of the source [deg]. A frame without a spot has no row.
    """
    import pandas as pd

    right = "E" if LEFT_SIDE[camera_model()] == "F" else "F"
    frames: dict[tuple[int, int], list[SideImage]] = {}
    for image in images:
        frames.setdefault((image.frame, image.ccd), []).append(image)
    rows = []
    for (frame, ccd), sides in sorted(frames.items()):
        spot = find_spot(sides, ccd, right)
        if spot is not None:
            place, angles = spot.focal_plane_position(plane), spot.field_angles(plane)
            measured = (spot.row, spot.column, spot.flux, spot.width, spot.peak)
            rows.append((cycle, frame, ccd, *measured, *place, *angles))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def spot_table(obsid: str | int, plane: FocalPlane, location: Path | None = None) -> pd.DataFrame:
    """Measures the spots in all images of an observation, in order; see `spots_in`.

    Args:
        obsid: test id or obsid in any form.
        plane: focal plane of the camera, `FocalPlane.from_setup(setup)`.
        location: data folder of the site; that of this site when None.

    Raises:
        LookupError: when the observation has no raw files there.
    """
    import pandas as pd

    tables = [
        spots_in(read_cycle(path), plane, cycle) for cycle, path in enumerate(image_files(obsid, location))
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
