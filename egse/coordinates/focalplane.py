"""Focal plane, CCDs and field angles, with the distortion of the optics.

Frames (FEE operations reference, section 4): the focal plane in mm, its origin in the middle of the four CCDs, z on the optical
axis; `CCDn_PIX` in pixels, origin at the centre of the pixel at the lower left with the register at the bottom, x = column,
y = row. The keywords of the FITS files (`egse.fits.headers`) follow from the same numbers.

Distortion: a source at theta is imaged at the distance f r (1 + k1 r^2 + k2 r^4 + k3 r^6) from the optical axis, with
r = tan(theta); without distortion it would be f r.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from egse.setup import Setup, get_setup, on_active_setup
from egse.setup.paths import value_at

PIXEL_SIZE: Final = 0.018
"""Size of a pixel [mm]."""
ROWS: Final = 4510
"""Rows of the image area, 0..4509."""
COLUMNS: Final = 4510
"""Light-sensitive columns of a CCD, 0..4509."""
FOCAL_LENGTH: Final = 247.52
"""Focal length of the nominal camera [mm] (operations reference, section 12.4)."""
ORIENTATION: Final = (180.0, 270.0, 0.0, 90.0)
"""Orientation of CCD 1..4 in the focal plane [deg], the same for all models (FEE operations reference, section 4)."""
ORIGIN_OFFSET: Final = ((-1.3, 82.48),) * 4
"""Position of the focal plane's origin in the frames of CCD 1..4 of the nominal camera [mm]."""

DISTORTION: Final = (0.316257210577, 0.066373219688, 0.372589221219)
INVERSE_DISTORTION: Final = (-0.317143032936, 0.242638513347, -0.459260203502)
"""Distortion of the nominal camera and the polynomial of the way back, as in public simulations of the PLATO cameras."""

CCDS = (1, 2, 3, 4)
NEWTON_STEPS = 20
Triple = tuple[float, float, float]
CCDPosition = tuple[float, float, int] | tuple[None, None, None]
"""Row, column and CCD; three None beside the CCDs."""


@dataclass(frozen=True, kw_only=True)
class CCDGeometry:
    """Where the CCDs are in the focal plane.

    Attributes:
        pixel_size: size of a pixel [mm].
        orientation: of CCD 1..4 with respect to the focal plane, counter-clockwise [deg].
        origin_offset: of CCD 1..4, position of the focal plane's origin in the CCD's frame (x, y) [mm]; None when unknown.
        focal_length: focal length [mm]; None when unknown.
    """

    pixel_size: float = PIXEL_SIZE
    orientation: tuple[float, ...] = ORIENTATION
    origin_offset: tuple[tuple[float, float], ...] | None = None
    focal_length: float | None = None

    @staticmethod
    def geometry_of(setup: Mapping[str, Any] | None) -> dict[str, Any]:
        """Reads the attributes out of `camera.ccd` and `camera.fov.focal_length` of a Setup."""
        x, y = (value_at(setup, f"camera.ccd.origin_offset_{axis}") for axis in "xy")
        focal_length = value_at(setup, "camera.fov.focal_length")
        known = x is not None and y is not None
        return {
            "pixel_size": float(value_at(setup, "camera.ccd.pixel_size", PIXEL_SIZE)),
            "orientation": tuple(float(a) for a in value_at(setup, "camera.ccd.orientation", ORIENTATION)),
            "origin_offset": tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))
            if known
            else None,
            "focal_length": None if focal_length is None else float(focal_length),
        }

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


