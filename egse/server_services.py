"""The services of a control server, executed on its services thread."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from egse.command import CommandDefinition, CommandError
from egse.services import ServiceInterface

if TYPE_CHECKING:
    from egse.server import ControlServer


class ServiceController(ServiceInterface):
    """Executes the service commands of one server."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server

    def get_process_status(self) -> dict[str, Any]:
        status = self._server.process_status.as_dict()
        return {**status, "delay": round(self._server.hk_lane.period * 1000)}

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
        return self._server.app.controller.__module__

    def get_commands(self) -> list[dict[str, Any]]:
        return [
            describe_command(definition) for definition, _ in self._server.executor.commands.table.values()
        ]

    def get_outcome(self, command_id: str) -> dict[str, Any]:
        return self._server.executor.outcomes.describe(command_id)

    def quit_server(self) -> str:
        self._server.stop()
        return f"{self._server.name} is ending"


def describe_command(definition: CommandDefinition) -> dict[str, Any]:
    """Returns a command as plain data: name, type, signature, documentation, parameters with units and ranges."""
    return {
        "name": definition.name,
        "type": definition.cmd_type,
        "signature": f"{definition.name}{definition.signature}",
        "doc": definition.doc,
        "parameters": [
            {"name": p.name, "unit": p.unit, "range": str(p.limits or ""), "required": p.required}
            for p in definition.parameters
        ],
        "unit": definition.returns.unit,
    }
