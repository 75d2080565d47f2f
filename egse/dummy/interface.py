"""The commands of the dummy device: a voltage source with a slow output."""

from __future__ import annotations

from typing import Annotated

from egse.command import Range, Unit, dynamic_command
from egse.device import DeviceError, DeviceInterface
from egse.event import EventInterface
from egse.response import register_error

MAX_VOLTAGE = 10.0
"""Of the source [V]."""

Volt = Annotated[float, Unit("V")]
SetVolt = Annotated[float, Range(0.0, MAX_VOLTAGE), Unit("V")]


@register_error
class DummyError(DeviceError):
    """The device refused a command; the text is its own."""


def read_text(response: bytes) -> str:
    """Returns the text of a reply.

    Raises:
        DummyError: when the device reports an error.
    """
    text = response.decode("ascii", errors="replace").strip()
    if text.startswith("ERROR"):
        raise DummyError(text.removeprefix("ERROR").lstrip(": "))
    return text


def read_float(response: bytes) -> float:
    """Returns the number in a reply; raises DummyError for anything else."""
    text = read_text(response)
    try:
        return float(text)
    except ValueError:
        raise DummyError(f"expected a number, the device answered {text!r}") from None


def read_switch(response: bytes) -> bool:
    """Returns the state in a reply `ON` or `OFF`."""
    return read_text(response) == "ON"


def read_nothing(response: bytes) -> None:
    """Checks the acknowledgement of a command; raises DummyError when it was refused."""
    read_text(response)


class DummyInterface(DeviceInterface, EventInterface):
    """Commands of the dummy device; it also listens to events of other control servers."""

    @dynamic_command(cmd_type="query", cmd_string="*IDN?", process_response=read_text)
    def info(self) -> str:
        """Returns manufacturer, model, serial number and firmware version, separated by commas."""

    @dynamic_command(
        cmd_type="transaction",
        cmd_string="VOLT {voltage:.4f}",
        use_format=True,
        process_response=read_nothing,
    )
    def set_voltage(self, voltage: SetVolt) -> None:
        """Sets the wanted voltage; the output follows within a few seconds while it is on.

        Args:
            voltage: 0..10 [V], in steps of 0.1 mV.

        Raises:
            DummyError: when the device refuses it.
        """

    @dynamic_command(cmd_type="query", cmd_string="VOLT?", process_response=read_float)
    def get_voltage(self) -> Volt:
        """Returns the wanted voltage [V]."""

    @dynamic_command(cmd_type="query", cmd_string="MEAS?", process_response=read_float)
    def measure_voltage(self) -> Volt:
        """Returns the voltage at the output [V]."""

    @dynamic_command(cmd_type="transaction", cmd_string="OUTP ON", process_response=read_nothing)
    def output_on(self) -> None:
        """Switches the output on."""

    @dynamic_command(cmd_type="transaction", cmd_string="OUTP OFF", process_response=read_nothing)
    def output_off(self) -> None:
        """Switches the output off; its voltage falls to zero within a few seconds."""

    @dynamic_command(cmd_type="query", cmd_string="OUTP?", process_response=read_switch)
    def is_output_on(self) -> bool:
        """Returns True while the output is on."""
