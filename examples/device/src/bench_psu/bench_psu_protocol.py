"""Housekeeping of the BENCH_PSU control server."""

from __future__ import annotations

import contextlib
from typing import Any

from egse.device import DeviceError
from egse.env import EnvError, get_site_id
from egse.protocol import Protocol

from bench_psu.bench_psu import (
    BenchPsuController,
    BenchPsuOutput,
)


def site_prefix() -> str:
    """Returns the prefix of the housekeeping names of this site, `G<SITE>_`."""
    try:
        site_id = get_site_id()
    except EnvError:
        return "GLAB_"
    return f"G{site_id.upper().replace('-', '_')}_"


class BenchPsuProtocol(Protocol):
    """One row: commanded and measured level [V], output on (True) or off.

    The names are those of `tm-dictionary.csv`: `G<SITE>_BENCH_PSU_LEVEL`, `..._READING`, `..._OUTPUT`.
    """

    controller: BenchPsuController

    def start(self) -> None:
        """Connects to the instrument; the server also starts while it is away."""
        with contextlib.suppress(DeviceError):  # each command and each row tries again
            self.controller.connect()

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        prefix, device = f"{site_prefix()}BENCH_PSU_", self.controller
        return {
            f"{prefix}LEVEL": device.get_level(),
            f"{prefix}READING": device.get_reading(),
            f"{prefix}OUTPUT": device.get_output() is BenchPsuOutput.ON,
        }

    def get_status(self) -> dict[str, Any]:
        """Returns whether the instrument is connected; no message is sent for it."""
        return {"device_connected": self.controller.is_connected()}

    def quit(self) -> None:
        """Disconnects from the instrument; its output stays as it is."""
        self.controller.disconnect()