@dataclass(frozen=True, kw_only=True)
class FocalPlane(CCDGeometry):
    """The focal plane of one camera; without arguments that of the nominal one.

    Attributes:
        distortion: k1, k2, k3 of the distortion.
        inverse_distortion: the same for the way back, where the first guess comes from.
    """

    origin_offset: tuple[tuple[float, float], ...] = ORIGIN_OFFSET
    focal_length: float = FOCAL_LENGTH
    distortion: Triple = DISTORTION
    inverse_distortion: Triple = INVERSE_DISTORTION

    @classmethod
    def from_setup(cls, setup: Mapping[str, Any] | None) -> Self:
        """Reads `camera.ccd` and `camera.fov` of a Setup; what it lacks is as in the nominal camera."""
        known = {name: value for name, value in cls.geometry_of(setup).items() if value is not None}
        for name in ("distortion", "inverse_distortion"):
            coefficients = value_at(setup, f"camera.fov.{name}_coefficients")
            if coefficients is not None:
                k1, k2, k3 = coefficients
                known[name] = (float(k1), float(k2), float(k3))
        return cls(**known)

    # -- CCDs

    def ccd_to_focal_plane(self, row: float, column: float, ccd: int) -> tuple[float, float]:
        """Returns where a place on a CCD is in the focal plane.

        Args:
            row, column: in pixels; whole numbers are the centres of pixels.
            ccd: CCD number, 1..4.

        Returns:
            x and y [mm].

        Raises:
            ValueError: when there is no such CCD.
        """
        if ccd not in CCDS:
            raise ValueError(f"CCDs have the numbers 1 to 4, not {ccd!r}")
        offset_x, offset_y = self.origin_offset[ccd - 1]
        x, y = column * self.pixel_size - offset_x, row * self.pixel_size - offset_y
        _, cos, sin = self.rotation(ccd)
        return x * cos - y * sin, x * sin + y * cos

    def focal_plane_to_ccd(self, x: float, y: float) -> CCDPosition:
        """Returns row, column and CCD at a place in the focal plane [mm], three None beside the CCDs."""
        for ccd in CCDS:
            row, column = self.pixel_of(x, y, ccd)
            if -0.5 <= row < ROWS - 0.5 and -0.5 <= column < COLUMNS - 0.5:
                return row, column, ccd
        return None, None, None

    def pixel_of(self, x: float, y: float, ccd: int) -> tuple[float, float]:
        """Returns row and column, in the frame of a CCD, of a place in the focal plane [mm] that may be beside it."""
        _, cos, sin = self.rotation(ccd)
        offset_x, offset_y = self.origin_offset[ccd - 1]
        column = (x * cos + y * sin + offset_x) / self.pixel_size
        row = (-x * sin + y * cos + offset_y) / self.pixel_size
        return row, column

    # -- distortion

    def distorted(self, x: float, y: float) -> tuple[float, float]:
        """Returns where the optics image what would be at x, y [mm] without distortion."""
        return _scaled(x, y, self.distortion, self.focal_length)

    def undistorted(self, x: float, y: float) -> tuple[float, float]:
        """Returns where an image at x, y [mm] would be without distortion; the exact inverse of `distorted`."""
        radius = math.hypot(x, y) / self.focal_length
        if not radius or not any(self.distortion):
            return x, y
        guess = radius * _factor(radius, self.inverse_distortion)
        for _ in range(NEWTON_STEPS):
            k1, k2, k3 = self.distortion
            slope = 1 + 3 * k1 * guess**2 + 5 * k2 * guess**4 + 7 * k3 * guess**6
            step = (guess * _factor(guess, self.distortion) - radius) / slope
            guess -= step
            if abs(step) < 1e-14:
                break
        return x * guess / radius, y * guess / radius

    # -- field angles

    def angles_to_undistorted(self, theta: float, phi: float) -> tuple[float, float]:
        """Returns where a source at theta, phi [deg] would be imaged without distortion [mm]."""
        radius = self.focal_length * math.tan(math.radians(theta))
        return radius * math.cos(math.radians(phi)), radius * math.sin(math.radians(phi))

    def undistorted_to_angles(self, x: float, y: float) -> tuple[float, float]:
        """Returns theta, phi [deg] of a place x, y [mm] without distortion; phi in (-180, 180]."""
        theta = math.degrees(math.atan(math.hypot(x, y) / self.focal_length))
        return theta, math.degrees(math.atan2(y, x))

    def image_of(self, theta: float, phi: float) -> tuple[float, float]:
        """Returns where the image of a source at theta, phi [deg] is in the focal plane [mm]."""
        return self.distorted(*self.angles_to_undistorted(theta, phi))

    def source_of(self, x: float, y: float) -> tuple[float, float]:
        """Returns theta, phi [deg] of the source whose image is at x, y [mm]."""
        return self.undistorted_to_angles(*self.undistorted(x, y))


