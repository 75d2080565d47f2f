"""The storage manager without its server: producers, daily files, the open observation.

State machine of the observation on this side: none -> open -> sealed. It follows the configuration manager, which
repeats a request until it is answered; every step can therefore be repeated, and what is needed to go on after a crash
is in `StateFile` and in the observation's folder.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from egse.clock import Clock
from egse.decorators import fail_point
from egse.storage.archive_files import ArchiveFiles
from egse.storage.commands import collect_commands
from egse.storage.files import FolderLock
from egse.storage.hashing import BackgroundHasher
from egse.storage.manifest import FileEntry
from egse.storage.naming import parse_obsid, utc_text
from egse.storage.observation import (
    STATUSES,
    ObservationFolder,
    ObservationInfo,
)
from egse.storage.persistence import StorageError
from egse.storage.registry import Producer, Registration
from egse.storage.state import ExternalFile, StateFile, StorageState
from egse.storage.syncing import Syncer

LOGGER = logging.getLogger(__name__)

SECONDS_PER_DAY = 86_400.0


class StorageManager:
    """Keeps the data of one site.

    Commands come from one thread; status and `tick` may come from others.

    Args:
        site_folder: data folder of the site; made when missing.
        site_id: site in the names of files.
        clock: gives the UTC day.
        fsync_interval: acknowledged rows are on disk at the latest after this time [s].

    Raises:
        BlockingIOError: when another storage manager owns the folder.
    """

    def __init__(self, site_folder: Path, site_id: str, clock: Clock, fsync_interval: float = 1.0) -> None:
        self.site_folder = site_folder
        self.site_id = site_id
        self._clock = clock
        self._lock = threading.RLock()
        self._folder_lock = FolderLock(site_folder, "sm")
        for name in ("daily", "obs"):
            (site_folder / name).mkdir(exist_ok=True, mode=0o750)
        self._hasher = BackgroundHasher()
        self._state_file = StateFile(site_folder / ".sm_state.json")
        self._producers: dict[str, Producer] = {}
        self._folder: ObservationFolder | None = None
        self._external: dict[str, FileEntry | None] = {}
        self._syncer = Syncer(fsync_interval)
        self._day_begins = clock.now() // SECONDS_PER_DAY * SECONDS_PER_DAY
        self.rows = 0
        self._recover()

    # -- life ----------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        state = self._state_file.load()
        for registration in state.registrations:
            self._add_producer(registration)
        if state.observation is not None:
            self._recover_observation(ObservationFolder(self.site_folder, state.observation), state.external)

    def _recover_observation(self, folder: ObservationFolder, external: Sequence[ExternalFile]) -> None:
        if folder.sealed:  # killed between the manifest and the state
            self._save_state()
            return
        LOGGER.info("observation %s is open still", folder.info.obsid)
        self._folder = folder
        self._external = {file.path: file.entry for file in external}
        for producer in self._producers.values():
            producer.start_mirror(folder)

    def start(self) -> None:
        """Begins to put acknowledged rows on disk in the background."""
        self._syncer.start()

    def close(self) -> None:
        """Puts everything on disk and closes all files; the observation stays open for the next start."""
        self._syncer.end()
        with self._lock:
            for producer in self._producers.values():
                self._syncer.sync(producer.files)
                producer.close()
            self._hasher.close()
            self._folder_lock.release()

    def _save_state(self) -> None:
        self._state_file.save(
            StorageState(
                observation=self._folder.info if self._folder else None,
                external=[ExternalFile(path, entry) for path, entry in self._external.items()],
                registrations=[producer.registration for producer in self._producers.values()],
            )
        )

    def tick(self) -> None:
        """Goes to a new day when one has begun, also for producers that are silent."""
        with self._lock:
            self._cycle()

    def _cycle(self) -> None:
        now = self._clock.now()
        if self._day_begins <= now < self._day_begins + SECONDS_PER_DAY:
            return
        for producer in self._producers.values():
            self._syncer.sync(producer.files)
            if producer.cycle(now):
                producer.main.open()
        self._day_begins = now // SECONDS_PER_DAY * SECONDS_PER_DAY

    # -- producers -----------------------------------------------------------------------------------------------

    def register(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Registers a producer; see `StorageInterface.register`."""
        registration = Registration.from_item(item)
        with self._lock:
            producer = self._producers.get(registration.origin)
            if producer is not None and producer.registration == registration:
                producer.main.open()
                return {"filenames": self._filenames(producer)}
            if producer is not None:
                LOGGER.warning("%s registers again; its new registration takes over", registration.origin)
                producer.close()
            producer = self._add_producer(registration)
            self._save_state()
            return {"filenames": self._filenames(producer)}

    def _add_producer(self, registration: Registration) -> Producer:
        producer = Producer(registration, self.site_folder, self.site_id, self._clock.now())
        producer.main.open()
        if self._folder is not None:
            producer.start_mirror(self._folder)
        self._producers[registration.origin] = producer
        return producer

    def unregister(self, item: Mapping[str, Any]) -> None:
        """Forgets a producer and closes its files; unknown ones are ignored."""
        with self._lock:
            producer = self._producers.pop(str(item.get("origin")), None)
            if producer is not None:
                self._syncer.sync(producer.files)
                producer.close()
                self._save_state()

    def new_registration(self, item: Mapping[str, Any], use_counter: bool) -> str:
        """Begins a new file for a producer; see `StorageInterface.new_registration`."""
        registration = Registration.from_item(item)
        with self._lock:
            known = self._producers.get(registration.origin)
            if known is not None:
                counters = known.registration
                registration = msgspec.structs.replace(
                    registration, counter=counters.counter, counter_day=counters.counter_day
                )
                known.close()
            now = self._clock.now()
            producer = Producer(registration, self.site_folder, self.site_id, now)
            if use_counter:
                producer.use_counter(producer.next_counter())
            if registration.persistence_class != "HDF5":
                producer.main.open()
            if self._folder is not None:
                producer.start_mirror(self._folder)
            self._producers[registration.origin] = producer
            self._save_state()
            return str(producer.main.path)

    def _producer(self, item: Mapping[str, Any]) -> Producer:
        origin = str(item.get("origin"))
        producer = self._producers.get(origin)
        if producer is None:
            raise StorageError(f"{origin!r} is not registered at the storage manager; register it first")
        return producer

    def save(self, item: Mapping[str, Any]) -> int:
        """Writes rows of a producer; see `StorageInterface.save`."""
        with self._lock:
            producer = self._producer(item)
            data = item.get("data")
            rows: Sequence[Any] = data if isinstance(data, (list, tuple)) else [data]
            if not rows or data is None:
                return 0
            self._cycle()
            resend = bool(item.get("resend"))
            for file in producer.files:
                file.append(rows, resend=resend)
                self._syncer.touch(file)
            producer.rows += len(rows)
            self.rows += len(rows)
            return len(rows)

    def read(self, item: Mapping[str, Any]) -> Any:
        """Returns what the current main file of a producer holds; see `StorageInterface.read`."""
        with self._lock:
            return self._producer(item).main.read(item.get("select"))

    @staticmethod
    def _filenames(producer: Producer) -> list[str]:
        return [str(file.path) for file in producer.files]

    def get_filenames(self, item: Mapping[str, Any]) -> list[str]:
        """Returns the paths of a producer's files."""
        with self._lock:
            return self._filenames(self._producer(item))

    @property
    def registrations(self) -> dict[str, list[str]]:
        """Names of all producers with the paths of their files; never waits for a command that is running."""
        return {origin: self._filenames(producer) for origin, producer in list(self._producers.items())}

    # -- observation ---------------------------------------------------------------------------------------------

    @property
    def observation(self) -> ObservationInfo | None:
        """The open observation."""
        folder = self._folder
        return folder.info if folder else None

    def start_observation(self, info: ObservationInfo, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Opens the folder of an observation and begins to mirror into it; can be repeated.

        Args:
            info: the observation.
            files: what is in the folder from the beginning (the Setup), by name without prefix.

        Raises:
            StorageError: when another observation is open.
        """
        with self._lock:
            folder = self._folder
            if folder is not None and folder.info.run_id != info.run_id:
                raise StorageError(f"observation {folder.info.obsid} is open; end it before {info.obsid}")
            if folder is None:
                folder = ObservationFolder(self.site_folder, info)
                if not (folder.belongs_here() and folder.sealed):
                    self._open_folder(folder, files)
            return {
                "run_id": info.run_id,
                "folder": str(folder.path),
                "prefix": info.prefix,
                "sealed": folder.sealed,
            }

    def _open_folder(self, folder: ObservationFolder, files: Mapping[str, bytes]) -> None:
        fail_point("sm.start.before_folder")
        folder.create(files)
        fail_point("sm.start.after_folder")
        self._folder = folder
        self._external = {}
        try:
            self._save_state()
        except OSError:
            self._folder = None
            raise
        fail_point("sm.start.after_state")
        for producer in self._producers.values():
            producer.start_mirror(folder)
        LOGGER.info("Observation started with obsid=%s", folder.info.obsid)

    def end_observation(
        self, run_id: str, status: str, reason: str = "", info: ObservationInfo | None = None
    ) -> dict[str, Any]:
        """Seals the folder of an observation with its manifest; can be repeated.

        Args:
            run_id: the observation.
            status: how it ended, see `STATUSES`.
            reason: why, for people.
            info: the observation; with it one that was never opened here gets a folder, too.

        Raises:
            StorageError: when the observation is not known here.
        """
        if status not in STATUSES:
            raise StorageError(f"{status!r} is no status of an observation; use {', '.join(STATUSES)}")
        with self._lock:
            folder = self._folder
            if folder is None or folder.info.run_id != run_id:
                if info is None:
                    raise StorageError(f"run {run_id} is not open at the storage manager")
                folder = ObservationFolder(self.site_folder, info)
                folder.create({})
            return self._seal(folder, status, reason)

    def _seal(self, folder: ObservationFolder, status: str, reason: str) -> dict[str, Any]:
        fail_point("sm.end.before_seal")
        is_open = folder is self._folder
        if is_open:
            for producer in self._producers.values():
                producer.end_mirror()
        if not folder.sealed:
            folder.write_commands(
                collect_commands(self.site_folder, folder.info.obsid, folder.info.start[:10])
            )
        external = self._external_entries() if is_open and not folder.sealed else []
        manifest, checksum = folder.seal(status, reason, utc_text(self._clock.now()), external)
        fail_point("sm.end.after_seal")
        if is_open:
            self._folder = None
            self._external = {}
            self._save_state()
            fail_point("sm.end.after_state")
            LOGGER.info("Observation ended with obsid=%s, status %s", manifest.obsid, manifest.status)
        return {
            "run_id": manifest.run_id,
            "obsid": manifest.obsid,
            "status": manifest.status,
            "end": manifest.end,
            "files": len(manifest.files),
            "external": len(manifest.external),
            "folder": str(folder.path),
            "manifest_sha256": checksum,
        }

    def _external_entries(self) -> list[FileEntry]:
        entries = []
        for path, entry in self._external.items():
            try:
                entries.append(entry or self._hasher.result(self.site_folder / path, self.site_folder))
            except OSError as exc:
                # The manifest says that it belonged here; `verify` then reports it as missing.
                LOGGER.error("raw file %s of the observation cannot be read: %s", path, exc)
                entries.append(FileEntry(path, -1, ""))
        return entries

    def _open_run(self, run_id: str) -> ObservationFolder:
        folder = self._folder
        if folder is None or folder.info.run_id != run_id:
            known = f"; open is {folder.info.obsid}" if folder else ""
            raise StorageError(f"run {run_id} is not open at the storage manager{known}")
        return folder

    def add_file(self, run_id: str, name: str, data: bytes) -> str:
        """Puts a file into the open observation; see `StorageInterface.add_file`."""
        with self._lock:
            folder = self._open_run(run_id)
            mirrors = [producer.mirror.path for producer in self._producers.values() if producer.mirror]
            return str(folder.add_file(name, data, mirrors))

    def append_events(self, run_id: str, first_seq: int, events: Sequence[Mapping[str, Any]]) -> int:
        """Appends events to the open observation; see `StorageInterface.append_events`."""
        with self._lock:
            return self._open_run(run_id).append_events(first_seq, events)

    def register_raw_file(self, path: str, obsid: str | None) -> str | None:
        """Makes a finished file in `daily/` part of an observation; see `StorageInterface.register_raw_file`."""
        with self._lock:
            archive = ArchiveFiles(self.site_folder)
            file = archive.check_raw_file(Path(path))
            name = file.relative_to(self.site_folder).as_posix()
            folder = self._folder
            if folder is not None and (not obsid or _means(obsid, folder.info)):
                if name not in self._external:
                    self._external[name] = None
                    self._save_state()
                    self._hasher.submit(file, self.site_folder)
                return folder.info.obsid
            if not obsid:
                return None
            archive.supplement(obsid, file, utc_text(self._clock.now()), external=True)
            return obsid

    def add_supplement(self, obsid: str, name: str, data: bytes) -> str:
        """Adds a derived file to an observation; see `StorageInterface.add_supplement`."""
        with self._lock:
            folder = self._folder
            if folder is not None and _means(obsid, folder.info):
                return self.add_file(folder.info.run_id, name, data)
            archive = ArchiveFiles(self.site_folder)
            return str(archive.add_supplement(obsid, name, data, utc_text(self._clock.now())))

    def adopt_file(self, obsid: str, name: str, path: str) -> str:
        """Moves a finished file into an observation; see `StorageInterface.adopt_file`."""
        with self._lock:
            archive = ArchiveFiles(self.site_folder)
            folder = self._folder
            if folder is not None and _means(obsid, folder.info):
                return str(archive.move_into(folder, name, Path(path)))
            return str(archive.adopt_supplement(obsid, name, Path(path), utc_text(self._clock.now())))

    # -- status --------------------------------------------------------------------------------------------------

    def get_disk_usage(self) -> dict[str, float]:
        """Returns total, used and free [bytes] and the used part [%] of the data disk."""
        usage = shutil.disk_usage(self.site_folder)
        return {
            "total": usage.total,
            "used": usage.used,
            "free": usage.free,
            "percent": round(100.0 * usage.used / usage.total, 1),
        }


def _means(obsid: str, info: ObservationInfo) -> bool:
    """Returns True when `obsid`, in any form, means this observation."""
    try:
        name = parse_obsid(obsid)
    except ValueError as exc:
        raise StorageError(str(exc)) from exc
    return name.test_id == info.test_id and name.setup_id in (None, info.setup_id)
