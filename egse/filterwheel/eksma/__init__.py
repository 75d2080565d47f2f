"""Eksma filter wheels on Standa controllers: on one motor (8SMC4), or with a motor each (8SMC5)."""

from egse.filterwheel.eksma.axis import FilterWheelError
from egse.filterwheel.eksma.axis_model import XimcAxisModel
from egse.filterwheel.eksma.fw8smc4 import (
    FilterWheel8SMC4Controller,
    FilterWheel8SMC4Proxy,
    FilterWheel8SMC4Simulator,
)
from egse.filterwheel.eksma.fw8smc4_interface import FilterWheel8SMC4Interface
from egse.filterwheel.eksma.fw8smc5 import (
    FilterWheel8SMC5Controller,
    FilterWheel8SMC5Proxy,
    FilterWheel8SMC5Simulator,
)
from egse.filterwheel.eksma.fw8smc5_interface import FilterWheel8SMC5Interface
from egse.filterwheel.eksma.two_wheels import TwoWheelModel
from egse.filterwheel.eksma.wheels import Wheels

__all__ = [
    "FilterWheel8SMC4Controller",
    "FilterWheel8SMC4Interface",
    "FilterWheel8SMC4Proxy",
    "FilterWheel8SMC4Simulator",
    "FilterWheel8SMC5Controller",
    "FilterWheel8SMC5Interface",
    "FilterWheel8SMC5Proxy",
    "FilterWheel8SMC5Simulator",
    "FilterWheelError",
    "TwoWheelModel",
    "Wheels",
    "XimcAxisModel",
]
