"""Housekeeping of the dummy control server, and its registration as a listener (section 7.9 of the manual)."""

from __future__ import annotations

import logging
from typing import Any

from egse.confman import ConfigurationManagerProxy
from egse.device import DeviceError
from egse.dummy.driver import DummyController, DummyProxy
from egse.env import get_site_id
from egse.event import EVENT_ID
from egse.protocol import Protocol

logger = logging.getLogger(__name__)

LISTENER = {"name": "Dummy CS", "proxy": DummyProxy, "event_id": EVENT_ID.ALL}


class DummyProtocol(Protocol):
    """One row: `G<SITE>_DUMMY_VOLTAGE` (wanted) and `..._OUTPUT` (measured) [V], `..._ON`."""

    controller: DummyController

    def start(self) -> None:
        """Registers for all events of the configuration manager, and connects to the device if it is there."""
        self.control_server.register_as_listener(proxy=ConfigurationManagerProxy, listener=LISTENER)
        try:
            self.controller.connect()
        except DeviceError as exc:
            # Each command and each housekeeping row tries again.
            logger.warning("the dummy device is not connected yet: %s", exc)

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        dummy, prefix = self.controller, f"G{get_site_id()}_DUMMY"
        return {
            f"{prefix}_VOLTAGE": dummy.get_voltage(),
            f"{prefix}_OUTPUT": dummy.measure_voltage(),
            f"{prefix}_ON": dummy.is_output_on(),
        }

    def get_status(self) -> dict[str, Any]:
        """Returns the connection to the device and the type and context of the last event."""
        last = self.controller.events[-1] if self.controller.events else None
        return {
            "device_connected": self.controller.is_connected(),
            "events": len(self.controller.events),
            "last_event": None if last is None else {"type": last.type, **last.context},
        }

    def after_serve(self) -> None:
        """Takes leave of the configuration manager."""
        self.control_server.unregister_as_listener(proxy=ConfigurationManagerProxy, listener=LISTENER)

    def quit(self) -> None:
        """Disconnects from the device; its output stays as it is."""
        self.controller.disconnect()
