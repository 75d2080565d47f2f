"""Images of an observation: find them, read them, measure offset and noise, show them; FITS cubes (`camtest.analysis.cubes`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from egse.archive import find_raw_files
from egse.fee import camera_model, ccd_numbering
from egse.h5 import SideImage, frame_numbers, get_file, packet_count, read_images

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_CUBE_FUNCTIONS = frozenset(
    (
        "get_overview",
        "get_extension_names",
        "get_primary_header",
        "get_image",
        "get_image_cube",
        "get_image_header",
        "get_parallel_overscan",
        "get_parallel_overscan_cube",
        "get_parallel_overscan_header",
        "get_serial_prescan",
        "get_serial_prescan_cube",
        "get_serial_prescan_header",
        "get_serial_overscan",
        "get_serial_overscan_cube",
        "get_serial_overscan_header",
        "get_relative_time",
        "get_absolute_time",
        "pixel_to_focal_plane",
        "focal_plane_to_pixel",
    )
)
"""From `camtest.analysis.cubes`, which loads astropy; they are here too, loaded when used."""


def __getattr__(name: str) -> Any:
    if name in _CUBE_FUNCTIONS:
        from camtest.analysis import cubes

        return getattr(cubes, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


CCD_COUNT = 4
SIDES = ("F", "E")
"""Left and right half of a CCD with the readout register at the bottom (flight models)."""


def raw_files(obsid: str | int, location: Path | None = None) -> list[Path]:
    """Returns the raw camera files (HDF5) of an observation, oldest first.

    Args:
        obsid: test id or obsid in any form; the observation may still be running.
        location: data folder of the site, with `daily/` and `obs/`; that of this site when None.

    Raises:
        LookupError: when the observation has no raw files there.
    """
    files = find_raw_files(obsid, location)
    if not files:
        raise LookupError(
            f"observation {obsid} has no raw camera files: were images taken, and are the files here?"
        )
    return files


def image_files(obsid: str | int, location: Path | None = None) -> list[Path]:
    """Returns the raw files of an observation that hold images, oldest first; cycles in DUMP mode hold none.

    Args and errors as `raw_files`.
    """
    return [path for path in raw_files(obsid, location) if _has_images(path)]


def _has_images(path: Path) -> bool:
    with get_file(path) as file:
        return any(packet_count(file, frame) for frame in frame_numbers(file))


def read_cycle(path: Path, ccd_bin_to_id: Sequence[int] | None = None) -> list[SideImage]:
    """Returns the images of all frames of one raw file, one per CCD side.

    Args:
        path: the HDF5 file.
        ccd_bin_to_id: CCD code of the FEE to the CGSE's number (Setup: `camera.fee.ccd_numbering`); None for that of
            the camera model (`PLATO_CAMERA_IS_EM`), which also says how pixels are coded.
    """
    bin_to_id = ccd_numbering().bin_to_id if ccd_bin_to_id is None else ccd_bin_to_id
    twos_complement = camera_model() == "em"
    with get_file(path) as file:
        return [
            image
            for frame in frame_numbers(file)
            for image in read_images(file, frame, bin_to_id, twos_complement)
        ]


def image_statistics(images: Iterable[SideImage]) -> pd.DataFrame:
    """Returns offset, readout noise and signal of each CCD side.

    Columns: ccd, side, rows, missing_rows, offset [ADU] (median of the serial overscan), noise [ADU] (standard
    deviation of the serial overscan), signal [ADU] (median of the image area above the offset). Rows whose packets were
    lost count in none of them.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for image in images:
        overscan = _rows_received(image.serial_overscan, image.missing_rows).astype(np.float32)
        offset = float(np.median(overscan)) if overscan.size else float("nan")
        area = _rows_received(image.image, image.missing_rows)
        rows.append(
            {
                "ccd": image.ccd,
                "side": image.side,
                "rows": image.pixels.shape[0],
                "missing_rows": len(image.missing_rows),
                "offset": offset,
                "noise": float(overscan.std()) if overscan.size else float("nan"),
                "signal": float(np.median(area[::8, ::8])) - offset if area.size else float("nan"),
            }
        )
    return pd.DataFrame(rows).sort_values(["ccd", "side"], ignore_index=True)


def _rows_received(area: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns an area without the rows whose packets were lost, which hold zeros."""
    return area[np.setdiff1d(np.arange(area.shape[0]), missing)] if len(missing) else area


def plot_focal_plane(images: Iterable[SideImage], title: str = "", step: int = 16) -> Figure:
    """Shows the CCDs, offset subtracted: F half left and E half right, readout register at the bottom.

    Args:
        images: as from `read_cycle`; the last one of each CCD side is shown.
        title: above the picture.
        step: size of the blocks of pixels that become one point; the largest value of each is taken, so that stars
            stay visible.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import AsinhNorm

    latest = {(image.ccd, image.side): _reduced(image.in_ccd_frame(), step) for image in images}
    figure, axes = plt.subplots(1, CCD_COUNT, figsize=(15, 4.3), constrained_layout=True)
    low, high = _stretch(list(latest.values()))
    norm = AsinhNorm(linear_width=max((high - low) / 50, 1.0), vmin=low, vmax=high)
    picture = None
    for ccd, axis in enumerate(axes, start=1):
        axis.set_title(f"CCD {ccd}", fontsize=10)
        axis.set_xticks([0.25, 0.75], SIDES)
        axis.set_yticks([])
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.axvline(0.5, color="0.8", linewidth=0.5)
        for index, side in enumerate(SIDES):
            left, middle = index / 2, index / 2 + 0.25
            data = latest.get((ccd, side))
            if data is None:
                axis.text(middle, 0.5, "not read", ha="center", va="center", color="0.5")
                continue
            picture = axis.imshow(
                data,
                origin="lower",
                norm=norm,
                cmap="inferno",
                extent=(left, left + 0.5, 0, 1),
                interpolation="nearest",
            )
    if picture is not None:
        figure.colorbar(picture, ax=axes, label="above offset [ADU]", shrink=0.9)
    figure.suptitle(title)
    return figure


def _reduced(image: SideImage, step: int) -> Any:
    offset = np.median(image.serial_overscan) if image.serial_overscan.size else 0.0
    area = image.image
    rows, columns = area.shape[0] // step * step, area.shape[1] // step * step
    if not rows or not columns:
        return area.astype(np.float32) - offset
    blocks = area[:rows, :columns].reshape(rows // step, step, columns // step, step)
    return blocks.max(axis=(1, 3)).astype(np.float32) - offset


def _stretch(pictures: list[Any]) -> tuple[float, float]:
    values = np.concatenate([picture.ravel() for picture in pictures]) if pictures else np.zeros(1)
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (1.0, 99.9))
    return float(low), float(max(high, low + 1.0))
