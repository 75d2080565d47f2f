"""What the FITS files need to know about the camera, from the Setup where there is one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from egse.fee import FM_NUMBERING, camera_model, ccd_numbering
from egse.fee.geometry import LEFT_SIDE, PIXEL_SIZE
from egse.setup.paths import value_at as at

_ORIENTATION = (180.0, 270.0, 0.0, 90.0)
"""Orientation of CCD 1..4 in the focal plane [deg], the same for all models (FEE operations reference, section 4)."""


@dataclass(frozen=True)
class CameraFacts:
    """Geometry and names of one camera.

    Attributes:
        camera_id: name of the camera, empty when unknown.
        setup_id: id of the Setup, None when unknown.
        bin_to_id: CCD code of the FEE 0..3 to the CGSE's number 1..4.
        right_side: side that is the right half of a CCD with the register at the bottom.
        twos_complement: True for the EM's pixels.
        pixel_size: size of a pixel [mm].
        orientation: of CCD 1..4 with respect to the focal plane, counter-clockwise [deg].
        origin_offset: of CCD 1..4, position of the focal plane's origin in the CCD's frame (x, y) [mm]; None when unknown.
        focal_length: focal length [mm]; None when unknown.
    """

    camera_id: str = ""
    setup_id: int | None = None
    bin_to_id: tuple[int, ...] = FM_NUMBERING.bin_to_id
    right_side: str = "E"
    twos_complement: bool = False
    pixel_size: float = PIXEL_SIZE
    orientation: tuple[float, ...] = _ORIENTATION
    origin_offset: tuple[tuple[float, float], ...] | None = None
    focal_length: float | None = None

    @classmethod
    def from_setup(cls, setup: Mapping[str, Any] | None, setup_id: int | None = None) -> Self:
        """Reads `camera.ID`, `camera.ccd`, `camera.fee` and `camera.fov.focal_length` of a Setup.

        Args:
            setup: the Setup; what it lacks, or all of it for None, is taken from the built-in values of the camera model.
            setup_id: id of the Setup.
        """
        model = camera_model()
        left = LEFT_SIDE[model]
        right = at(setup, "camera.fee.ccd_sides.right", "E" if left == "F" else "F")
        offsets_x, offsets_y = (
            at(setup, "camera.ccd.origin_offset_x"),
            at(setup, "camera.ccd.origin_offset_y"),
        )
        focal_length = at(setup, "camera.fov.focal_length")
        return cls(
            camera_id=str(at(setup, "camera.ID", "")),
            setup_id=setup_id,
            bin_to_id=ccd_numbering(setup).bin_to_id,
            right_side=str(right),
            twos_complement=model == "em",
            pixel_size=float(at(setup, "camera.ccd.pixel_size", PIXEL_SIZE)),
            orientation=tuple(float(angle) for angle in at(setup, "camera.ccd.orientation", _ORIENTATION)),
            origin_offset=_pairs(offsets_x, offsets_y),
            focal_length=None if focal_length is None else float(focal_length),
        )

    def rotation(self, ccd: int) -> tuple[float, float, float]:
        """Returns orientation [deg], its cosine and its sine for CCD 1..4."""
        angle = self.orientation[ccd - 1]
        radians = math.radians(angle)
        return angle, round(math.cos(radians), 15), round(math.sin(radians), 15)

    def origin(self, ccd: int) -> tuple[float, float] | None:
        """Returns where the origin of a CCD is in the focal plane (x, y) [mm], None when unknown."""
        if self.origin_offset is None:
            return None
        x, y = self.origin_offset[ccd - 1]
        _, cos, sin = self.rotation(ccd)
        return -x * cos + y * sin, -x * sin - y * cos


def _pairs(x: Any, y: Any) -> tuple[tuple[float, float], ...] | None:
    if x is None or y is None:
        return None
    return tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))
