"""Thorlabs PM100A and PM100D power meters: driver, simulator, control server."""

from egse.powermeter.thorlabs.interface import ThorlabsPM100Interface
from egse.powermeter.thorlabs.messages import PM100ConnectionError, PM100Error
from egse.powermeter.thorlabs.model import ThorlabsPM100Model
from egse.powermeter.thorlabs.pm100a import (
    ThorlabsPM100Controller,
    ThorlabsPM100EthernetInterface,
    ThorlabsPM100Proxy,
    ThorlabsPM100Simulator,
)

__all__ = [
    "PM100ConnectionError",
    "PM100Error",
    "ThorlabsPM100Controller",
    "ThorlabsPM100EthernetInterface",
    "ThorlabsPM100Interface",
    "ThorlabsPM100Model",
    "ThorlabsPM100Proxy",
    "ThorlabsPM100Simulator",
]
