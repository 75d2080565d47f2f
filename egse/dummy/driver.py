"""Driver of the dummy device: Controller, Proxy and how they are made."""

from __future__ import annotations

import logging
from collections import deque
from functools import partial

from egse.control import ControlServer, ServerContext
from egse.device import DeviceTransport, TCPTransport
from egse.dummy.interface import DummyInterface
from egse.dummy.model import DummyModel
from egse.event import Event
from egse.mixin import DynamicCommandMixin
from egse.proxy import DynamicProxy
from egse.settings import Settings
from egse.simulator import MemoryTransport

logger = logging.getLogger(__name__)

SETTINGS = "Dummy Control Server"
KEPT_EVENTS = 100
"""How many events a Controller remembers."""


class DummyEthernetInterface(TCPTransport):
    """The device's network port.

    Args:
        hostname, port: of the device; from the settings when None.
    """

    def __init__(self, hostname: str | None = None, port: int | None = None) -> None:
        block = Settings.load(SETTINGS)
        super().__init__(
            hostname or str(block.get("DEVICE_HOSTNAME", "localhost")),
            port or int(block.get("DEVICE_PORT", 4447)),
            timeout=2.0,
        )


class DummyController(DummyInterface, DynamicCommandMixin):
    """Talks to the dummy device and takes notice of events.

    Args:
        transport: how to reach the device; its network port when None.
        control_server: the server that this Controller belongs to, None when it is used without.
    """

    def __init__(
        self, transport: DeviceTransport | None = None, control_server: ControlServer | None = None
    ) -> None:
        self.transport = transport or DummyEthernetInterface()
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._control_server = control_server

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return "SIM" in self.info().upper()

    def handle_event(self, event: Event) -> None:
        """Logs the event and schedules what it asks for: the producer waits for this method to return."""
        logger.info("event %s received from %s: %s", event.type, event.source, event.context)
        if self._control_server is not None:
            self._control_server.schedule_task(partial(self.execute_event, event))

    def execute_event(self, event: Event) -> None:
        """Does what an event asks for; a scheduled task, executed after the command that is running."""
        self.events.append(event)
        logger.info("event %s executed: %s", event.type, event.context)


class DummyProxy(DynamicProxy, DummyInterface):
    """Client of the dummy control server."""

    settings_name = SETTINGS
    server_name = "dummy_cs"


def make_controller(context: ServerContext) -> DummyController:
    """Returns the Controller of a control server, joined with the device or with its model."""
    if not context.simulator:
        return DummyController(control_server=context.control_server)
    model = DummyModel(context.seed)
    context.shared["dummy"] = model
    return DummyController(MemoryTransport(model, context.clock), context.control_server)
