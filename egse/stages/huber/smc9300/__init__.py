"""HUBER SMC9300 with three stages: driver, simulator, control server."""

from egse.coordinates.avoidance import AvoidanceError, StageLimits
from egse.stages.huber.smc9300.driver import (
    HuberSMC9300Controller,
    HuberSMC9300EthernetInterface,
    HuberSMC9300Proxy,
    HuberSMC9300Simulator,
)
from egse.stages.huber.smc9300.interface import HuberSMC9300Interface
from egse.stages.huber.smc9300.messages import AxisState, HuberError, decode_axis_float, process_cmd_string
from egse.stages.huber.smc9300.model import SMC9300Model

__all__ = [
    "AvoidanceError",
    "AxisState",
    "HuberError",
    "HuberSMC9300Controller",
    "HuberSMC9300EthernetInterface",
    "HuberSMC9300Interface",
    "HuberSMC9300Proxy",
    "HuberSMC9300Simulator",
    "SMC9300Model",
    "StageLimits",
    "decode_axis_float",
    "process_cmd_string",
]
