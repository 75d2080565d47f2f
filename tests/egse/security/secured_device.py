"""A device server for tests of security: `python secured_device.py start`."""

from __future__ import annotations

from egse.command import dynamic_interface
from egse.control import ControlServerApp, ServerContext
from egse.proxy import DynamicProxy
from egse.security import observe


class SecuredInterface:
    @observe
    @dynamic_interface
    def look(self) -> int:
        """Returns how often `act` was called."""

    @dynamic_interface
    def act(self) -> int:
        """Does something and returns how often."""

    @dynamic_interface
    def stop(self) -> str:
        """Makes safe."""


class SecuredController(SecuredInterface):
    def __init__(self) -> None:
        self.acts = 0

    def look(self) -> int:
        return self.acts

    def act(self) -> int:
        self.acts += 1
        return self.acts

    def stop(self) -> str:
        return "stopped"


class SecuredProxy(DynamicProxy, SecuredInterface):
    settings_name = "Secured Control Server"
    server_name = "secured_cs"


def make_controller(context: ServerContext) -> SecuredController:
    return SecuredController()


APP = ControlServerApp(
    name="secured_cs",
    settings="Secured Control Server",
    title="Secured device",
    interface=SecuredInterface,
    controller=make_controller,
)

if __name__ == "__main__":
    APP.main()
