"""A device server that can be brought into any state of a server's life: `python state_device.py STATE start`."""

from __future__ import annotations

import sys
import threading
from typing import Any

import zmq

from egse.command import dynamic_interface
from egse.control import ControlServer, ControlServerApp, ServerContext
from egse.device import TCPTransport
from egse.protocol import Protocol
from egse.proxy import DynamicProxy, Proxy
from egse.settings import Settings

STATES = (
    "importing",
    "constructing",
    "starting",
    "idle",
    "command",
    "housekeeping",
    "task",
    "device_away",
    "device_silent",
    "leaking",
)
VERY_LONG = 60.0


def block_name(state: str) -> str:
    return f"State {state} Control Server"


def hang(where: str, state: str) -> None:
    """Tells that this point is reached, and stays there, when it is the one that the server shall be in."""
    if where == state:
        sys.stdout.write(f"AT {where}\n")  # at once: other threads write too
        sys.stdout.flush()
        threading.Event().wait(VERY_LONG)


class StateInterface:
    @dynamic_interface
    def wait(self) -> None:
        """Blocks for very long."""

    @dynamic_interface
    def schedule(self) -> None:
        """Schedules a task that takes very long."""

    @dynamic_interface
    def ask(self) -> str:
        """Asks the device."""

    @dynamic_interface
    def leak(self) -> None:
        """Opens sockets that nobody closes, deep in the code of a device."""


class StateController(StateInterface):
    def __init__(self, context: ServerContext, state: str) -> None:
        hang("constructing", state)
        assert context.control_server is not None
        self._control_server: ControlServer = context.control_server
        self._state = state
        self._leaks: list[Any] = []
        self.transport = TCPTransport("127.0.0.1", int(context.settings["DEVICE_PORT"]), timeout=VERY_LONG)

    def wait(self) -> None:
        hang("command", self._state)

    def schedule(self) -> None:
        self._control_server.schedule_task(lambda: hang("task", self._state))

    def ask(self) -> str:
        return self.transport.query("*IDN?").decode()

    def leak(self) -> None:
        nowhere = f"tcp://127.0.0.1:{Settings.load(block_name(self._state))['DEVICE_PORT']}"
        for context in (zmq.Context.instance(), zmq.Context()):
            sock = context.socket(
                zmq.PUSH
            )  # waits for ever at its end, by default, to get rid of its message
            sock.connect(nowhere)
            sock.send(b"unsent", zmq.NOBLOCK)
            self._leaks.append(sock)
        proxy = Proxy(endpoint=self._control_server.endpoints["service"])
        proxy.ping()
        self._leaks.append(proxy)


class StateProtocol(Protocol):
    state = ""

    def start(self) -> None:
        hang("starting", self.state)

    def get_housekeeping(self) -> dict[str, Any]:
        hang("housekeeping", self.state)
        if self.state == "device_away":
            self.controller.ask()
        return {}


class StateProxy(DynamicProxy, StateInterface):
    def __init__(self, state: str, timeout: float = 5.0) -> None:
        super().__init__(timeout=timeout)
        self.settings_name = block_name(state)
        self.server_name = f"{state}_cs"


def make_app(state: str) -> ControlServerApp:
    return ControlServerApp(
        name=f"{state}_cs",
        settings=block_name(state),
        title=f"State {state}",
        interface=StateInterface,
        controller=lambda context: StateController(context, state),
        protocol=type("StateProtocol", (StateProtocol,), {"state": state}),
    )


if __name__ == "__main__":
    make_app(sys.argv.pop(1)).main()
