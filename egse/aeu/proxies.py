"""Clients of the AEU's control servers, and what the units are called."""

from __future__ import annotations

from egse.aeu.awg_interface import AWGInterface
from egse.aeu.crio_interface import CRIOInterface
from egse.aeu.psu_interface import PSUInterface
from egse.proxy import DynamicProxy

PORTS = {"CRIO": 4000, **{f"PSU{n}": 4000 + n for n in range(1, 7)}, "AWG1": 4007, "AWG2": 4008}
"""Ports of the units when the settings name none."""


def settings_name(unit: str) -> str:
    """Returns the name of the settings block of a unit: CRIO, PSU1 to PSU6, AWG1, AWG2."""
    return f"AEU {unit} Control Server"


def server_name(unit: str) -> str:
    """Returns the name of the control server of a unit."""
    return f"aeu_{unit.lower()}_cs"


def unit_name(kind: str, device_id: int) -> str:
    """Returns the name of one of several identical units, `PSU2`.

    Raises:
        ValueError: when there is none of this number.
    """
    unit = f"{kind}{device_id}"
    if unit not in PORTS:
        known = ", ".join(name for name in PORTS if name.startswith(kind))
        raise ValueError(f"the AEU has no {unit}, only {known}")
    return unit


class _AEUProxy(DynamicProxy):
    """Client of the control server of one unit."""

    unit: str = ""

    def _serve(self, unit: str) -> None:
        self.unit = unit
        self.settings_name = settings_name(unit)
        self.server_name = server_name(unit)

    @property
    def name(self) -> str:
        """Name of the unit: CRIO, PSU2, AWG1."""
        return self.unit


class CRIOProxy(_AEUProxy, CRIOInterface):
    """Client of the control server of the cRIO.

    Args:
        endpoint, timeout: see `egse.proxy.Proxy`.
    """

    settings_name = settings_name("CRIO")
    server_name = server_name("CRIO")

    def __init__(self, *, endpoint: str | None = None, timeout: float = 10.0) -> None:
        super().__init__(endpoint=endpoint, timeout=timeout)
        self._serve("CRIO")


class PSUProxy(_AEUProxy, PSUInterface):
    """Client of the control server of a power supply.

    Args:
        device_id: 1 to 6; `device_args` in the Setup.
        endpoint, timeout: see `egse.proxy.Proxy`.
    """

    def __init__(self, device_id: int, *, endpoint: str | None = None, timeout: float = 10.0) -> None:
        super().__init__(endpoint=endpoint, timeout=timeout)
        self._serve(unit_name("PSU", device_id))


class AWGProxy(_AEUProxy, AWGInterface):
    """Client of the control server of a waveform generator.

    Args:
        device_id: 1 or 2; `device_args` in the Setup.
        endpoint, timeout: see `egse.proxy.Proxy`.
    """

    def __init__(self, device_id: int, *, endpoint: str | None = None, timeout: float = 10.0) -> None:
        super().__init__(endpoint=endpoint, timeout=timeout)
        self._serve(unit_name("AWG", device_id))
