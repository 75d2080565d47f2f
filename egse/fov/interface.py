"""What `fov_hk` can be asked and told."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, Unit, dynamic_interface
from egse.event import EventInterface
from egse.proxy import DynamicProxy
from egse.security.roles import observe

SETTINGS = "FOV Control Server"
NAME = "fov_hk"

Theta = Annotated[float, Range(0, 90), Unit("deg")]
Phi = Annotated[float, Range(-360, 360), Unit("deg")]
Millimetres = Annotated[float, Unit("mm")]


class FOVInterface(EventInterface):
    """Source position and visited positions."""

    @dynamic_interface
    def set_commanded_position(self, theta: Theta, phi: Phi) -> None:
        """Tells where the source was sent; building blocks do that before they move it.

        Args:
            theta: distance to the optical axis.
            phi: counter-clockwise from +x of the focal plane.
        """

    @observe
    @dynamic_interface
    def get_source_position(self) -> dict[str, Any]:
        """Returns where the source is and where it was sent.

        Returns:
            act_theta, act_phi, cmd_theta, cmd_phi [deg]; None for what is not known: actual ones when the mechanisms do not
            answer, commanded ones when nothing has been commanded yet.
        """

    @dynamic_interface
    def visit(self, x: Millimetres, y: Millimetres) -> None:
        """Marks a place as visited.

        Args:
            x, y: place in the focal plane.
        """

    @observe
    @dynamic_interface
    def get_visited_positions(self) -> list[list[float]]:
        """Returns the places that were visited, oldest first: x, y in the focal plane [mm]."""

    @dynamic_interface
    def undo_visit(self) -> None:
        """Forgets the place that was marked last; nothing happens when there is none."""

    @dynamic_interface
    def clear_visited_positions(self) -> None:
        """Forgets all visited places."""


class FOVProxy(DynamicProxy, FOVInterface):
    """Client of `fov_hk`."""

    settings_name = SETTINGS
    server_name = NAME
