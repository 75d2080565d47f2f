"""The OGSE (lamp, attenuator, power meters): driver, simulator, control server."""

from egse.ogse.attenuator import LEVELS
from egse.ogse.driver import OGSEController, OGSEEthernetInterface, OGSEProxy, OGSESimulator
from egse.ogse.interface import OGSEInterface
from egse.ogse.messages import OGSEError
from egse.ogse.model import OGSEModel

__all__ = [
    "LEVELS",
    "OGSEController",
    "OGSEError",
    "OGSEEthernetInterface",
    "OGSEInterface",
    "OGSEModel",
    "OGSEProxy",
    "OGSESimulator",
]
