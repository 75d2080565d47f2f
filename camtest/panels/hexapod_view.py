"""What the panel of a hexapod draws: lamps of its states, the matrix of its actuators, and a sketch of the platform."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from camtest.panels.board import Lamp
from camtest.panels.static_form import COLOURS
from egse.coordinates.rotations import apply, from_vector, rotation
from egse.hexapod.symetrie.kinematics import Legs
from egse.hexapod.symetrie.states import ALPHA_ACTUATOR, ALPHA_GENERAL

WARNINGS = frozenset(
    {"Brake control output", "Following error (warning)", "Encoders power off", "Limit switches power off", "Brake on",
     "Motion restricted", "Brake control", "Following error warning", "Home switch", "Home hardware input"}
)  # fmt: skip
"""States that are orange when they are set; those with `error`, `limit`, `emergency`, `fault` or `bounds` are red."""
_BAD_WORDS = ("error", "limit", "emergency", "fault", "bounds")
LABELS = {
    "System initialized": "System Initialized",
    "Control loop on servo motors active": "Amplifier enabled",
    "Brake control output": "Brake on",
    "Emergency stop button engaged": "Emergency stop",
    "Following error (warning)": "Warning FE",
    "Following error": "Fatal FE",
    "Actuator out of bounds error": "Actuator Limit Error",
    "Amplifier error": "Amplifier Error",
    "R/W flash memory error": "R/W memory error",
}
"""What stands on the lamps of general states whose names are long."""
SIZE = 320
"""Width and height of the sketch [px]."""
VIEW = rotation(-65.0, 0.0, 0.0) @ rotation(0.0, 0.0, 30.0)
"""From above and in front."""


def colour_of(name: str, is_set: bool) -> str:
    """Returns the state of a lamp: ok (green), warn (orange), bad (red) or off."""
    if not is_set:
        return "off"
    if name in WARNINGS:
        return "warn"
    return "bad" if any(word in name.lower() for word in _BAD_WORDS) else "ok"


def bits_of(state: Sequence[Any], names: Sequence[str]) -> dict[str, bool]:
    """Returns the states of a hexapod or of an actuator by name, as either kind of controller reports them.

    Args:
        state: Alpha: number and texts; Alpha+: states by name and as a list.
        names: of the bits of the number.
    """
    first = state[0]
    if isinstance(first, dict):
        return {name: bool(value) for name, value in first.items()}
    return {name: bool(first >> bit & 1) for bit, name in enumerate(names)}


def lamps_of(state: Sequence[Any]) -> list[Lamp]:
    """Returns a lamp for each general state, in the order of the bits."""
    return [
        Lamp(LABELS.get(name, name), colour_of(name, is_set), "yes" if is_set else "no")
        for name, is_set in bits_of(state, ALPHA_GENERAL).items()
    ]


def matrix_html(states: Sequence[Sequence[Any]]) -> str:
    """Returns the states of the six actuators as a table of square lamps."""
    columns = [bits_of(state, ALPHA_ACTUATOR) for state in states]
    if not columns:
        return "<i>nothing is known yet</i>"
    head = "".join(f"<th>{number}</th>" for number in range(1, len(columns) + 1))
    rows = []
    for name in columns[0]:
        cells = "".join(_cell(name, number, column[name]) for number, column in enumerate(columns, start=1))
        rows.append(f'<tr><th style="text-align:left">{escape(name)}</th>{cells}</tr>')
    return f'<table class="camtest-matrix"><tr><th>Actuator</th>{head}</tr>{"".join(rows)}</table>'


def _cell(name: str, number: int, is_set: bool) -> str:
    text = f"{name}, actuator {number}: {'yes' if is_set else 'no'}"
    colour = COLOURS[colour_of(name, is_set)]
    sign = "\N{BLACK SQUARE}" if is_set else "\N{WHITE SQUARE}"
    return f'<td style="text-align:center;color:{colour}" title="{text}" aria-label="{text}">{sign}</td>'


def sketch(vector: Sequence[float], legs: Legs) -> str:
    """Returns a drawing of base, legs and platform, to scale, seen from above and in front.

    Args:
        vector: the platform in the machine frame [mm, deg].
        legs: geometry of the hexapod.

    Returns:
        SVG.
    """
    base, joints = legs.joints
    platform = apply(from_vector(vector), joints)
    scale = 0.8 * SIZE / (2 * legs.base_radius)

    def flat(points: Any) -> list[tuple[float, float]]:
        seen = (points - [0.0, 0.0, -legs.height / 2]) @ VIEW.T
        return [(round(SIZE / 2 + scale * x, 1), round(SIZE / 2 - scale * y, 1)) for x, y, _ in seen]

    lower, upper = flat(base), flat(platform)
    lines = "".join(
        f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="#5d6d7e" stroke-width="4"/>'
        for (x0, y0), (x1, y1) in zip(lower, upper, strict=True)
    )
    said = ", ".join(f"{name} {value:.4f}" for name, value in zip("xyz", vector[:3], strict=True))
    return (
        f'<svg role="img" aria-label="hexapod, platform at {said} mm" width="{SIZE}" height="{SIZE}" '
        f'viewBox="0 0 {SIZE} {SIZE}">{_plate(lower, "#aeb6bf")}{lines}{_plate(upper, "#2e86c1")}</svg>'
    )


def _plate(points: Sequence[tuple[float, float]], colour: str) -> str:
    corners = " ".join(f"{x},{y}" for x, y in points)
    return f'<polygon points="{corners}" fill="{colour}" fill-opacity="0.6" stroke="#1b2631"/>'
