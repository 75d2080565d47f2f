"""What control servers have in common that follow the Setup: they register for new Setups, and fetch the one loaded before."""

from __future__ import annotations

from typing import Any, ClassVar

from egse.confman.interface import ConfigurationManagerProxy
from egse.control import ControlServer
from egse.protocol import Protocol


class SetupProtocol(Protocol):
    """Registers at the configuration manager for new Setups (manual, section 7.10).

    The Controller has `load_setup()`, which is called between two commands.

    Attributes:
        listener: how the server is registered: `name`, `proxy` (its Proxy class) and `event_id`.
    """

    listener: ClassVar[dict[str, Any]]

    def __init__(self, control_server: ControlServer, controller: Any) -> None:
        super().__init__(control_server, controller)
        control_server.register_as_listener(
            proxy=ConfigurationManagerProxy, listener=self.listener, on_registered=self._load_setup
        )

    def _load_setup(self) -> None:
        """Has the Setup fetched that was loaded before the configuration manager knew this listener."""
        self.control_server.schedule_task(self.controller.load_setup)

    def after_serve(self) -> None:
        """Takes leave of the configuration manager."""
        self.control_server.unregister_as_listener(proxy=ConfigurationManagerProxy, listener=self.listener)
