"""Images of an observation, read one exposure at a time: from its FITS cubes, or else from its raw HDF5 files.

Both give the same pixels in the same orientation: columns along +x of the CCD, so that the right half is mirrored with
respect to the order on the link.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from egse.fee import camera_model, ccd_numbering
from egse.fee.geometry import LEFT_SIDE
from egse.h5.images import SideImage, read_images
from egse.h5.reader import frame_numbers, get_file, get_timestamp, packet_count
from egse.setup import SetupError
from egse.spw import HEADER_SIZE, CCDSide, decode_headers
from egse.system import MissingKeyError, unix_time

if TYPE_CHECKING:
    import pandas as pd

    from egse.archive.observation import Observation

Pixels = NDArray[np.generic]
IMAGE, PARALLEL_OVERSCAN, SERIAL_PRESCAN, SERIAL_OVERSCAN = "IMAGE", "POVER", "SPRE", "SOVER"
PRODUCTS = (IMAGE, PARALLEL_OVERSCAN, SERIAL_PRESCAN, SERIAL_OVERSCAN)
_EXTENSION = re.compile(r"(IMAGE|POVER|SPRE|SOVER)_([1-4])_([EF])")

_SAMPLE = 6
"""So many packets of a frame tell which sides are in it, also when one was lost."""

Key = tuple[int, str]


@dataclass(frozen=True)
class Exposure:
    """Where one exposure of one CCD side is.

    Attributes:
        path: FITS cube or raw file.
        index: layer in the cube, or number of the frame in the raw file.
        time: start of the acquisition, Unix time [s]; NaN when the file does not tell.
    """

    path: Path
    index: int
    time: float


class ImageStack(Sequence[Pixels]):
    """All exposures of one CCD side, oldest first: `stack[0]` is the image area of the first one.

    Args:
        ccd: CCD number, 1..4.
        side: "E" or "F".
        exposures: where they are.
        source: reads them.
    """

    def __init__(self, ccd: int, side: str, exposures: Sequence[Exposure], source: _Source) -> None:
        self.ccd, self.side = ccd, side
        self.exposures = list(exposures)
        self._source = source

    def __len__(self) -> int:
        return len(self.exposures)

    def __repr__(self) -> str:
        return f"<{len(self)} exposures of CCD {self.ccd}{self.side}>"

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ImageStack(self.ccd, self.side, self.exposures[index], self._source)
        return self.read(index)

    def read(self, index: int, product: str = IMAGE) -> Pixels:
        """Returns one exposure, shape (rows, columns) [ADU].

        Args:
            index: number of the exposure, from 0; negative from the end.
            product: `IMAGE`, `POVER` (parallel overscan), `SPRE` (serial prescan) or `SOVER` (serial overscan).

        Raises:
            IndexError: when there is no such exposure.
            LookupError: when this product was not read out.
            ValueError: when there is no such product.
        """
        if product not in PRODUCTS:
            raise ValueError(f"{product!r} is no product of an image; there are: {', '.join(PRODUCTS)}")
        return self._source.read(self.exposures[index], (self.ccd, self.side), product)

    def cube(self, product: str = IMAGE) -> Pixels:
        """Returns all exposures as one array, shape (exposures, rows, columns) [ADU]; all of them are in memory then.

        Raises:
            ValueError: when they are not of one size (the readout was changed in between).
        """
        return np.stack([self.read(index, product) for index in range(len(self))])

    @property
    def times(self) -> pd.DatetimeIndex:
        """Start of the acquisition of each exposure (UTC)."""
        import pandas as pd

        seconds = [exposure.time for exposure in self.exposures]
        return pd.DatetimeIndex(pd.to_datetime(seconds, unit="s", utc=True))


class Images(Mapping[Key, ImageStack]):
    """Images by CCD number and side: `images[1, "E"]`.

    Args:
        obsid: of the observation, for messages.
        source: where they come from.
    """

    def __init__(self, obsid: str, source: _Source) -> None:
        self._obsid = obsid
        self._source = source
        self._stacks = {
            key: ImageStack(*key, exposures, source) for key, exposures in sorted(source.exposures().items())
        }

    @property
    def source(self) -> str:
        """`fits` or `hdf5`."""
        return self._source.kind

    @property
    def files(self) -> list[Path]:
        """The files that they are read from."""
        return list(self._source.files)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._stacks)

    def __len__(self) -> int:
        return len(self._stacks)

    def __repr__(self) -> str:
        what = ", ".join(f"{len(stack)} x {ccd}{side}" for (ccd, side), stack in self.items())
        return f"<images of {self._obsid} from {self.source}: {what or 'none'}>"

    def __getitem__(self, key: Key | str) -> ImageStack:
        if isinstance(key, str):
            key = (int(key[:1]), key[1:]) if re.fullmatch(r"[1-4][EF]", key) else (0, key)
        if key not in self._stacks:
            known = ", ".join(f"{ccd}{side}" for ccd, side in self) or "none"
            raise MissingKeyError(
                f'observation {self._obsid} has no images of {key!r} (there are: {known}; ask as images[1, "E"])'
            )
        return self._stacks[key]


class _Source(ABC):
    """Where images are read from."""

    kind = ""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)

    @abstractmethod
    def exposures(self) -> dict[Key, list[Exposure]]:
        """Returns what there is, oldest first."""

    @abstractmethod
    def read(self, exposure: Exposure, key: Key, product: str) -> Pixels:
        """Returns the pixels of one product of one exposure."""


class FITSImages(_Source):
    """Images in FITS cubes, also those of older software (`TIME-TAB`, floating point pixels)."""

    kind = "fits"

    def exposures(self) -> dict[Key, list[Exposure]]:
        """Returns what the cubes hold, in the order of their numbers."""
        from astropy.io import fits

        found: dict[Key, list[Exposure]] = {}
        for path in self.files:
            with fits.open(path) as hdus:
                start = _date_obs(hdus[0].header)
                names = {hdu.name for hdu in hdus}
                for hdu in hdus[1:]:
                    match = _EXTENSION.fullmatch(hdu.name)
                    if match is None or match[1] != IMAGE:
                        continue
                    key = (int(match[2]), match[3])
                    count = hdu.header["NAXIS3"] if hdu.header["NAXIS"] > 2 else 1
                    table = f"WCS-TAB_{match[2]}_{match[3]}"
                    times = np.asarray(hdus[table].data["TIME"]).ravel() if table in names else np.array([])
                    for layer in range(count):
                        time = start + float(times[layer]) if layer < times.size else float("nan")
                        found.setdefault(key, []).append(Exposure(path, layer, time))
        return found

    def read(self, exposure: Exposure, key: Key, product: str) -> Pixels:
        """Returns one layer of an extension; only that is read from the disk."""
        from astropy.io import fits

        name = f"{product}_{key[0]}_{key[1]}"
        with fits.open(exposure.path) as hdus:
            if name not in hdus:
                raise LookupError(f"{exposure.path.name} has no extension {name}: it was not read out")
            hdu = hdus[name]
            layer = hdu.section[exposure.index] if hdu.header["NAXIS"] > 2 else hdu.section[:, :]
            return np.array(layer)


class RawImages(_Source):
    """Images in raw HDF5 files.

    Args:
        files: the raw files, oldest first.
        setup: says how CCDs are numbered; that of the camera model without it.
    """

    kind = "hdf5"

    def __init__(self, files: Sequence[Path], setup: Mapping[str, Any] | None) -> None:
        super().__init__(files)
        model = camera_model()
        self._bin_to_id = ccd_numbering(setup).bin_to_id
        self._twos_complement = model == "em"
        self._right_side = _right_side(setup) or ("E" if LEFT_SIDE[model] == "F" else "F")
        self._last: tuple[tuple[Path, int], dict[Key, SideImage]] | None = None

    def exposures(self) -> dict[Key, list[Exposure]]:
        """Returns what the files hold."""
        found: dict[Key, list[Exposure]] = {}
        for path in self.files:
            with get_file(path) as file:
                for frame in frame_numbers(file):
                    if not packet_count(file, frame):
                        continue
                    time = get_timestamp(file, frame)
                    for key in self._sides(file, frame):
                        found.setdefault(key, []).append(Exposure(path, frame, time))
        return found

    def _sides(self, file: h5py.File, frame: int) -> list[Key]:
        """Returns which CCD sides a frame holds: sides alternate from packet to packet, a few of them tell."""
        count = min(packet_count(file, frame), _SAMPLE)
        sample = [np.asarray(file[f"{frame}/data/{number}"][:HEADER_SIZE]) for number in range(count)]
        headers = decode_headers([header.data for header in sample if header.size == HEADER_SIZE])
        pairs = zip(headers["ccd_number"].tolist(), headers["ccd_side"].tolist(), strict=True)
        return sorted({(self._bin_to_id[code], CCDSide(side).name) for code, side in pairs})

    def read(self, exposure: Exposure, key: Key, product: str) -> Pixels:
        """Returns one product of one side; the frame that was read last is kept."""
        image = self._frame(exposure.path, exposure.index)[key]
        pixels = {
            IMAGE: image.image,
            PARALLEL_OVERSCAN: image.parallel_overscan,
            SERIAL_PRESCAN: image.serial_prescan,
            SERIAL_OVERSCAN: image.serial_overscan,
        }[product]
        if not pixels.size:
            raise LookupError(f"{exposure.path.name}, frame {exposure.index}: {product} was not read out")
        return pixels

    def _frame(self, path: Path, frame: int) -> dict[Key, SideImage]:
        if self._last is None or self._last[0] != (path, frame):
            with get_file(path) as file:
                images = read_images(file, frame, self._bin_to_id, self._twos_complement)
            sides = {(image.ccd, image.side): image.in_ccd_frame(self._right_side) for image in images}
            self._last = ((path, frame), sides)
        return self._last[1]


def open_images(observation: Observation) -> Images:
    """Returns the images of an observation: those of its FITS cubes, of its raw files when it has no cubes."""
    cubes = [path for path in observation.fits_files if not path.name.endswith("_images.fits")]
    if cubes:
        return Images(observation.obsid, FITSImages(cubes))
    try:
        setup: Mapping[str, Any] | None = observation.setup
    except (LookupError, SetupError, OSError):
        setup = None
    here = [path for path in observation.raw_files if path.exists()]
    return Images(observation.obsid, RawImages(here, setup))


def _right_side(setup: Mapping[str, Any] | None) -> str:
    node: Any = setup
    for key in ("camera", "fee", "ccd_sides", "right"):
        node = node.get(key) if isinstance(node, Mapping) else None
    return str(node or "")


def _date_obs(header: Any) -> float:
    try:
        return unix_time(str(header.get("DATE-OBS", "")))
    except ValueError:
        return float("nan")
