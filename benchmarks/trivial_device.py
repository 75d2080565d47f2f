"""The smallest device server: what a command costs besides the device."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, Unit, dynamic_interface
from egse.control import ControlServerApp, ServerContext
from egse.protocol import Protocol
from egse.proxy import DynamicProxy


class TrivialInterface:
    @dynamic_interface
    def add(self, a: float, b: Annotated[float, Range(0, 10), Unit("V")]) -> float:
        """Returns the sum."""


class TrivialController(TrivialInterface):
    def add(self, a: float, b: float) -> float:
        return a + b


class TrivialProtocol(Protocol):
    def get_housekeeping(self) -> dict[str, Any]:
        return {"GLAB_TRIVIAL_ANSWER": 42}


class TrivialProxy(DynamicProxy, TrivialInterface):
    settings_name = "Trivial Control Server"
    server_name = "trivial_cs"


def make_controller(context: ServerContext) -> TrivialController:
    return TrivialController()


APP = ControlServerApp(
    name="trivial_cs",
    settings="Trivial Control Server",
    title="Trivial device",
    interface=TrivialInterface,
    controller=make_controller,
    protocol=TrivialProtocol,
)

if __name__ == "__main__":
    APP.main()
