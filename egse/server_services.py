"""The services of a control server, executed on its services thread."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from egse.catalogue import describe_command
from egse.command import CommandError
from egse.journal import last_records
from egse.listener import Listener
from egse.maintenance import OWN_COMMANDS
from egse.services import ServiceInterface

if TYPE_CHECKING:
    from egse.server import ControlServer


class ServiceController(ServiceInterface):
    """Executes the service commands of one server."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server

    def get_process_status(self) -> dict[str, Any]:
        return self._server.get_process_status()

    def get_server_status(self) -> dict[str, Any]:
        return self._server.status()

    def set_hk_frequency(self, freq: float) -> float:
        return self._server.hk_lane.set_frequency(freq)

    def set_monitoring_frequency(self, freq: float) -> float:
        return self._server.monitoring_lane.set_frequency(freq)

    def set_logging_level(self, name: str, level: str | int) -> str:
        target = logging.getLogger(None if name == "root" else name)
        try:
            target.setLevel(level.upper() if isinstance(level, str) else level)
        except ValueError as exc:
            raise CommandError(
                f"{level!r} is no logging level; use DEBUG, INFO, WARNING, ERROR or CRITICAL"
            ) from exc
        return logging.getLevelName(target.level)

    def get_cs_module(self) -> str:
        return self._server.app.find_module()

    def get_commands(self) -> list[dict[str, Any]]:
        table = self._server.executor.commands.table
        return [
            describe_command(definition)
            for definition, _ in table.values()
            if definition.name not in OWN_COMMANDS
        ]

    def get_outcome(self, command_id: str) -> dict[str, Any]:
        return self._server.executor.outcomes.describe(command_id)

    def add_listener(self, listener: dict[str, Any]) -> list[str]:
        self._server.listeners.add(Listener.of(listener))
        return self._server.get_listener_names()

    def remove_listener(self, listener: dict[str, Any]) -> bool:
        return self._server.listeners.remove(str(listener.get("name", "")))

    def get_journal(self, last: int = 100) -> list[dict[str, Any]]:
        journal = self._server.journal
        return (
            []
            if journal is None
            else [msgspec.to_builtins(record) for record in last_records(journal.folder, last)]
        )

    def confirm_event(self, source: str, name: str, number: int) -> None:
        if source == self._server.name:
            self._server.listeners.confirm(name, number)

    def get_event_states(self) -> dict[str, str]:
        return self._server.listeners.states()

    def get_listener_names(self) -> list[str]:
        return self._server.get_listener_names()

    def quit_server(self) -> str:
        self._server.stop()
        return f"{self._server.name} is ending"
