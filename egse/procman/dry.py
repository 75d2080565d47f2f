"""The process manager of a dry run: nothing is started, everything that was asked for counts as running."""

from __future__ import annotations

from egse.event import Event
from egse.procman.interface import (
    CORE,
    DEVICE,
    PROGRAM,
    DeviceEntry,
    ProcessManagerError,
    ServerState,
    ServerStatus,
)
from egse.procman.inventory import PROGRAMS
from egse.procman.shortcuts import ProgramCommands
from egse.site.layout import SiteError
from egse.site.programs import core_entries, full_name


class DryRunProcessManager(ProgramCommands):
    """Answers as a process manager would for which every start succeeds; it knows no Setup."""

    def __init__(self) -> None:
        self._simulators: dict[str, bool] = {}

    def start_cs(self, name: str, sim_mode: bool = False) -> ServerStatus:
        full = self._startable(name)
        self._simulators[full] = sim_mode
        return self._status(full)

    def shut_down_cs(self, name: str) -> ServerStatus:
        full = self._startable(name)
        self._simulators.pop(full, None)
        return self._status(full)

    def start_egse(self, sim_mode: bool = False) -> dict[str, ServerStatus]:
        return {}

    def shut_down_egse(self) -> dict[str, ServerStatus]:
        names = [name for name in self._simulators if name not in PROGRAMS]
        return {name: self.shut_down_cs(name) for name in names}

    def get_devices(self) -> list[DeviceEntry]:
        return []

    def get_core(self) -> list[str]:
        return [entry.name for entry in core_entries()]

    def get_setup_id(self) -> str | None:
        return None

    def get_status(self, name: str) -> ServerStatus:
        core = self.get_core()
        found = next((known for known in (name, f"{name}_cs") if known in core), None)
        return self._status(found or self._startable(name))

    def get_all_status(self) -> dict[str, ServerStatus]:
        return {name: self._status(name) for name in (*self.get_core(), *self._simulators)}

    def handle_event(self, event: Event) -> None:
        return None

    def _startable(self, name: str) -> str:
        try:
            return full_name(name, also=PROGRAMS)
        except SiteError as exc:
            raise ProcessManagerError(str(exc)) from exc

    def _status(self, name: str) -> ServerStatus:
        core = name in self.get_core()
        return ServerStatus(
            name=name,
            title=name,
            kind=CORE if core else PROGRAM if name in PROGRAMS else DEVICE,
            state=ServerState.RUNNING if core or name in self._simulators else ServerState.STOPPED,
            simulator=self._simulators.get(name),
        )
