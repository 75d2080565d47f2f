"""A device server of a few lines, for tests of the generic server: `python bench_device.py start`."""

from __future__ import annotations

import threading
from typing import Annotated, Any

import numpy as np

from egse.command import Range, Unit, dynamic_interface, needs_setup, urgent
from egse.control import ControlServerApp, ServerContext
from egse.protocol import Protocol
from egse.proxy import DynamicProxy


class BenchInterface:
    @dynamic_interface
    def add(self, a: float, b: Annotated[float, Range(0, 10), Unit("V")]) -> float:
        """Returns the sum."""

    @dynamic_interface
    def wait(self, seconds: float) -> str:
        """Blocks for a while."""

    @dynamic_interface
    def fail(self, text: str) -> None:
        """Raises a ValueError."""

    @dynamic_interface
    def image(self, rows: int) -> Any:
        """Returns an array of zeros with shape (rows, 4)."""

    @dynamic_interface
    def count(self) -> int:
        """Returns how often this was called."""

    @needs_setup
    @dynamic_interface
    def aim(self, field: int) -> int:
        """Returns the field; which direction that is stands in the Setup."""

    @urgent
    @dynamic_interface
    def stop(self) -> int:
        """Returns how often `count` was called before."""


class BenchController(BenchInterface):
    def __init__(self) -> None:
        self.calls = 0

    def add(self, a: float, b: float) -> float:
        return a + b

    def wait(self, seconds: float) -> str:
        threading.Event().wait(seconds)
        return "done"

    def fail(self, text: str) -> None:
        raise ValueError(text)

    def image(self, rows: int) -> Any:
        return np.zeros((rows, 4), dtype="<u2")

    def count(self) -> int:
        self.calls += 1
        return self.calls

    def aim(self, field: int) -> int:
        return field

    def stop(self) -> int:
        return self.calls


class BenchProtocol(Protocol):
    def get_housekeeping(self) -> dict[str, Any]:
        return {"GLAB_BENCH_CALLS": self.controller.calls}

    def get_status(self) -> dict[str, Any]:
        return {"calls": self.controller.calls}


class BenchProxy(DynamicProxy, BenchInterface):
    settings_name = "Bench Control Server"
    server_name = "bench_cs"


def make_controller(context: ServerContext) -> BenchController:
    return BenchController()


APP = ControlServerApp(
    name="bench_cs",
    settings="Bench Control Server",
    title="Test bench",
    interface=BenchInterface,
    controller=make_controller,
    protocol=BenchProtocol,
)

if __name__ == "__main__":
    APP.main()
