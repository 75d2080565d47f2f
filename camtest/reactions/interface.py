"""Commands of the process of automatic reactions, and the proxy that sends them."""

from __future__ import annotations

from typing import Any

from egse.command import dynamic_interface
from egse.event import EventInterface
from egse.proxy import DynamicProxy, command_origin
from egse.security.roles import always_allowed, observe

SETTINGS = "Reaction Control Server"


class ReactionInterface(EventInterface):
    """Which reactions there are, how they stand, and cancelling one."""

    @observe
    @dynamic_interface
    def get_reactions(self) -> list[dict[str, Any]]:
        """Returns the table of the loaded Setup, the most urgent first, with how each reaction stands.

        Returns:
            `name`, `alarms`, `at`, `function`, `priority`, `warning` [s], `timeout` [s], `safes`, `description`; `stage`
            (empty when nothing is on), `due` (when it begins, Unix time [s]), `because` (the alarms), `text`, `obsid`.
        """

    @observe
    @dynamic_interface
    def get_problems(self) -> list[str]:
        """Returns what is wrong with the table of the loaded Setup, with file, line and key path."""

    @always_allowed
    @dynamic_interface
    def cancel_reaction(self, name: str, reason: str, by: str = "") -> dict[str, Any]:
        """Cancels a reaction in its warning period; it does not begin as long as its alarm stays.

        Args:
            name: of the reaction.
            reason: why, for the record; it must be given.
            by: who, `user@host:pid`; filled in by the proxy.

        Raises:
            CommandError: when it is not announced, or no reason is given.
        """


class ReactionProxy(DynamicProxy, ReactionInterface):
    """Client of the process of automatic reactions."""

    settings_name = SETTINGS
    server_name = "fdir_cs"

    def cancel_reaction(self, name: str, reason: str, by: str = "") -> dict[str, Any]:
        """See `ReactionInterface.cancel_reaction`; says who asks."""
        return super().cancel_reaction(name, reason, by or command_origin())
