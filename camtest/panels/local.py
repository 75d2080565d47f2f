"""Devices without a control server: `--type simulator` (a model in this process) and `--type direct` (the hardware itself)."""

from __future__ import annotations

import logging
import pkgutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

from camtest.core.servers import find_app
from camtest.panels.device import DevicePanel
from camtest.panels.panel import Panel
from camtest.panels.threads import Subscription
from egse.command import CommandDefinition, commands_of
from egse.declaration import ServerDeclaration
from egse.direct import DirectUseError, direct_use
from egse.event import EventInterface
from egse.proxy import Proxy
from egse.system import format_datetime

LOGGER = logging.getLogger(__name__)

PERIOD = 1.0
"""Pause between two housekeeping rows [s], as a control server takes them."""
REASON = "panel of type direct"


class LocalDevice(Proxy):
    """A Controller in this process, with the face of a proxy.

    Args:
        app: declaration of its control server.
        simulator: with the model of the device, without any hardware.
    """

    loads_at_start = False

    def __init__(self, app: ServerDeclaration, simulator: bool) -> None:
        super().__init__()
        self.app = app
        self.simulator = simulator
        self.server_name = app.name
        self.controller = app.controller(app.context(simulator=simulator, dry_run=simulator))
        server: Any = SimpleNamespace(name=app.name, settings=app.settings, app=app, stopping=False)
        self._protocol = app.protocol(server, self.controller)

    def __repr__(self) -> str:
        return f"<{self.app.title}, {'a model in this process' if self.simulator else 'the device itself'}>"

    def execute(self, name: str, arguments: dict[str, Any]) -> Any:
        """Executes a command on the device; what is done to hardware stands in the journal of direct use."""
        with self._allowed():
            return getattr(self.controller, name)(**arguments)

    def housekeeping(self) -> dict[str, Any]:
        """Returns one row, as the control server would store it; connects to the device when it is not connected."""
        if self.connected() is False:
            with self._allowed():
                self.controller.connect()
        with self._allowed():
            return {"timestamp": format_datetime(), **self._protocol.get_housekeeping()}

    def _allowed(self) -> AbstractContextManager[None]:
        return nullcontext() if self.simulator else direct_use(REASON)

    def connected(self) -> bool | None:
        """True when it is connected; None when its Controller does not tell."""
        with self._allowed():
            is_connected = getattr(self.controller, "is_connected", None)
            return None if is_connected is None else bool(is_connected())

    def disconnect_cs(self) -> None:
        """Disconnects from the device, which goes on as it is."""
        disconnect = getattr(self.controller, "disconnect", None)
        try:
            if disconnect is not None and self.connected() is not False:
                with self._allowed():
                    disconnect()
        except DirectUseError as exc:  # no control, or not any more: a connection ends with this process
            LOGGER.info("%r: not disconnected: %s", self, exc)


class LocalPanel(DevicePanel):
    """The generated panel of a device without its control server."""

    def __init__(self, device: LocalDevice) -> None:
        self.device = device
        self._asked = 0.0
        kind = "simulator in this process" if device.simulator else "direct, past the control server"
        super().__init__(device, f"{device.app.title} ({kind})")

    def _find_commands(self, proxy: Proxy) -> dict[str, CommandDefinition]:
        machinery = set(commands_of(EventInterface))
        return {n: d for n, d in commands_of(self.device.app.interface).items() if n not in machinery}

    def _is_elsewhere(self) -> bool:
        return False

    def _subscriptions(self) -> list[Subscription]:
        return []

    def _refresh(self) -> None:
        if time.monotonic() - self._asked >= PERIOD:
            self._asked = time.monotonic()
            self.command("?housekeeping", self.device.housekeeping, self._take)
        super()._refresh()

    def _take(self, row: dict[str, Any]) -> None:
        self.telemetry.take(row)
        self.telemetry.status = {
            "simulator": self.device.simulator,
            "device_connected": self.device.connected(),
        }

    def _execute(self, definition: CommandDefinition, arguments: dict[str, Any]) -> Any:
        return self.device.execute(definition.name, arguments)


def local_panel(server: str, kind: str, special: str = "") -> Panel:
    """Returns a panel of a device without its control server.

    Args:
        server: name of the control server whose declaration says what the device is.
        kind: `simulator` or `direct`.
        special: `module:Class` of the panel; the generated one when empty.
    """
    made: Callable[[LocalDevice], Panel] = pkgutil.resolve_name(special) if special else LocalPanel
    return made(LocalDevice(find_app(server), kind == "simulator"))
