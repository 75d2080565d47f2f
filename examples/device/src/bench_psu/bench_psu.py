"""The commands of the BENCH_PSU, and the classes that give and execute them.

- `BenchPsuInterface` defines each command once: what is sent, what comes back, types, units and ranges.
- `BenchPsuController` executes them over a transport. The control server has one; it also works by itself.
- `BenchPsuSimulator` is the same with the simulated instrument in it.
- `BenchPsuProxy` sends them to the control server. This is what test scripts use.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from egse.command import Range, Unit, dynamic_command
from egse.device import DeviceInterface
from egse.instrument import InstrumentController, Simulated
from egse.proxy import DynamicProxy

from bench_psu.bench_psu_devif import (
    SETTINGS,
    BenchPsuEthernetInterface,
    done,
    number,
    text,
    unexpected,
)
from bench_psu.bench_psu_sim import BenchPsuModel


class BenchPsuOutput(StrEnum):
    """State of the output."""

    ON = "ON"
    OFF = "OFF"


def output_state(response: bytes) -> BenchPsuOutput:
    """Returns a reply as the state of the output."""
    try:
        return BenchPsuOutput(text(response))
    except ValueError as exc:
        raise unexpected(response, "ON or OFF") from exc


class BenchPsuInterface(DeviceInterface):
    """All commands of the BENCH_PSU."""

    @dynamic_command(cmd_type="query", cmd_string="*IDN?", process_response=text)
    def get_identification(self) -> str:
        """Returns maker, model, serial number and version."""

    @dynamic_command(cmd_type="transaction", cmd_string="*RST", process_response=done)
    def reset(self) -> None:
        """Switches the output off and sets the level to 0."""

    @dynamic_command(cmd_type="transaction", cmd_string="LEVEL ${level}", process_response=done)
    def set_level(self, level: Annotated[float, Range(0, 10), Unit("V")]) -> None:
        """Sets the level that the output goes to; does not wait until it is there.

        Args:
            level: 0 to 10 V.
        """

    @dynamic_command(cmd_type="query", cmd_string="LEVEL?", process_response=number)
    def get_level(self) -> Annotated[float, Unit("V")]:
        """Returns the commanded level."""

    @dynamic_command(cmd_type="query", cmd_string="READ?", process_response=number)
    def get_reading(self) -> Annotated[float, Unit("V")]:
        """Returns the measured level."""

    @dynamic_command(cmd_type="transaction", cmd_string="OUTPUT ${state}", process_response=done)
    def set_output(self, state: BenchPsuOutput) -> None:
        """Switches the output.

        Args:
            state: ON or OFF.
        """

    @dynamic_command(cmd_type="query", cmd_string="OUTPUT?", process_response=output_state)
    def get_output(self) -> BenchPsuOutput:
        """Returns the state of the output."""


class BenchPsuController(InstrumentController, BenchPsuInterface):
    """Talks to the BENCH_PSU."""

    network = BenchPsuEthernetInterface
    identity = ("BENCH_PSU",)

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return "SIM" in self.get_identification().split(",")


class BenchPsuSimulator(Simulated, BenchPsuController):
    """The driver joined with the model in the same process; has the Controller's interface and replaces it."""

    model_type = BenchPsuModel


class BenchPsuProxy(DynamicProxy, BenchPsuInterface):
    """Client of the BENCH_PSU control server."""

    settings_name = SETTINGS
    server_name = "bench_psu_cs"
