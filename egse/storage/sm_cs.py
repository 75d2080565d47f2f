"""The storage manager: `sm_cs start|stop|status`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from egse.clock import system_clock
from egse.command import CommandError
from egse.control import ControlServer, ControlServerApp, ServerContext
from egse.control_cli import port_lines
from egse.env import EnvError, get_data_storage_location, get_log_file_location, get_site_id
from egse.event import EVENT_ID
from egse.metrics.figures import Figure
from egse.protocol import Protocol
from egse.storage.disk import DiskLimits
from egse.storage.dry import DryRunStorageController
from egse.storage.interface import StorageInterface, StorageProxy
from egse.storage.loaded_setup import LoadedSetup, SetupFollower
from egse.storage.manager import StorageManager
from egse.storage.naming import LAST_SETUP_ID
from egse.storage.observation import ObservationInfo

logger = logging.getLogger(__name__)

LEVELS = ("ok", "low", "critical")
"""Levels of the disk in the order of their numbers in housekeeping."""
TICK = 1.0
"""How often the storage manager looks for a new UTC day [s]."""
CONFIGURATION_MANAGER = "Configuration Manager Control Server"
"""Its block in the Settings; its package stands above this one."""
LISTENER = {"name": "Storage CS", "proxy": StorageProxy, "event_id": EVENT_ID.SETUP}


def _observation(fields: dict[str, Any]) -> ObservationInfo:
    try:
        return msgspec.convert(fields, ObservationInfo)
    except msgspec.ValidationError as exc:
        raise CommandError(f"that describes no observation: {exc}") from exc


class StorageController(SetupFollower, StorageInterface):
    """Executes the commands of the storage manager.

    Args:
        manager: does the work.
        control_server: the server, for tasks outside a command.
    """

    def __init__(self, manager: StorageManager, control_server: ControlServer | None = None) -> None:
        self.manager = manager
        self.loaded_setup = LoadedSetup()
        self._control_server = control_server

    def register(self, item: dict[str, Any]) -> dict[str, Any]:
        return self.manager.register(item)

    def unregister(self, item: dict[str, Any]) -> None:
        self.manager.unregister(item)

    def new_registration(self, item: dict[str, Any], use_counter: bool = False) -> str:
        return self.manager.new_registration(item, use_counter)

    def save(self, item: dict[str, Any]) -> int:
        return self.manager.save(item)

    def read(self, item: dict[str, Any]) -> Any:
        return self.manager.read(item)

    def get_filenames(self, item: dict[str, Any]) -> list[str]:
        return self.manager.get_filenames(item)

    def get_registry_names(self) -> list[str]:
        return list(self.manager.producers.filenames)

    def get_storage_location(self) -> str:
        return str(self.manager.site_folder)

    def get_obsid(self) -> str | None:
        info = self.manager.observation
        return info.obsid if info else None

    def get_disk_usage(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self.manager.disk.usage())

    def start_observation(self, observation: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        return self.manager.start_observation(_observation(observation), files)

    def end_observation(
        self, run_id: str, status: str, reason: str = "", observation: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        info = None if observation is None else _observation(observation)
        return self.manager.end_observation(run_id, status, reason, info)

    def add_file(self, run_id: str, name: str, data: bytes) -> str:
        return self.manager.add_file(run_id, name, data)

    def add_supplement(self, obsid: str, name: str, data: bytes) -> str:
        return self.manager.add_supplement(obsid, name, data)

    def adopt_file(self, obsid: str, name: str, path: str) -> str:
        return self.manager.adopt_file(obsid, name, path)

    def append_events(self, run_id: str, first_seq: int, events: list[dict[str, Any]]) -> int:
        return self.manager.append_events(run_id, first_seq, events)

    def register_raw_file(self, path: str, obsid: str | None = None) -> str | None:
        return self.manager.register_raw_file(path, obsid)


class StorageProtocol(Protocol):
    """Housekeeping, status and scheduled work of the storage manager."""

    controller: StorageController

    def start(self) -> None:
        """Starts the background work."""
        self._next_check = float("-inf")
        self._check_interval = float(self.control_server.settings.get("DISK_CHECK_INTERVAL", 60.0))
        self.controller.manager.start()
        self.control_server.register_as_listener(
            proxy=CONFIGURATION_MANAGER, listener=LISTENER, on_registered=self._load_setup
        )
        self._tick()

    def _load_setup(self) -> None:
        """Catches up with what happened before the configuration manager knew this listener."""
        self.control_server.schedule_task(self.controller.load_setup)

    def _tick(self) -> None:
        self.control_server.schedule_task(self._tick, after=TICK)
        self.controller.manager.tick()
        now = system_clock().monotonic()
        if now >= self._next_check:
            self._next_check = now + self._check_interval
            self.controller.manager.disk.check(now)

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns counters and the state of the disk.

        `SM_DISK_LEVEL` is 0, 1 (low) or 2 (critical); `SM_SYNC_DELAY` the longest time from a row to the disk [s].
        """
        manager = self.controller.manager
        disk = manager.disk.usage()
        return {
            "SM_REGISTRATIONS": len(manager.producers),
            "SM_ROWS": manager.producers.rows,
            "SM_ROWS_REPEATED": manager.producers.repeated,
            "SM_OBSID": self.controller.get_obsid() or "",
            "SM_DISK_TOTAL": disk.total,
            "SM_DISK_USED": disk.used,
            "SM_DISK_FREE": disk.free,
            "SM_DISK_PERCENT": disk.percent,
            "SM_DISK_LEVEL": LEVELS.index(disk.level),
            "SM_SYNC_DELAY": round(manager.syncer.take_longest(), 3),
            "SM_SYNC_FAILURES": manager.syncer.failures,
        }

    def get_figures(self) -> Iterator[Figure]:
        """Returns the building blocks that run, for the annotations of dashboards, and how many have begun."""
        running, begun = self.controller.manager.building_blocks()
        yield Figure(
            "egse_building_block_running",
            "1 while this building block of the observation runs",
            tuple(({"block": name, "obsid": obsid}, 1.0) for obsid, name in running),
        )
        yield Figure.of(
            "egse_building_blocks_total", "Building blocks that have begun", float(begun), "counter"
        )

    def get_status(self) -> dict[str, Any]:
        """Returns what `sm_cs status` shows."""
        manager = self.controller.manager
        return {
            "storage location": str(manager.site_folder),
            "setup": self._loaded_setup(),
            "registrations": manager.producers.filenames,
            "rows": manager.producers.rows,
            "sync_failures": manager.syncer.failures,
            "obsid": self.controller.get_obsid(),
            "disk": msgspec.structs.asdict(manager.disk.usage()),
        }

    def _loaded_setup(self) -> str | None:
        """Returns the id of the loaded Setup; before it is fetched, the one that the data folder of the site names."""
        fetched = self.controller.loaded_setup.setup_id
        if fetched is not None:
            return fetched
        try:
            return f"{int((self.controller.manager.site_folder / LAST_SETUP_ID).read_text()):05d}"
        except (OSError, ValueError):
            return None

    def after_serve(self) -> None:
        """Takes leave of the configuration manager."""
        self.controller.loaded_setup.close()
        self.control_server.unregister_as_listener(proxy=CONFIGURATION_MANAGER, listener=LISTENER)

    def quit(self) -> None:
        """Puts everything on disk."""
        self.controller.manager.close()


