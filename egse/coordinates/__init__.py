"""Where things are: in the focal plane, on the CCDs, in the field of view, and by the mechanisms that point the source.

    focal_plane_to_ccd_coordinates(10.0, -20.0)      # row, column, CCD
    focal_plane_coordinates_to_angles(10.0, -20.0)   # theta, phi

Distances are in mm, angles in degrees; theta is the distance to the optical axis, phi counts counter-clockwise from +x of the
focal plane. CCDs have the numbers 1 to 4 of the CGSE.
"""

from typing import TYPE_CHECKING

from egse.lazy import lazy_names

if TYPE_CHECKING:
    from egse.coordinates.avoidance import AvoidanceError, AvoidanceVolume, StageLimits
    from egse.coordinates.focalplane import (
        FocalPlane,
        angles_to_focal_plane_coordinates,
        ccd_to_focal_plane_coordinates,
        distorted_to_undistorted_focal_plane_coordinates,
        focal_plane_coordinates_to_angles,
        focal_plane_to_ccd_coordinates,
        undistorted_to_distorted_focal_plane_coordinates,
    )
    from egse.coordinates.pointing import StagePositions, StagesGeometry

__all__ = [
    "AvoidanceError",
    "AvoidanceVolume",
    "FocalPlane",
    "StageLimits",
    "StagePositions",
    "StagesGeometry",
    "angles_to_focal_plane_coordinates",
    "ccd_to_focal_plane_coordinates",
    "distorted_to_undistorted_focal_plane_coordinates",
    "focal_plane_coordinates_to_angles",
    "focal_plane_to_ccd_coordinates",
    "undistorted_to_distorted_focal_plane_coordinates",
]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("AvoidanceError", "AvoidanceVolume", "StageLimits"), "avoidance"),
        **dict.fromkeys(("StagePositions", "StagesGeometry"), "pointing"),
        **dict.fromkeys(
            (
                "FocalPlane",
                "angles_to_focal_plane_coordinates",
                "ccd_to_focal_plane_coordinates",
                "distorted_to_undistorted_focal_plane_coordinates",
                "focal_plane_coordinates_to_angles",
                "focal_plane_to_ccd_coordinates",
                "undistorted_to_distorted_focal_plane_coordinates",
            ),
            "focalplane",
        ),
    },
    __all__,
)
