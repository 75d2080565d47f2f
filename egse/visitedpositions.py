"""Marks places of the focal plane as visited (operations reference, section 11).

Each is shown as a red dot by `visited_positions_ui` and `fov_ui`. `fov_hk` keeps them; when it does not run, marking is silent.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from egse.coordinates.focalplane import FocalPlane, loaded_setup
from egse.fov.interface import FOVProxy

LOGGER = logging.getLogger(__name__)

PATIENCE = 2.0
"""So long is an answer waited for [s]."""


def visit_focal_plane_position(x: float, y: float) -> None:
    """Marks a place in the focal plane as visited.

    Args:
        x, y: where [mm].
    """
    try:
        with FOVProxy(timeout=PATIENCE) as fov:
            fov.visit(float(x), float(y))
    except (ConnectionError, TimeoutError) as exc:
        LOGGER.debug("nobody marks visited positions: %s", exc)


def visit_ccd_position(
    row: float, column: float, ccd_code: int, setup: Mapping[str, Any] | None = None
) -> None:
    """Marks a place on a CCD as visited.

    Args:
        row, column: in pixels.
        ccd_code: CCD number, 1..4.
        setup: the Setup; that of the session when None.

    Raises:
        ValueError: when there is no such CCD.
    """
    visit_focal_plane_position(*_plane(setup).ccd_to_focal_plane(row, column, ccd_code))


def visit_field_angles(theta: float, phi: float, setup: Mapping[str, Any] | None = None) -> None:
    """Marks the place of the image of a source as visited.

    Args:
        theta, phi: field angles of the source [deg].
        setup: the Setup; that of the session when None.
    """
    visit_focal_plane_position(*_plane(setup).image_of(theta, phi))


def _plane(setup: Mapping[str, Any] | None) -> FocalPlane:
    return FocalPlane.from_setup(loaded_setup() if setup is None else setup)
