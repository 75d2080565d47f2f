"""A device server with a command that is answered later: `python deferring_device.py start`."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from egse.command import dynamic_interface
from egse.control import ControlServerApp, ServerContext
from egse.deferral import deferred
from egse.proxy import DynamicProxy


class DeferringInterface:
    @deferred
    @dynamic_interface
    def fetch(self, name: str) -> str:
        """Returns what `provide` gives for this name."""

    @dynamic_interface
    def provide(self, name: str, text: str) -> int:
        """Gives it; a ValueError for the text "bad". Returns how often `fetch` has begun."""

    @dynamic_interface
    def unmarked(self) -> str:
        """Returns a future without being allowed to."""

    @dynamic_interface
    def wait(self, seconds: float) -> str:
        """Blocks for a while."""


class DeferringController(DeferringInterface):
    def __init__(self) -> None:
        self.futures: dict[str, Future[str]] = {}
        self.begun = 0

    def fetch(self, name: str) -> Future[str]:  # type: ignore[override]
        self.begun += 1
        return self.futures.setdefault(name, Future())

    def provide(self, name: str, text: str) -> int:
        future = self.futures.setdefault(name, Future())
        done = future.set_exception if text == "bad" else future.set_result
        threading.Thread(target=done, args=(ValueError(text) if text == "bad" else text,)).start()
        return self.begun

    def unmarked(self) -> str:
        return Future()  # type: ignore[return-value]

    def wait(self, seconds: float) -> str:
        threading.Event().wait(seconds)
        return "done"


class DeferringProxy(DynamicProxy, DeferringInterface):
    settings_name = "Bench Control Server"
    server_name = "bench_cs"


def make_controller(context: ServerContext) -> DeferringController:
    return DeferringController()


APP = ControlServerApp(
    name="bench_cs",
    settings="Bench Control Server",
    title="A device that answers later",
    interface=DeferringInterface,
    controller=make_controller,
)

if __name__ == "__main__":
    APP.main()
