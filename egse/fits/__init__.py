"""FITS cubes of the camera's images: builder, generator process and its client.

Names are loaded when they are used, so that a script that only asks for cubes (`FITSGenProxy`) loads neither astropy nor HDF5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egse.lazy import lazy_names

if TYPE_CHECKING:
    from egse.fits.build import existing_cubes, make_cubes
    from egse.fits.camera import CameraFacts
    from egse.fits.cube import CubeWriter
    from egse.fits.interface import FITSGenInterface, FITSGenProxy
    from egse.fits.plan import CubePlan, Exposure, plan_cubes

_MODULES = {
    "CameraFacts": "camera",
    "CubePlan": "plan",
    "CubeWriter": "cube",
    "Exposure": "plan",
    "FITSGenInterface": "interface",
    "FITSGenProxy": "interface",
    "existing_cubes": "build",
    "make_cubes": "build",
    "plan_cubes": "plan",
}

__all__ = [
    "CameraFacts",
    "CubePlan",
    "CubeWriter",
    "Exposure",
    "FITSGenInterface",
    "FITSGenProxy",
    "existing_cubes",
    "make_cubes",
    "plan_cubes",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
