"""FITS cubes in analysis: what is in a file, single exposures and whole cubes, times, places in the focal plane.

Args that all functions share:
    path: the FITS file; those of an observation are `Observation(obsid).fits_files`.
    ccd: CCD number, 1..4.
    side: "E" or "F".
    exposure: number of the exposure in the cube, from 0; negative ones count from the end.

A CCD side or product that the file does not hold is a `LookupError` that says what there is; so is an exposure that does not
exist. Pixels are the file's unsigned 16-bit integers: cast them (`.astype(float)`) before taking differences. Rows of lost
packets are 0; the header's LOSTROWS counts them.

Source: ICD of the storage formats, section 9.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from egse.system import time_since_epoch_1958

PRODUCTS = ("IMAGE", "POVER", "SPRE", "SOVER")

Pixels = NDArray[np.uint16]
Floats = NDArray[np.float64]


def get_overview(path: Path) -> str:
    """Returns a summary of a cube as text: observation, readout, and one line an extension."""
    with fits.open(path) as hdus:
        primary = hdus[0].header
        names = (
            "OBSID",
            "INSTRUME",
            "DATE-OBS",
            "CYCLETIME",
            "READTIME",
            "V_START",
            "V_END",
            "CCD_READOUT_ORDER",
        )
        lines = [Path(path).name, *(f"{name:<18} {primary[name]}" for name in names if name in primary)]
        for hdu in hdus[1:]:
            shape = " x ".join(str(hdu.header[f"NAXIS{n}"]) for n in range(1, hdu.header["NAXIS"] + 1))
            lost = hdu.header.get("LOSTROWS", 0)
            lines.append(f"{hdu.name:<18} {shape}" + (f", {lost} rows lost" if lost else ""))
    return "\n".join(lines)


def get_extension_names(path: Path) -> list[str]:
    """Returns the names of the extensions, without PRIMARY, in the order of the file."""
    with fits.open(path) as hdus:
        return [hdu.name for hdu in hdus[1:]]


def get_primary_header(path: Path) -> fits.Header:
    """Returns the primary header."""
    return fits.getheader(path)


def get_image(path: Path, ccd: int, side: str, exposure: int) -> Pixels:
    """Returns the image area of one exposure, shape (rows, columns)."""
    return _layer(path, "IMAGE", ccd, side, exposure)


def get_image_cube(path: Path, ccd: int, side: str) -> Pixels:
    """Returns the image area of all exposures, shape (exposures, rows, columns)."""
    return _cube(path, "IMAGE", ccd, side)


def get_image_header(path: Path, ccd: int, side: str) -> fits.Header:
    """Returns the header of the image cube."""
    return _header(path, "IMAGE", ccd, side)


def get_parallel_overscan(path: Path, ccd: int, side: str, exposure: int) -> Pixels:
    """Returns the parallel overscan of one exposure, shape (overscan rows, columns)."""
    return _layer(path, "POVER", ccd, side, exposure)


def get_parallel_overscan_cube(path: Path, ccd: int, side: str) -> Pixels:
    """Returns the parallel overscan of all exposures, shape (exposures, overscan rows, columns)."""
    return _cube(path, "POVER", ccd, side)


def get_parallel_overscan_header(path: Path, ccd: int, side: str) -> fits.Header:
    """Returns the header of the cube of parallel overscans."""
    return _header(path, "POVER", ccd, side)


def get_serial_prescan(path: Path, ccd: int, side: str, exposure: int) -> Pixels:
    """Returns the serial prescan of one exposure, shape (rows with parallel overscan, 25)."""
    return _layer(path, "SPRE", ccd, side, exposure)


def get_serial_prescan_cube(path: Path, ccd: int, side: str) -> Pixels:
    """Returns the serial prescan of all exposures, shape (exposures, rows with parallel overscan, 25)."""
    return _cube(path, "SPRE", ccd, side)


def get_serial_prescan_header(path: Path, ccd: int, side: str) -> fits.Header:
    """Returns the header of the cube of serial prescans."""
    return _header(path, "SPRE", ccd, side)


def get_serial_overscan(path: Path, ccd: int, side: str, exposure: int) -> Pixels:
    """Returns the serial overscan of one exposure, shape (rows with parallel overscan, 15)."""
    return _layer(path, "SOVER", ccd, side, exposure)


def get_serial_overscan_cube(path: Path, ccd: int, side: str) -> Pixels:
    """Returns the serial overscan of all exposures, shape (exposures, rows with parallel overscan, 15)."""
    return _cube(path, "SOVER", ccd, side)


def get_serial_overscan_header(path: Path, ccd: int, side: str) -> fits.Header:
    """Returns the header of the cube of serial overscans."""
    return _header(path, "SOVER", ccd, side)


def get_relative_time(path: Path, ccd: int, side: str) -> Floats:
    """Returns the time of each exposure [s] since the first exposure of any CCD side in the file."""
    with fits.open(path) as hdus:
        name = _name(hdus, "WCS-TAB", ccd, side)
        return np.array(hdus[name].data["TIME"], np.float64)


def get_absolute_time(path: Path, ccd: int, side: str) -> Floats:
    """Returns the time of each exposure [s] since 1958-01-01 UTC (`egse.system.from_epoch_1958` turns it back)."""
    start = str(fits.getval(path, "DATE-OBS"))
    return get_relative_time(path, ccd, side) + time_since_epoch_1958(f"{start}+0000")


def pixel_to_focal_plane(
    path: Path, ccd: int, side: str, row: ArrayLike, column: ArrayLike
) -> tuple[Floats, Floats]:
    """Returns where pixels are in the focal plane.

    Args:
        path, ccd, side: see above.
        row, column: indices in the image as in the file (`get_image`), from 0, numbers or arrays; whole numbers are the
            middle of a pixel.

    Returns:
        x and y [mm].

    Raises:
        LookupError: when the file does not say where the CCD is (its Setup had no `camera.ccd.origin_offset_x`, `_y`).
    """
    header = _header(path, "IMAGE", ccd, side)
    if "CRVAL1" not in header:
        raise LookupError(f"{Path(path).name} does not say where CCD {ccd} is in the focal plane (no CRVAL1)")
    dx = np.asarray(column, np.float64) + 1.0 - header["CRPIX1"]
    dy = np.asarray(row, np.float64) + 1.0 - header["CRPIX2"]
    x = header["CRVAL1"] + header["CD1_1"] * dx + header["CD1_2"] * dy
    y = header["CRVAL2"] + header["CD2_1"] * dx + header["CD2_2"] * dy
    return x, y


def focal_plane_to_pixel(
    path: Path, ccd: int, side: str, x: ArrayLike, y: ArrayLike
) -> tuple[Floats, Floats]:
    """Returns row and column in the image for places in the focal plane [mm]; the reverse of `pixel_to_focal_plane`.

    Places beside the image give rows and columns outside of it.
    """
    header = _header(path, "IMAGE", ccd, side)
    if "CRVAL1" not in header:
        raise LookupError(f"{Path(path).name} does not say where CCD {ccd} is in the focal plane (no CRVAL1)")
    matrix = np.linalg.inv([[header["CD1_1"], header["CD1_2"]], [header["CD2_1"], header["CD2_2"]]])
    du, dv = np.asarray(x, np.float64) - header["CRVAL1"], np.asarray(y, np.float64) - header["CRVAL2"]
    column = matrix[0, 0] * du + matrix[0, 1] * dv + header["CRPIX1"] - 1.0
    row = matrix[1, 0] * du + matrix[1, 1] * dv + header["CRPIX2"] - 1.0
    return row, column


def _name(hdus: Any, product: str, ccd: int, side: str) -> str:
    name = f"{product}_{ccd}_{side.upper()}"
    names = [hdu.name for hdu in hdus[1:]]
    if name not in names:
        sides = [other.removeprefix("IMAGE_") for other in names if other.startswith("IMAGE_")]
        raise LookupError(
            f"{Path(hdus.filename()).name} has no {name}; it has images of {', '.join(sides) or 'nothing'}"
        )
    return name


def _cube(path: Path, product: str, ccd: int, side: str) -> Pixels:
    with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
        cube: Pixels = hdus[_name(hdus, product, ccd, side)].data
        return cube


def _layer(path: Path, product: str, ccd: int, side: str, exposure: int) -> Pixels:
    with fits.open(path) as hdus:
        hdu = hdus[_name(hdus, product, ccd, side)]
        count = hdu.header["NAXIS3"]
        if not -count <= exposure < count:
            raise LookupError(f"{hdu.name} has exposures 0 to {count - 1}, not {exposure}")
        return np.asarray(hdu.section[exposure % count])  # reads this layer only


def _header(path: Path, product: str, ccd: int, side: str) -> fits.Header:
    with fits.open(path) as hdus:
        return hdus[_name(hdus, product, ccd, side)].header.copy()
