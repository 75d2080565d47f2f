"""Keithley DAQ6510 data acquisition: driver, simulator, control server, acquisition process."""

from egse.tempcontrol.keithley.channels import (
    count_number_of_channels,
    create_channel_list,
    get_channel_names,
)
from egse.tempcontrol.keithley.daq6510 import DAQ6510, DAQ6510Controller, DAQ6510Proxy, DAQ6510Simulator
from egse.tempcontrol.keithley.interface import DAQ6510Interface
from egse.tempcontrol.keithley.messages import DAQ6510Error
from egse.tempcontrol.keithley.model import DAQ6510Model

__all__ = [
    "DAQ6510",
    "DAQ6510Controller",
    "DAQ6510Error",
    "DAQ6510Interface",
    "DAQ6510Model",
    "DAQ6510Proxy",
    "DAQ6510Simulator",
    "count_number_of_channels",
    "create_channel_list",
    "get_channel_names",
]
