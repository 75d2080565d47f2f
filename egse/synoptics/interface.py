"""Commands of the synoptics manager and the proxy that sends them."""

from __future__ import annotations

from typing import Any

from egse.command import dynamic_interface
from egse.event import EventInterface
from egse.proxy import DynamicProxy
from egse.response import register_error
from egse.security.roles import observe

COMMON, SITE = "common", "th"
"""Housekeeping of what all test houses have, and of a test house's own devices."""


@register_error
class SynopticsError(Exception):
    """Housekeeping that cannot become synoptics; the text names the parameters and the TM dictionary."""


class SynopticsManagerInterface(EventInterface):
    """Commands of the synoptics manager (manual, sections 5.5 and 5.6)."""

    @dynamic_interface
    def store_common_synoptics(self, hk: dict[str, Any]) -> int:
        """Takes over housekeeping of what all test houses have: N-FEE, TCS, source position.

        Args:
            hk: values by EGSE-conform name, with `timestamp` (UTC text) when they are not of this moment. None or nan stand
                for "no valid value".

        Returns:
            How many values were taken over; a row with all current synoptics is stored then.

        Raises:
            SynopticsError: when no Setup is loaded, or for names that are no common synoptics in the TM dictionary and
                values that do not fit; all others are taken over nevertheless.
        """

    @dynamic_interface
    def store_th_synoptics(self, hk: dict[str, Any]) -> int:
        """Takes over housekeeping of a test house's own devices: facility DAQs, OGSE.

        Args:
            hk: as for `store_common_synoptics`; the names are those in the column `Origin of synoptics at ...`.

        Returns:
            How many values were taken over; a row with all current synoptics is stored then.

        Raises:
            SynopticsError: as for `store_common_synoptics`.
        """

    @observe
    @dynamic_interface
    def get_synoptics(self) -> dict[str, Any]:
        """Returns all synoptics by name; None for one that has no current value: never seen, or not renewed in time."""

    @observe
    @dynamic_interface
    def get_origins(self) -> dict[str, list[str]]:
        """Returns the names of the housekeeping that is wanted.

        Returns:
            Keys `common` and `th`; both are empty while no Setup is loaded. Raw values without a calibration in the TM
            dictionary are not wanted.
        """


class SynopticsManagerProxy(DynamicProxy, SynopticsManagerInterface):
    """Client of the synoptics manager; a control server uses a `SynopticsForwarder` for its housekeeping."""

    settings_name = "Synoptics Manager Control Server"
    server_name = "syn_cs"
