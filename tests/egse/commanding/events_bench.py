"""A server that sends events and one that listens: `python events_bench.py producer|listener start`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from egse.command import CommandDefinition, dynamic_interface
from egse.control import ControlServer, ControlServerApp, ServerContext
from egse.event import EVENT_ID, Event, EventInterface
from egse.protocol import Protocol
from egse.proxy import DynamicProxy


class ProducerInterface:
    @dynamic_interface
    def load_setup(self, setup_id: int) -> int:
        """Tells the listeners."""


class ProducerController(ProducerInterface):
    def __init__(self, control_server: ControlServer) -> None:
        self._control_server = control_server

    def load_setup(self, setup_id: int) -> int:
        self._control_server.notify_listeners(
            EVENT_ID.SETUP, {"event_type": "new_setup", "setup_id": setup_id}
        )
        return setup_id


class ProducerProxy(DynamicProxy, ProducerInterface):
    settings_name = "Producer Control Server"
    server_name = "producer_cs"


class ListenerInterface:
    @dynamic_interface
    def get_events(self) -> list[dict[str, Any]]:
        """Returns what came."""

    @dynamic_interface
    def wait(self, seconds: float) -> None:
        """Blocks for a while."""


class ListenerController(ListenerInterface, EventInterface):
    """Inherits EventInterface beside its own interface, as section 7.2 of the manual has it."""

    def __init__(self, control_server: ControlServer) -> None:
        self.events: list[dict[str, Any]] = []
        self._control_server = control_server

    def handle_event(self, event: Event) -> None:
        if event.context.get("setup_id") == 13:
            raise ValueError("no Setup 13 in this house")
        self._control_server.schedule_task(partial(self.load_setup, event))

    def load_setup(self, event: Event) -> None:
        self.events.append({"type": event.type, "source": event.source, **event.context})

    def get_events(self) -> list[dict[str, Any]]:
        return self.events

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)


class ListenerProxy(DynamicProxy, ListenerInterface, EventInterface):
    settings_name = "Listener Control Server"
    server_name = "listener_cs"


class ListenerProtocol(Protocol):
    def __init__(self, control_server: ControlServer, controller: Any) -> None:
        super().__init__(control_server, controller)
        self.executed: list[str] = []
        control_server.register_as_listener(
            proxy=ProducerProxy,
            listener={"name": "Listener CS", "proxy": ListenerProxy, "event_id": EVENT_ID.SETUP},
        )

    def handle_device_method(
        self, command: CommandDefinition, method: Callable[..., Any], arguments: dict[str, Any]
    ) -> Any:
        self.executed.append(command.name)
        return super().handle_device_method(command, method, arguments)

    def get_status(self) -> dict[str, Any]:
        return {"executed": self.executed}

    def after_serve(self) -> None:
        Path(os.environ["AFTER_SERVE"]).write_text("reached")


PRODUCER = ControlServerApp(
    name="producer_cs",
    settings="Producer Control Server",
    title="Producer",
    interface=ProducerInterface,
    controller=lambda context: ProducerController(_server(context)),
    device=False,
)
LISTENER = ControlServerApp(
    name="listener_cs",
    settings="Listener Control Server",
    title="Listener",
    interface=ListenerInterface,
    controller=lambda context: ListenerController(_server(context)),
    protocol=ListenerProtocol,
    device=False,
)


def _server(context: ServerContext) -> ControlServer:
    assert context.control_server is not None
    return context.control_server


if __name__ == "__main__":
    role = sys.argv.pop(1)
    (PRODUCER if role == "producer" else LISTENER).main()
