"""What the FITS files need to know about the camera, from the Setup where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from egse.coordinates.focalplane import CCDGeometry
from egse.fee import FM_NUMBERING, camera_model, ccd_numbering
from egse.fee.geometry import LEFT_SIDE
from egse.setup.paths import value_at


@dataclass(frozen=True)
class CameraFacts(CCDGeometry):
    """Geometry and names of one camera.

    Attributes:
        camera_id: name of the camera, empty when unknown.
        setup_id: id of the Setup, None when unknown.
        bin_to_id: CCD code of the FEE 0..3 to the CGSE's number 1..4.
        right_side: side that is the right half of a CCD with the register at the bottom.
        twos_complement: True for the EM's pixels.
    """

    camera_id: str = ""
    setup_id: int | None = None
    bin_to_id: tuple[int, ...] = FM_NUMBERING.bin_to_id
    right_side: str = "E"
    twos_complement: bool = False

    @classmethod
    def from_setup(cls, setup: Mapping[str, Any] | None, setup_id: int | None = None) -> Self:
        """Reads `camera.ID`, `camera.ccd`, `camera.fee` and `camera.fov.focal_length` of a Setup.

        Args:
            setup: the Setup; what it lacks, or all of it for None, is taken from the built-in values of the camera model.
            setup_id: id of the Setup.
        """
        model = camera_model()
        left = LEFT_SIDE[model]
        right = value_at(setup, "camera.fee.ccd_sides.right", "E" if left == "F" else "F")
        return cls(
            camera_id=str(value_at(setup, "camera.ID", "")),
            setup_id=setup_id,
            bin_to_id=ccd_numbering(setup).bin_to_id,
            right_side=str(right),
            twos_complement=model == "em",
            **cls.geometry_of(setup),
        )
