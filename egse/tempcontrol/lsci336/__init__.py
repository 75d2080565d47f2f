"""LakeShore 336 temperature controller: driver, simulator, control server."""

from egse.tempcontrol.lsci336.driver import (
    LakeShore336Controller,
    LakeShore336EthernetInterface,
    LakeShore336Proxy,
    LakeShore336Simulator,
    LakeShore336UnitController,
    LakeShore336UnitProxy,
    LakeShore336UnitSimulator,
)
from egse.tempcontrol.lsci336.interface import (
    AutotuneMode,
    HeaterRange,
    HeaterStatus,
    LakeShore336Interface,
    OutputMode,
)
from egse.tempcontrol.lsci336.messages import LakeShore336Error
from egse.tempcontrol.lsci336.model import LakeShore336Model

__all__ = [
    "AutotuneMode",
    "HeaterRange",
    "HeaterStatus",
    "LakeShore336Controller",
    "LakeShore336Error",
    "LakeShore336EthernetInterface",
    "LakeShore336Interface",
    "LakeShore336Model",
    "LakeShore336Proxy",
    "LakeShore336Simulator",
    "LakeShore336UnitController",
    "LakeShore336UnitProxy",
    "LakeShore336UnitSimulator",
    "OutputMode",
]
