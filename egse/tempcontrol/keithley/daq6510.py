"""Driver of the Keithley DAQ6510: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from egse.command import CommandError
from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.proxy import DynamicProxy
from egse.tempcontrol.keithley.channels import (
    count_number_of_channels,
    create_channel_list,
    get_channel_names,
)
from egse.tempcontrol.keithley.interface import DEFAULT_BUFFER, DAQ6510Interface
from egse.tempcontrol.keithley.messages import DAQ, DAQ6510Error, no_error_after, refused, with_error_query
from egse.tempcontrol.keithley.model import PORT, DAQ6510Model

__all__ = [
    "DAQ6510",
    "DEFAULT_BUFFER",
    "DAQ6510Controller",
    "DAQ6510Error",
    "DAQ6510Interface",
    "DAQ6510Proxy",
    "DAQ6510Simulator",
    "count_number_of_channels",
    "create_channel_list",
    "get_channel_names",
    "make_controller",
]

SETTINGS = "DAQ6510 Control Server"
ELEMENTS = ["CHANNEL", "TSTAMP", "READING", "UNIT"]
CHANNEL_TIME = 0.1
"""So long a channel takes at most [s]."""


class DAQ6510(NetworkInterface):
    """The network port of the instrument."""

    wire = Wire(SETTINGS, PORT)


class DAQ6510Controller(InstrumentController, DAQ6510Interface):
    """Talks to a DAQ6510; connecting sends nothing."""

    network = DAQ6510
    proxy_class = "egse.tempcontrol.keithley.daq6510:DAQ6510Proxy"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: dict[str, tuple[float, float, str]] = {}

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return ",SIM" in self.info().upper()

    def send_command(self, command: str, response: bool) -> str | None:
        DAQ.sendable(command)
        if not response:
            self.transport.write(command)
            return None
        return self.transport.query(command).decode("latin-1").strip()

    def read_buffer(
        self, start: int, end: int, buffer_name: str = DEFAULT_BUFFER, elements: list[str] | None = None
    ) -> list[str]:
        wanted = ", ".join(elements or ["READING"])
        answer = self._ask(f'TRACE:DATA? {start}, {end}, "{buffer_name}", {wanted}')
        fields = [field.strip() for field in answer.split(",")]
        count = (end - start + 1) * len(elements or ["READING"])
        if len(fields) != count:
            raise DAQ6510Error(f"the DAQ6510 answered {answer!r}, expected {count} elements of readings")
        return fields

    def configure_sensors(self, channel_list: str, *, sense: dict[str, Any]) -> None:
        lines = []
        for function, settings in sense.items():
            lines.append(f'SENSE:FUNCTION "{function}", {channel_list}')
            try:
                lines += [f"SENSE:{function}:{name} {value}, {channel_list}" for name, value in settings]
            except (TypeError, ValueError) as exc:
                raise CommandError(
                    f"configure_sensors: the settings of {function} are pairs of name and value, not {settings!r}"
                ) from exc
        with self.transport.lock:
            self.transport.write("*CLS")
            for line in lines:
                self._tell(line)
            self._check()

    def setup_measurements(self, *, buffer_name: str = DEFAULT_BUFFER, channel_list: str) -> list[int]:
        with self.transport.lock:
            self.transport.write("*CLS")
            self._tell(f'ROUTE:SCAN:BUFFER "{buffer_name}"')
            self._tell(f"ROUTE:SCAN:CREATE {channel_list}")
            self._tell(f"ROUTE:CHANNEL:OPEN {channel_list}")
            states = self._ask(f"ROUTE:CHANNEL:STATE? {channel_list}")
            self._tell("ROUTE:SCAN:START:STIMULUS NONE")
            self._check()
        return DAQ.decoded(lambda text: [int(word) for word in text.split(",")])(states.encode())

    def perform_measurement(
        self,
        *,
        buffer_name: str = DEFAULT_BUFFER,
        channel_list: str,
        count: int = 1,
        interval: float = 1.0,
    ) -> list[list[Any]]:
        total = count * count_number_of_channels(channel_list)
        with self.transport.lock:
            self.transport.write("*CLS")
            self._tell(f'TRACE:CLEAR "{buffer_name}"')
            self._tell(f"ROUTE:SCAN:COUNT:SCAN {count}")
            self._tell(f"ROUTE:SCAN:INTERVAL {interval:g}")
            self._tell("INITIATE:IMMEDIATE")
            self._check()
            self._tell("*WAI")
            with self._patience((count - 1) * interval + total * CHANNEL_TIME):
                found = int(self._ask(f'TRACE:ACTUAL? "{buffer_name}"'))
            if found < total:
                raise DAQ6510Error(
                    f"{buffer_name} has {found} readings after a scan of {total}: is the list of channels that of "
                    "setup_measurements, and the buffer the same?"
                )
            fields = self.read_buffer(1, total, buffer_name, ELEMENTS)
        readings = [
            [channel, stamp, float(value), unit]
            for channel, stamp, value, unit in zip(*[iter(fields)] * 4, strict=True)
        ]
        now = time.monotonic()
        self._last |= {channel: (now, value, unit) for channel, _, value, unit in readings}
        return readings

    def get_last_readings(self) -> dict[str, list[Any]]:
        now = time.monotonic()
        return {channel: [now - when, value, unit] for channel, (when, value, unit) in self._last.items()}

    # -- lines

    def _tell(self, line: str) -> None:
        self.transport.write(DAQ.sendable(line))

    def _ask(self, line: str) -> str:
        """Asks; what is refused raises at once (`messages.guarded`)."""
        with self.transport.lock:
            answer = self.transport.query(with_error_query(line))
            refused(answer)
            no_error_after(self.transport, answer)
        return answer.decode("latin-1").strip()

    def _check(self) -> None:
        DAQ.done(self.transport.query("SYST:ERR?"))

    @contextmanager
    def _patience(self, seconds: float) -> Iterator[None]:
        """Waits so much longer for an answer."""
        transport: Any = self.transport
        before = transport.timeout
        transport.timeout = before + seconds
        try:
            yield
        finally:
            transport.timeout = before


class DAQ6510Simulator(Simulated, DAQ6510Controller):
    """The driver joined with a model of the instrument in the same process; replaces the Controller."""

    model_type = DAQ6510Model


class DAQ6510Proxy(DynamicProxy, DAQ6510Interface):
    """Client of the DAQ6510 control server."""

    settings_name = SETTINGS
    server_name = "daq6510_cs"


make_controller = maker(DAQ6510Controller, DAQ6510Simulator)
