"""What there is: the core services, the programs that make files, the device servers of the active Setup."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from egse.process import SubProcess
from egse.procman.interface import CORE, DEVICE, PROGRAM, DeviceEntry, ProcessManagerError
from egse.setup import Setup
from egse.site.layout import SiteError
from egse.site.programs import Entry, Kind, core_entries, device_names, full_name, is_installed, known_entry
from egse.site.survey import DeviceInfo, ServerInfo, Survey, survey

logger = logging.getLogger(__name__)

PROGRAMS = {
    "fitsgen": "FITS generation",
    "fov_hk": "housekeeping of the field of view",
    "n_fee_hk": "housekeeping of the N-FEE",
}
"""The programs that make files (user manual, process manager)."""
PATIENCE = 8.0
"""How long a command waits for a Setup that is being looked at [s]."""


class Inventory:
    """The servers that the process manager knows.

    Whatever must be imported for that is imported in another process (`egse.site.survey`), in a thread of its own: a
    Setup, or a package, that is not as it should be does not harm this process.
    """

    def __init__(self) -> None:
        self.setup: Setup | None = None
        self._surveyed = Survey()
        self._lock = threading.Lock()
        self._newest = 0
        self._done = threading.Event()
        self._done.set()
        self._child: SubProcess | None = None
        self._closed = False
        self._installed = device_names()

    @property
    def setup_id(self) -> str | None:
        """Id of the Setup, five digits; None when there is none."""
        return None if self.setup is None else self.setup.get_id()

    def take(self, setup: Setup) -> None:
        """Takes the devices from this Setup from now on; returns at once."""
        with self._lock:
            self._newest += 1
            number = self._newest
            self._done.clear()
        threading.Thread(target=self._look, args=(setup, number), name="survey", daemon=True).start()

    def _look(self, setup: Setup, number: int) -> None:
        try:
            self._installed = device_names()
            names = [name for name in self._installed if name not in PROGRAMS]
            known = [name for name in names if known_entry(name) is not None]
            found = survey(setup, names, known, on_child=self._remember)
        except Exception:  # the thread's last word: the former devices stay
            logger.exception("the devices of Setup %s are not known", setup.get_id())
            found = self._surveyed
        with self._lock:
            if number != self._newest or self._closed:
                return
            self.setup, self._surveyed = setup, found
            self._done.set()
        _report(setup, found)

    def _remember(self, child: SubProcess) -> None:
        self._child = child
        if self._closed:
            child.stop(timeout=0.0)

    def close(self) -> None:
        """Ends a survey that is under way."""
        self._closed = True
        if self._child is not None and self._child.is_running:
            self._child.stop(timeout=0.0)

    def wait(self) -> None:
        """Waits until the Setup that came last has been looked at.

        Raises:
            ProcessManagerError: when that takes too long.
        """
        if not self._done.wait(PATIENCE):
            raise ProcessManagerError(
                "the devices of the Setup are still being looked at: try again in a moment"
            )

    def devices(self) -> list[DeviceEntry]:
        """Returns the devices of the Setup."""
        return [self._device(device) for device in self._surveyed.devices]

    def _device(self, device: DeviceInfo) -> DeviceEntry:
        server = self._entry(device.server) if device.server else None
        found = self._surveyed.servers.get(device.server)
        return DeviceEntry(
            place=device.place,
            label=device.label,
            device=device.device,
            server=device.server,
            title=server.title if server else "",
            settings=server.settings if server else "",
            problem=device.problem or (found.problem if found else ""),
        )

    def device_servers(self) -> list[str]:
        """Returns the names of the servers of the Setup's devices, each once."""
        return list(dict.fromkeys(device.server for device in self._surveyed.devices if device.server))

    def places(self, name: str) -> tuple[str, ...]:
        """Returns where the Setup names the device of this server."""
        return tuple(device.place for device in self._surveyed.devices if device.server == name)

    def entries(self) -> list[Entry]:
        """Returns everything that can run: core services, programs, installed device servers."""
        programs = [name for name in PROGRAMS if is_installed(name)]
        devices = [name for name in self._installed if name not in PROGRAMS]
        return [*core_entries(), *map(self._entry, [*programs, *devices])]

    def entry(self, name: str) -> Entry:
        """Returns a server by its name, with or without `_cs`.

        Raises:
            ProcessManagerError: when there is none, with the names there are.
        """
        core = {entry.name: entry for entry in core_entries()}
        for candidate in (name, f"{name}_cs"):
            if candidate in core:
                return core[candidate]
        return self.startable(name)

    def startable(self, name: str) -> Entry:
        """Returns what may be started and stopped here: a device server or a program.

        Raises:
            ProcessManagerError: when there is none of this name, or it is a core service.
        """
        try:
            full = full_name(name, also=PROGRAMS)
        except SiteError as exc:
            raise ProcessManagerError(str(exc)) from exc
        self._get_to_know(full)
        return self._entry(full)

    def _get_to_know(self, name: str) -> None:
        """Has a server of another package looked at that no Setup has needed so far: it may be new."""
        if known_entry(name) is None and name not in PROGRAMS and name not in self._surveyed.servers:
            found = survey(names=[name], on_child=self._remember)
            with self._lock:
                self._installed = sorted({*self._installed, name})
                servers = {**self._surveyed.servers, **found.servers}
                self._surveyed = Survey(servers=servers, devices=self._surveyed.devices)

    def _entry(self, name: str) -> Entry:
        known = known_entry(name)
        if known is not None:
            return replace(known, needs=())
        if name in PROGRAMS:
            return Entry(name, Kind.CONSUMER, PROGRAMS[name])
        server = self._surveyed.servers.get(name) or ServerInfo(name=name, title=name)
        return Entry(name, Kind.DEVICE, server.title, server.settings)


def kind_of(entry: Entry) -> str:
    """Returns what a server is: `core`, `device` or `program`."""
    if entry.kind is Kind.CORE:
        return CORE
    return PROGRAM if entry.name in PROGRAMS else DEVICE


def _report(setup: Setup, found: Survey) -> None:
    """Logs what was found."""
    for server in found.servers.values():
        if server.problem:
            logger.warning("the control server %s cannot be imported: %s", server.name, server.problem)
    for device in found.devices:
        if device.problem:
            logger.warning("%s of the Setup has no control server here: %s", device.place, device.problem)
    servers = list(dict.fromkeys(device.server for device in found.devices if device.server))
    logger.info("devices of Setup %s: %s", setup.get_id(), ", ".join(servers) or "none")
