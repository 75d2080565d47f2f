"""The focal plane as a picture: field of view, CCDs with their readout registers, the source, visited positions (SVG, no script)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from egse.coordinates import FocalPlane
from egse.coordinates.focalplane import CCDS, COLUMNS, ROWS

SIZE = 440
"""Size on the screen [points]."""
EXTENT = 95.0
"""From the optical axis to the edge of the picture [mm]."""
FIELD_RADIUS = 18.88
"""Radius of the field of view of a PLATO camera [deg]."""

Point = Sequence[float]


def field_map(
    plane: FocalPlane,
    visited: Iterable[Point] = (),
    actual: Point | None = None,
    commanded: Point | None = None,
) -> str:
    """Returns the focal plane as SVG, x to the right and y up.

    Args:
        plane: of the camera.
        visited: x, y [mm] of visited places, red dots.
        actual: x, y [mm] of the image of the source, a cross.
        commanded: x, y [mm] of where it was sent, a ring.
    """
    radius = plane.image_of(FIELD_RADIUS, 0.0)[0]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" role="img" '
        f'viewBox="{-EXTENT} {-EXTENT} {2 * EXTENT} {2 * EXTENT}" style="max-width:100%;background:#fff;color:#222" '
        'aria-label="focal plane with CCDs, source and visited positions">',
        f'<circle r="{radius:.2f}" fill="#eef3f8" stroke="#5d7187" stroke-width=".4"/>',
        *(_ccd(plane, ccd) for ccd in CCDS),
        _axes(),
        *(
            f'<circle class="visited" cx="{x:.3f}" cy="{-y:.3f}" r="1.3" fill="#c0392b"><title>x {x:.3f}, y {y:.3f} mm</title></circle>'
            for x, y in visited
        ),
    ]
    if commanded is not None:
        x, y = commanded
        parts.append(
            f'<circle class="commanded" cx="{x:.3f}" cy="{-y:.3f}" r="4" fill="none" stroke="#b9770e" stroke-width="1">'
            f"<title>commanded: x {x:.3f}, y {y:.3f} mm</title></circle>"
        )
    if actual is not None:
        x, y = actual
        parts.append(
            f'<path class="actual" d="M {x - 5:.3f} {-y:.3f} h 10 M {x:.3f} {-y - 5:.3f} v 10" stroke="#1e8449" '
            f'stroke-width="1.4"><title>actual: x {x:.3f}, y {y:.3f} mm</title></path>'
        )
    return "".join([*parts, "</svg>"])


def _ccd(plane: FocalPlane, ccd: int) -> str:
    """Returns the frame of a CCD, its register as a thick edge, its number in the middle."""
    corners = [(-0.5, -0.5), (-0.5, COLUMNS - 0.5), (ROWS - 0.5, COLUMNS - 0.5), (ROWS - 0.5, -0.5)]
    points = [plane.ccd_to_focal_plane(row, column, ccd) for row, column in corners]
    outline = " ".join(f"{x:.2f},{-y:.2f}" for x, y in points)
    (x1, y1), (x2, y2) = points[:2]
    x, y = plane.ccd_to_focal_plane(ROWS / 2, COLUMNS / 2, ccd)
    return (
        f'<polygon points="{outline}" fill="#dfe7ef" fill-opacity=".7" stroke="#34495e" stroke-width=".5"/>'
        f'<line x1="{x1:.2f}" y1="{-y1:.2f}" x2="{x2:.2f}" y2="{-y2:.2f}" stroke="#34495e" stroke-width="2"/>'
        f'<text x="{x:.2f}" y="{-y + 3:.2f}" font-size="9" text-anchor="middle" fill="#7f8c9a">{ccd}</text>'
    )


def _axes() -> str:
    end = EXTENT - 4
    return (
        f'<g stroke="#888" stroke-width=".3"><line x1="{-end}" y1="0" x2="{end}" y2="0"/>'
        f'<line x1="0" y1="{end}" x2="0" y2="{-end}"/></g>'
        f'<g font-size="5" fill="#555"><text x="{end - 2}" y="-2">x</text><text x="2" y="{-end + 3}">y</text></g>'
    )
