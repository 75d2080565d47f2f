"""Energetiq EQ-99 lamp by itself: driver, simulator, control server."""

from egse.ogse.eq99.eq99 import LampEQ99Controller, LampEQ99Proxy, LampEQ99Simulator
from egse.ogse.eq99.interface import LampEQ99Interface
from egse.ogse.eq99.messages import LampEQ99Error
from egse.ogse.eq99.model import LampEQ99Model

__all__ = [
    "LampEQ99Controller",
    "LampEQ99Error",
    "LampEQ99Interface",
    "LampEQ99Model",
    "LampEQ99Proxy",
    "LampEQ99Simulator",
]
