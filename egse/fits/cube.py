"""Writes a FITS cube from raw files, one frame at a time.

The size of every extension is known from the plan, so the file is laid out first and each exposure is written to its place: memory is
needed for one frame only, however long the cube. Pixels are unsigned 16-bit integers, stored as FITS does: signed with BZERO = 32768.
Columns run along +x of the CCD (frame CCDn_PIX), so the right half of a CCD is mirrored with respect to the order on the link.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egse.decorators import fail_point
from egse.fee.geometry import COLUMNS_SIDE, SERIAL_OVERSCAN, SERIAL_PRESCAN, frame_layout
from egse.files import create_file, fsync_folder, make_folder
from egse.fits import headers as make
from egse.fits.camera import CameraFacts
from egse.fits.cards import Cards, padded
from egse.fits.plan import CubePlan, Exposure
from egse.h5 import SideImage, get_file
from egse.h5.images import Scratch, read_raw_images

_CHUNK = 2**18
"""So many bytes of pixels [bytes] are turned into what FITS stores, and written, at a time: they stay in the processor's cache."""

PRODUCTS = ("SPRE", "SOVER", "POVER", "IMAGE")


class CubesAbandonedError(Exception):
    """Cubes were given up because the process ends; making them again later is all that is needed."""


@dataclass
class _Extension:
    """An image extension and its place in the file."""

    product: str
    header: Cards
    shape: tuple[int, int, int]
    header_at: int = 0
    data_at: int = 0
    lost_rows: int = 0

    @property
    def layer_size(self) -> int:
        return self.shape[1] * self.shape[2] * 2


