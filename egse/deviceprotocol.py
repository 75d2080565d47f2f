"""What the control servers of instruments on a network have in common."""

from __future__ import annotations

import logging
from typing import Any

from egse.device import DeviceError
from egse.protocol import Protocol
from egse.settings import Settings

LOGGER = logging.getLogger(__name__)


class DeviceProtocol(Protocol):
    """Connects at the start and disconnects at the end; a device adds its housekeeping (and what else it needs)."""

    def start(self) -> None:
        """Connects to the device; the server also starts while it is away."""
        try:
            self.controller.connect()
        except DeviceError as exc:
            # Each command and each housekeeping row tries again.
            LOGGER.warning("the device is not connected yet: %s", exc)

    def get_status(self) -> dict[str, Any]:
        """Returns whether the device is connected; no message is sent for it."""
        return {"device_connected": self.controller.is_connected()}

    def quit(self) -> None:
        """Disconnects from the device, which goes on as it is."""
        self.controller.disconnect()


def device_address(
    settings: str, hostname: str | None = None, port: int | None = None, *, default_port: int
) -> tuple[str, int]:
    """Returns where a device listens.

    Args:
        settings: settings block of its control server, whose `DEVICE_HOSTNAME` and `DEVICE_PORT` are taken for what is
            not given.
        hostname, port: as given by the caller; None (or empty) when they are not.
        default_port: port of the device when the settings name none.

    Returns:
        Host (`localhost` when nobody names one) and port.

    Raises:
        SettingsError: when there is no such block and something is not given.
    """
    if hostname and port:
        return hostname, port
    block = Settings.load(settings)
    return (
        hostname or str(block.get("DEVICE_HOSTNAME", "localhost")),
        port or int(block.get("DEVICE_PORT", default_port)),
    )
