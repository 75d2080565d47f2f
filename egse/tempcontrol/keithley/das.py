"""`das daq6510`: scans the sensors of the facility, through the control server, and stores each scan in `DAS-DAQ6510`.

The rows have the same names as the housekeeping of `daq6510_cs`, which shows the newest scan at its own rhythm (for
monitoring and synoptics); here each scan stands once, at its time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from egse.das import Acquisition
from egse.instrument import prefix_of_site
from egse.settings import Settings, SettingsError
from egse.tempcontrol.keithley.channels import create_channel_list
from egse.tempcontrol.keithley.daq6510 import SETTINGS, DAQ6510Proxy
from egse.tempcontrol.keithley.interface import DAQ6510Interface
from egse.tempcontrol.keithley.protocol import DAQ6510Protocol, sensor_names, valid

BUFFER = "defbuffer2"
"""Where the scans go: `defbuffer1` is left to others."""
PATIENCE = 3.0
"""So long an answer of the control server is waited for [s]: a scan takes 0.1 s for each channel, and whoever ends the process waits too."""


class FacilityScan:
    """Reads one scan after the other; the instrument is set up before the first, and again after a failure.

    Args:
        daq: the instrument; through its control server when None.
    """

    def __init__(self, daq: DAQ6510Interface | None = None) -> None:
        self._daq: Any = DAQ6510Proxy(timeout=PATIENCE) if daq is None else daq
        self._sensors = sensor_names()
        if not self._sensors:
            raise SettingsError(
                f"no SENSORS in the settings block {SETTINGS!r}: which channels shall be scanned?"
            )
        self._list = create_channel_list(*self._sensors)
        self._ready = False

    def read(self) -> dict[str, Any]:
        """Returns the temperatures of one scan [degC]."""
        if not self._ready:
            self._set_up()
        self._ready = False
        readings = self._daq.perform_measurement(
            buffer_name=BUFFER, channel_list=self._list, count=1, interval=0.0
        )
        self._ready = True
        prefix = DAQ6510Protocol.prefix.format(site=prefix_of_site())
        return {f"{prefix}{self._sensors[channel]}": valid(value) for channel, _, value, _ in readings}

    def _set_up(self) -> None:
        now = datetime.now(UTC)
        self._daq.set_time(now.year, now.month, now.day, now.hour, now.minute, now.second)
        sense = Settings.load(SETTINGS).get("SENSE") or {}
        self._daq.configure_sensors(self._list, sense={name: list(rows) for name, rows in sense.items()})
        self._daq.setup_measurements(buffer_name=BUFFER, channel_list=self._list)

    def close(self) -> None:
        """Closes the connection to the control server."""
        if isinstance(self._daq, DAQ6510Proxy):
            self._daq.disconnect_cs()


DAQ6510_SCAN = Acquisition(
    name="daq6510",
    title="Scans the sensors of the facility with the Keithley DAQ6510",
    mnemonic="DAS-DAQ6510",
    source=FacilityScan,
)