def make_controller(ctx: ServerContext) -> StorageController | DryRunStorageController:
    """Returns the storage manager of this site."""
    if ctx.dry_run:
        return DryRunStorageController()
    settings = ctx.settings
    limits = DiskLimits(float(settings.get("DISK_LOW", 20.0)), float(settings.get("DISK_CRITICAL", 5.0)))
    folder = settings.get("FILE_STORAGE_LOCATION")
    manager = StorageManager(
        get_data_storage_location(),
        get_site_id(),
        system_clock(),
        fsync_interval=float(settings.get("FSYNC_INTERVAL", 1.0)),
        named_files=Path(folder).expanduser() if folder else None,
        limits=limits,
        log_folder=_log_folder(),
    )
    return StorageController(manager, ctx.control_server)


def _log_folder() -> Path | None:
    try:
        return get_log_file_location()
    except EnvError:
        return None


def status_lines(status: dict[str, Any], full: bool) -> list[str]:
    """Returns the lines of `sm_cs status` (manual, section 7.8)."""
    lines = [
        "Status: active",
        f"Hostname: {status['endpoints']['commanding'].split('//')[1].rpartition(':')[0]}",
        *port_lines(status),
        f"Storage location: {status['storage location']}",
        f"Loaded Setup: {status['setup'] or 'none'}",
        f"Registrations: {list(status['registrations'])}",
    ]
    disk = status["disk"]
    left = 100.0 - disk["percent"]
    if disk["level"] != "ok":
        lines.append(f"WARNING: the data disk gets full, {_gigabytes(disk['free'])} ({left:.1f} %) are free")
    if status["sync_failures"]:
        lines.append(f"WARNING: files could not be put on disk {status['sync_failures']} times, see the log")
    if full:
        lines.append("Filenames:")
        for origin, names in status["registrations"].items():
            lines += [f"  {origin}:", *(f"    {name}" for name in names)]
        obsid = status["obsid"]
        lines.append(f"An observation is registered: {obsid}" if obsid else "No observation is registered")
        lines += [
            f"Total disk space: {_gigabytes(disk['total'])}",
            f"Used disk space: {_gigabytes(disk['used'])} ({disk['percent']:.1f} %)",
            f"Free disk space: {_gigabytes(disk['free'])} ({left:.1f} %)",
        ]
    return lines


def _gigabytes(size: float) -> str:
    return f"{size / 2**30:.3f} GiB"


APP = ControlServerApp(
    name="sm_cs",
    settings="Storage Control Server",
    title="Storage Manager",
    interface=StorageInterface,
    controller=make_controller,
    protocol=StorageProtocol,
    proxy="egse.storage:StorageProxy",
    device=False,
    status_lines=status_lines,
)

if __name__ == "__main__":
    APP.main()
