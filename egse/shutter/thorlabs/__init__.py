"""Thorlabs KSC101 shutter controller: driver, simulator, control server."""

from egse.shutter.thorlabs.interface import ShutterKSC101Interface
from egse.shutter.thorlabs.ksc101 import (
    ShutterKSC101Controller,
    ShutterKSC101EthernetInterface,
    ShutterKSC101Proxy,
    ShutterKSC101Simulator,
)
from egse.shutter.thorlabs.messages import KSC101Error, Mode
from egse.shutter.thorlabs.model import ShutterKSC101Model

__all__ = [
    "KSC101Error",
    "Mode",
    "ShutterKSC101Controller",
    "ShutterKSC101EthernetInterface",
    "ShutterKSC101Interface",
    "ShutterKSC101Model",
    "ShutterKSC101Proxy",
    "ShutterKSC101Simulator",
]