class CubeWriter:
    """Writes one cube.

    Args:
        plan: its exposures.
        camera: what the Setup says.
        site: site id.
        obsid: full obsid.
        is_ending: asked before every exposure; when it says True, the cube is given up.
    """

    def __init__(
        self,
        plan: CubePlan,
        camera: CameraFacts,
        site: str,
        obsid: str,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._plan = plan
        self._is_ending = is_ending
        self._camera = camera
        self._site = site
        self._obsid = obsid
        self._extensions: dict[tuple[int, str], list[_Extension]] = {}
        self._tables: list[tuple[int, bytes, NDArray[np.float64]]] = []
        self._size = 0
        self._scratch = Scratch()

    def write(self, path: Path) -> Path:
        """Writes the cube to `path`: first under another name beside it, then renamed.

        Returns:
            `path`.

        Raises:
            OSError: when a raw file cannot be read, or the cube not be written; nothing is left then.
            CubesAbandonedError: when it was to be given up; nothing is left then.
        """
        make_folder(path.parent)
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        descriptor = create_file(part)
        try:
            self._lay_out(descriptor)
            self._write_exposures(descriptor)
            self._write_headers(descriptor)
            os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            part.unlink(missing_ok=True)
            raise
        os.close(descriptor)
        fail_point("fits.before_rename")
        os.replace(part, path)
        fsync_folder(path.parent)
        return path

    # -- layout ---------------------------------------------------------------------------------------------------

    def _lay_out(self, descriptor: int) -> None:
        primary = make.primary_header(self._plan, self._camera, self._site, self._obsid).encode()
        os.pwrite(descriptor, primary, 0)
        self._size = len(primary)
        keys = {(exposure.code, side) for exposure in self._plan.exposures for side in exposure.sides}
        for code, side in sorted(keys, key=lambda key: (self._camera.bin_to_id[key[0]], key[1])):
            self._lay_out_side(code, side)
        os.ftruncate(descriptor, self._size)
        for at, header, times in self._tables:
            os.pwrite(descriptor, header, at)
            os.pwrite(descriptor, times.astype(">f8").tobytes(), at + len(header))

    def _lay_out_side(self, code: int, side: str) -> None:
        exposures = self._plan.of_side(code, side)
        ccd = self._camera.bin_to_id[code]
        extensions = []
        for product, (rows, columns) in _shapes(exposures[0]).items():
            if rows and columns:
                extension = self._extension(product, ccd, side, (len(exposures), rows, columns), exposures[0])
                extension.header_at = self._size
                extension.data_at = self._size + len(extension.header.encode())
                self._size = extension.data_at + padded(len(exposures) * extension.layer_size)
                extensions.append(extension)
        self._extensions[code, side] = extensions
        times = np.array([exposure.timestamp for exposure in exposures]) - self._plan.first.timestamp
        table = make.time_table_header(ccd, side, len(exposures)).encode()
        self._tables.append((self._size, table, times))
        self._size += len(table) + padded(times.size * 8)

    def _extension(
        self, product: str, ccd: int, side: str, shape: tuple[int, int, int], first: Exposure
    ) -> _Extension:
        header = make.image_header(product, ccd, side, shape, first, self._site, self._obsid)
        if product in ("IMAGE", "POVER"):
            make.add_focal_length(header, self._camera)
        if product == "IMAGE":
            row_start = first.attributes["v_start"]
            make.add_focal_plane(header, self._camera, ccd, side, shape[2], row_start)
        return _Extension(product, header, shape)

    # -- content --------------------------------------------------------------------------------------------------

    def _write_exposures(self, descriptor: int) -> None:
        layers: dict[tuple[int, str], int] = {}
        for path, group in groupby(self._plan.exposures, key=lambda exposure: exposure.path):
            with get_file(path) as file:
                for exposure in group:
                    if self._is_ending():
                        raise CubesAbandonedError("the process ends; the cubes are made at its next start")
                    images = read_raw_images(
                        file, exposure.frame, self._camera.bin_to_id, self._scratch, exposure.attributes
                    )
                    for side in exposure.sides:
                        key = (exposure.code, side)
                        layer = layers.get(key, 0)
                        layers[key] = layer + 1
                        self._write_layer(descriptor, key, layer, images)

    def _write_layer(
        self, descriptor: int, key: tuple[int, str], layer: int, images: Sequence[SideImage]
    ) -> None:
        ccd, side = self._camera.bin_to_id[key[0]], key[1]
        image = next((image for image in images if (image.ccd, image.side) == (ccd, side)), None)
        if image is None:
            return
        image = image.in_ccd_frame(self._camera.right_side)
        for extension in self._extensions[key]:
            pixels = _product(image, extension.product)
            if pixels.shape != extension.shape[1:]:
                raise ValueError(
                    f"{extension.header['EXTNAME']}: {pixels.shape} pixels, not {extension.shape[1:]}"
                )
            place = extension.data_at + layer * extension.layer_size
            step = max(1, _CHUNK // (2 * pixels.shape[1]))
            for row in range(0, len(pixels), step):
                place = _write_all(descriptor, self._stored(pixels[row : row + step]), place)
            extension.lost_rows += _lost_rows(image, extension.product)

    def _stored(self, pixels: NDArray[np.uint16]) -> memoryview:
        """Returns pixels as FITS stores unsigned 16-bit integers: minus 32768, big-endian.

        That is what is on the link with the highest bit turned over (two's complement of the EM: as it is), so nothing has
        to be swapped. The memory is used again for the next pixels.
        """
        sign = np.array(0 if self._camera.twos_complement else 0x8000, ">u2").view(np.uint16)
        stored = self._scratch.take("stored", pixels.nbytes).view(np.uint16).reshape(pixels.shape)
        np.bitwise_xor(pixels.view(np.uint16), sign, out=stored)
        return stored.reshape(-1).view(np.uint8).data

    def _write_headers(self, descriptor: int) -> None:
        for extensions in self._extensions.values():
            for extension in extensions:
                extension.header["LOSTROWS"] = extension.lost_rows
                os.pwrite(descriptor, extension.header.encode(), extension.header_at)


def _shapes(exposure: Exposure) -> dict[str, tuple[int, int]]:
    """Returns rows and columns of each product of an exposure."""
    layout = frame_layout(exposure.attributes)
    width, rows = layout.columns, layout.image_rows + layout.overscan_rows
    columns = min(COLUMNS_SIDE, max(0, width - SERIAL_PRESCAN))
    overscan_columns = min(SERIAL_OVERSCAN, max(0, width - SERIAL_PRESCAN - COLUMNS_SIDE))
    return {
        "SPRE": (rows, min(SERIAL_PRESCAN, width)),
        "SOVER": (rows, overscan_columns),
        "POVER": (layout.overscan_rows, columns),
        "IMAGE": (layout.image_rows, columns),
    }


def _product(image: SideImage, product: str) -> NDArray[np.uint16]:
    match product:
        case "SPRE":
            return image.serial_prescan
        case "SOVER":
            return image.serial_overscan
        case "POVER":
            return image.parallel_overscan
        case _:
            return image.image


def _lost_rows(image: SideImage, product: str) -> int:
    missing = image.missing_rows
    if product == "IMAGE":
        missing = missing[missing < image.image_row_count]
    elif product == "POVER":
        missing = missing[missing >= image.image_row_count]
    return int(missing.size)


def _write_all(descriptor: int, data: memoryview, place: int) -> int:
    """Writes bytes at a place of a file; returns the place behind them."""
    while data:
        written = os.pwrite(descriptor, data, place)
        place += written
        data = data[written:]
    return place
