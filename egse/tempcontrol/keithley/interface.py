"""The commands of the Keithley DAQ6510, defined once (device reference, section 6.4)."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, Unit, dynamic_interface
from egse.device import DeviceInterface
from egse.dialect import integer
from egse.security.roles import observe
from egse.tempcontrol.keithley.messages import DAQ, guarded, quoted

DEFAULT_BUFFER = "defbuffer1"
"""Buffer of a scan that names none."""
Seconds = Annotated[float, Range(0, 100_000), Unit("s")]


class SystemCommands:
    """Identification, errors, clock."""

    @dynamic_interface
    def send_command(self, command: str, response: bool) -> str | None:
        """Sends one line as it is.

        Args:
            command: SCPI text, without line end.
            response: True to wait for an answer.

        Returns:
            The answer without line end; None without `response`.
        """

    @DAQ.question("*IDN?")
    def get_idn(self) -> str:
        """Returns manufacturer, model, serial number and firmware, separated by commas."""

    @DAQ.question("*IDN?")
    def info(self) -> str:
        """Same as `get_idn`."""

    @DAQ.setting("*RST")
    def reset(self) -> None:
        """Brings back the factory settings; buffers of our own and the scan are gone."""

    @DAQ.question("SYST:ERR?")
    def get_error(self) -> str:
        """Takes the oldest error out of the queue: `0,"No error;0;0 0"` when there is none."""

    @DAQ.setting("SYST:TIME ${year}, ${month}, ${day}, ${hour}, ${minute}, ${second}")
    def set_time(
        self,
        year: Annotated[int, Range(1970, 2037)],
        month: Annotated[int, Range(1, 12)],
        day: Annotated[int, Range(1, 31)],
        hour: Annotated[int, Range(0, 23)],
        minute: Annotated[int, Range(0, 59)],
        second: Annotated[int, Range(0, 59)],
    ) -> None:
        """Sets the clock that stamps the readings."""

    @DAQ.question("SYST:TIME? 1", quoted)
    def get_time(self) -> str:
        """Returns the clock: `Thu Feb  1 12:10:00 2024`."""


class BufferCommands:
    """Buffers of readings; the instrument has `defbuffer1` and `defbuffer2`."""

    @DAQ.setting('TRACE:MAKE "${buffer_name}", ${size}')
    def create_buffer(self, buffer_name: str, size: Annotated[int, Range(10, 5_000_000)] = 1000) -> None:
        """Makes a buffer.

        Args:
            buffer_name: up to 31 characters, a letter first.
            size: how many readings it takes.
        """

    @DAQ.setting('TRACE:DELETE "${buffer_name}"')
    def delete_buffer(self, buffer_name: str) -> None:
        """Removes a buffer with its readings."""

    @DAQ.setting('TRACE:CLEAR "${buffer_name}"')
    def clear_buffer(self, buffer_name: str = DEFAULT_BUFFER) -> None:
        """Removes the readings of a buffer."""

    @guarded('TRACE:ACTUAL? "${buffer_name}"', integer)
    def get_buffer_count(self, buffer_name: str = DEFAULT_BUFFER) -> int:
        """Returns how many readings are in a buffer."""

    @guarded('TRACE:POINTS? "${buffer_name}"', integer)
    def get_buffer_capacity(self, buffer_name: str = DEFAULT_BUFFER) -> int:
        """Returns how many readings a buffer takes."""

    @observe
    @dynamic_interface
    def read_buffer(
        self,
        start: Annotated[int, Range(1, None)],
        end: Annotated[int, Range(1, None)],
        buffer_name: str = DEFAULT_BUFFER,
        elements: list[str] | None = None,
    ) -> list[str]:
        """Returns readings out of a buffer.

        Args:
            start, end: first and last reading, from 1.
            buffer_name: name of the buffer.
            elements: what of each reading, for example CHANNEL, TSTAMP, READING, UNIT; READING by default.

        Returns:
            The elements of one reading after the other.
        """


class DAQ6510Interface(SystemCommands, BufferCommands, DeviceInterface):
    """All commands of the DAQ6510."""

    @dynamic_interface
    def configure_sensors(self, channel_list: str, *, sense: dict[str, Any]) -> None:
        """Says what is connected to some channels.

        Args:
            channel_list: `(@101:102)`.
            sense: function -> its settings: `{"TEMPERATURE": [("TRANSDUCER", "FRTD"), ("RTD:FOUR", "PT100")]}`.
        """

    @dynamic_interface
    def setup_measurements(self, *, buffer_name: str = DEFAULT_BUFFER, channel_list: str) -> list[int]:
        """Makes a scan of some channels.

        Args:
            buffer_name: where its readings go.
            channel_list: `(@101:102)`.

        Returns:
            The states of the channels, 0 for open.
        """

    @dynamic_interface
    def perform_measurement(
        self,
        *,
        buffer_name: str = DEFAULT_BUFFER,
        channel_list: str,
        count: Annotated[int, Range(1, 1_000_000)] = 1,
        interval: Seconds = 1.0,
    ) -> list[list[Any]]:
        """Scans the channels of `setup_measurements`, and returns when the readings are there.

        Args:
            buffer_name: where the readings go; it is emptied first.
            channel_list: the same as for `setup_measurements`.
            count: how many scans.
            interval: from the beginning of one scan to the next [s].

        Returns:
            A list `[channel, time, value, unit]` for each reading, in the order of the readings; channel and time are
            text, the value is a number, 9.9e37 for a sensor that is not connected.
        """

    @observe
    @dynamic_interface
    def get_last_readings(self) -> dict[str, list[Any]]:
        """Returns the newest reading of each channel: channel -> `[age in s, value, unit]`."""
