"""Gimbal with two axes (an assumption of ours, see `interface`): driver, simulator, control server."""

from egse.mgse.gimbal.driver import GimbalController, GimbalProxy, GimbalSimulator
from egse.mgse.gimbal.interface import GimbalInterface
from egse.mgse.gimbal.messages import GimbalError
from egse.mgse.gimbal.model import GimbalModel

__all__ = [
    "GimbalController",
    "GimbalError",
    "GimbalInterface",
    "GimbalModel",
    "GimbalProxy",
    "GimbalSimulator",
]
