"""Commands of the FITS generator and its client."""

from __future__ import annotations

from egse.command import dynamic_interface
from egse.proxy import DynamicProxy

SETTINGS = "FITS Generator Control Server"


class FITSGenInterface:
    """What the FITS generator does (ICD of the storage formats, section 9.1)."""

    @dynamic_interface
    def make_cubes(self, obsid: str) -> list[str]:
        """Makes the FITS cubes of an observation, running or closed, that are not there yet.

        Waits for raw files that are still being written. A running observation gets the cubes of what it has so far; after it is
        sealed, cubes are added as supplements.

        Args:
            obsid: the observation, in any form: "CSL1_00084_01151", "01151_CSL1", "1151".

        Returns:
            Paths of all cubes of the observation, old and new.

        Raises:
            LookupError: when there is no such observation.
            StorageError: when the storage manager does not take a cube.
        """


class FITSGenProxy(DynamicProxy, FITSGenInterface):
    """Client of the FITS generator.

    Args:
        endpoint: `tcp://host:port` of its commanding port; from the settings when None.
        timeout: how long a call waits [s]; a cycle of full frames takes some seconds.
    """

    settings_name = SETTINGS
    server_name = "fitsgen"

    def __init__(self, *, endpoint: str | None = None, timeout: float = 300.0) -> None:
        super().__init__(endpoint=endpoint, timeout=timeout)