def _factor(radius: float, coefficients: Sequence[float]) -> float:
    k1, k2, k3 = coefficients
    square = radius * radius
    return 1.0 + square * (k1 + square * (k2 + square * k3))


def _scaled(x: float, y: float, coefficients: Sequence[float], focal_length: float) -> tuple[float, float]:
    factor = _factor(math.hypot(x, y) / focal_length, coefficients)
    return x * factor, y * factor


# -- by the loaded Setup (operations reference, section 11) ------------------------------------------------------------------

_loaded: Setup | None = None


def _remember(setup: Setup) -> None:
    global _loaded
    _loaded = setup


on_active_setup(_remember)


def loaded_setup() -> Setup:
    """Returns the Setup that this process works with: that of its last `load_setup()`, else the loaded one.

    Raises:
        ConnectionError: when the configuration manager is not there.
        SetupError: when no Setup is loaded.
    """
    if _loaded is None:
        _remember(get_setup())
    return _loaded if _loaded is not None else get_setup()


def _plane(setup: Mapping[str, Any] | None) -> FocalPlane:
    return FocalPlane.from_setup(loaded_setup() if setup is None else setup)


def focal_plane_to_ccd_coordinates(x: float, y: float, setup: Mapping[str, Any] | None = None) -> CCDPosition:
    """Returns where a place in the focal plane is on the CCDs.

    Args:
        x, y: place in the focal plane [mm].
        setup: the Setup; that of the session when None.

    Returns:
        Row, column [pixels] and CCD; three None when it is on none of them.
    """
    return _plane(setup).focal_plane_to_ccd(x, y)


def ccd_to_focal_plane_coordinates(
    row: float, column: float, ccd_code: int, setup: Mapping[str, Any] | None = None
) -> tuple[float, float]:
    """Returns where a place on a CCD is in the focal plane.

    Args:
        row, column: in pixels.
        ccd_code: CCD number, 1..4.
        setup: the Setup; that of the session when None.

    Returns:
        x and y [mm].

    Raises:
        ValueError: when there is no such CCD.
    """
    return _plane(setup).ccd_to_focal_plane(row, column, ccd_code)


def focal_plane_coordinates_to_angles(
    x: float, y: float, setup: Mapping[str, Any] | None = None
) -> tuple[float, float]:
    """Returns the field angles of an (undistorted) place in the focal plane.

    Args:
        x, y: place in the focal plane, without distortion [mm].
        setup: the Setup; that of the session when None.

    Returns:
        theta and phi [deg].
    """
    return _plane(setup).undistorted_to_angles(x, y)


def angles_to_focal_plane_coordinates(
    theta: float, phi: float, setup: Mapping[str, Any] | None = None
) -> tuple[float, float]:
    """Returns the (undistorted) place in the focal plane of field angles.

    Args:
        theta, phi: field angles [deg].
        setup: the Setup; that of the session when None.

    Returns:
        x and y, without distortion [mm].
    """
    return _plane(setup).angles_to_undistorted(theta, phi)


def undistorted_to_distorted_focal_plane_coordinates(
    x: float, y: float, distortion_coefficients: Sequence[float], focal_length: float
) -> tuple[float, float]:
    """Returns where the optics image what would be at x, y without distortion.

    Args:
        x, y: without distortion [mm].
        distortion_coefficients: k1, k2, k3.
        focal_length: focal length [mm].

    Returns:
        x and y, distorted [mm].
    """
    return _scaled(x, y, distortion_coefficients, focal_length)


def distorted_to_undistorted_focal_plane_coordinates(
    x: float, y: float, inverse_distortion_coefficients: Sequence[float], focal_length: float
) -> tuple[float, float]:
    """Returns where an image would be without distortion, by the polynomial of the way back.

    Args:
        x, y: distorted [mm].
        inverse_distortion_coefficients: k1, k2, k3 of the way back.
        focal_length: focal length [mm].

    Returns:
        x and y, without distortion [mm].
    """
    return _scaled(x, y, inverse_distortion_coefficients, focal_length)
