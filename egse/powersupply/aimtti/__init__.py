"""Aim-TTi bench supplies (PL-P, QL-P): driver, simulator, control servers of several units."""

from egse.powersupply.aimtti.aimtti import AimTTiController, AimTTiProxy, AimTTiSimulator
from egse.powersupply.aimtti.interface import AimTTiInterface
from egse.powersupply.aimtti.messages import AimTTiError
from egse.powersupply.aimtti.model import AimTTiModel

__all__ = [
    "AimTTiController",
    "AimTTiError",
    "AimTTiInterface",
    "AimTTiModel",
    "AimTTiProxy",
    "AimTTiSimulator",
]
