"""The spots in all images of an observation, as a table; what circles, Hartmann measurements and focus sweeps tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camtest.analysis.images import image_files, read_cycle
from camtest.analysis.spots import best_focus, find_spot
from egse.coordinates import FocalPlane
from egse.fee import camera_model
from egse.fee.geometry import LEFT_SIDE
from egse.h5 import SideImage

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

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


def measure(obsid: str | int, location: Path | None = None) -> pd.DataFrame:
    """Measures the spots of an observation with the focal plane of its own Setup; see `spot_table`.

    Raises:
        LookupError: when the observation has no raw files there.
    """
    return spot_table(obsid, FocalPlane.from_setup(_setup_of(obsid, location)), location)


def reduce_spots(obsid: str | int, folder: Path, location: Path | None = None) -> Path:
    """Measures the spots of an observation and writes them into a folder, as `spots_<obsid>.csv`; returns the file."""
    table = measure(obsid, location)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"spots_{obsid}.csv"
    table.to_csv(path, index=False)
    return path


def read_reduced(obsids: Sequence[str | int], folder: Path) -> pd.DataFrame:
    """Returns what `reduce_spots` wrote, with a column `obsid`.

    Raises:
        LookupError: when an observation has not been reduced.
    """
    import pandas as pd

    tables = []
    for obsid in obsids:
        path = folder / f"spots_{obsid}.csv"
        if not path.is_file():
            raise LookupError(f"{obsid} has not been reduced: there is no {path}")
        tables.append(pd.read_csv(path).assign(obsid=str(obsid)))
    return pd.concat(tables, ignore_index=True)


def focus_of_sweep(table: pd.DataFrame, positions: Sequence[float]) -> tuple[float, float]:
    """Returns the best focus [mm] and the width there [pixels] from the spots of a focus sweep.

    Args:
        table: of the spots, in order; the same number of cycles at each position.
        positions: of the focus [mm], in the order of the measurement.

    Raises:
        ValueError: when cycles and positions do not fit, or there is no best focus.
    """
    cycles = sorted(table["cycle"].unique())
    if not cycles or len(cycles) % len(positions):
        raise ValueError(
            f"{len(cycles)} cycles with spots are no multiple of {len(positions)} positions: a spot may have been lost"
        )
    each = len(cycles) // len(positions)
    widths = table.groupby("cycle")["width"].median().to_numpy().reshape(-1, each).mean(axis=1)
    return best_focus(positions, [float(width) for width in widths])


def plot_circle(table: pd.DataFrame) -> Figure:
    """Shows the spots of a circle: where they are in the focal plane, and their widths by phi."""
    import matplotlib.pyplot as plt

    figure, (plane, widths) = plt.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    points = plane.scatter(table["x"], table["y"], c=table["width"], cmap="viridis")
    figure.colorbar(points, ax=plane, label="width [pixel]")
    plane.set(xlabel="x [mm]", ylabel="y [mm]", aspect="equal", title="places of the spots")
    widths.plot(table["phi"], table["width"], "o")
    widths.set(xlabel="phi [deg]", ylabel="width [pixel]", title="widths of the spots")
    return figure


def _setup_of(obsid: str | int, location: Path | None) -> Mapping[str, Any]:
    """Returns the Setup that is frozen in the record of an observation."""
    from egse.archive import Observation

    return Observation(obsid, location).setup
