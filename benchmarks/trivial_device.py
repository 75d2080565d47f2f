"""The smallest device server: what a command costs besides the device."""

from __future__ import annotations

from typing import Annotated, Any

from egse.clock import Clock, system_clock
from egse.command import Range, Unit, dynamic_interface
from egse.control import ControlServerApp, ServerContext
from egse.protocol import Protocol
from egse.proxy import DynamicProxy


class TrivialInterface:
    @dynamic_interface
    def add(self, a: float, b: Annotated[float, Range(0, 10), Unit("V")]) -> float:
        """Returns the sum."""

    @dynamic_interface
    def wait(self, seconds: Annotated[float, Range(0, 60), Unit("s")]) -> float:
        """Keeps the device busy for a while."""


class TrivialController(TrivialInterface):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def add(self, a: float, b: float) -> float:
        return a + b

    def wait(self, seconds: float) -> float:
        self._clock.sleep(seconds)
        return seconds


class TrivialProtocol(Protocol):
    def get_housekeeping(self) -> dict[str, Any]:
        return {"GLAB_TRIVIAL_ANSWER": 42}


class TrivialProxy(DynamicProxy, TrivialInterface):
    settings_name = "Trivial Control Server"
    server_name = "trivial_cs"


def make_controller(context: ServerContext) -> TrivialController:
    return TrivialController(system_clock())


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
