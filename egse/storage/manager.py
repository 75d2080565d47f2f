"""The storage manager without its server: producers, daily files, the open observation.

State machine of the observation on this side: none -> open -> sealed. It follows the configuration manager, which
repeats a request until it is answered; every step can therefore be repeated, and what is needed to go on after a crash
is in `StateFile` and in the observation's folder.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from egse.clock import Clock
from egse.decorators import fail_point
from egse.storage.account import look_at_software
from egse.storage.archive_files import ArchiveFiles
from egse.storage.commands import collect_commands
from egse.storage.disk import DiskLimits, DiskWatch, full_disk_is_named
from egse.storage.files import FolderLock
from egse.storage.hashing import BackgroundHasher
from egse.storage.logextract import extract_log
from egse.storage.manifest import FileEntry
from egse.storage.naming import parse_obsid, utc_text
from egse.storage.observation import (
    STATUSES,
    ObservationFolder,
    ObservationInfo,
)
from egse.storage.persistence import StorageError
from egse.storage.producers import Producers
from egse.storage.registry import Place
from egse.storage.state import ExternalFile, StateFile, StorageState
from egse.storage.syncing import Syncer

LOGGER = logging.getLogger(__name__)


class StorageManager:
    """Keeps the data of one site.

    Commands come from one thread; status and `tick` may come from others.

    Args:
        site_folder: data folder of the site; made when missing.
        site_id: site in the names of files.
        clock: gives the UTC day.
        fsync_interval: acknowledged rows are on disk at the latest after this time [s].
        named_files: folder of the files that a registration names; relative to `site_folder`, which it is by default.
        limits: when to warn that the disk gets full.
        log_folder: folder of the log, of which each observation gets an extract; None: of none.

    Raises:
        BlockingIOError: when another storage manager owns the folder.
    """

    def __init__(
        self,
        site_folder: Path,
        site_id: str,
        clock: Clock,
        fsync_interval: float = 1.0,
        named_files: Path | None = None,
        limits: DiskLimits | None = None,
        log_folder: Path | None = None,
    ) -> None:
        self.site_folder = site_folder
        self._clock = clock
        self._log_folder = log_folder
        self._lock = threading.RLock()
        self._folder_lock = FolderLock(site_folder, "sm")
        for name in ("daily", "obs"):
            (site_folder / name).mkdir(exist_ok=True, mode=0o750)
        self._hasher = BackgroundHasher()
        self._state_file = StateFile(site_folder / ".sm_state.json")
        self._folder: ObservationFolder | None = None
        self._external: dict[str, FileEntry | None] = {}
        self.syncer = Syncer(fsync_interval)
        place = Place(site_folder, site_id, site_folder / (named_files or ""))
        self.producers = Producers(place, clock, self.syncer)
        self.disk = DiskWatch(site_folder, limits)
        self._unsaved = False
        self._recover()

    # -- life ----------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        state = self._state_file.load()
        self.producers.recover(state.registrations)
        if state.observation is not None:
            self._recover_observation(ObservationFolder(self.site_folder, state.observation), state.external)
        self.producers.open()

    def _recover_observation(self, folder: ObservationFolder, external: Sequence[ExternalFile]) -> None:
        if folder.sealed:  # killed between the manifest and the state
            self._save_state()
            return
        LOGGER.info("observation %s is open still", folder.info.obsid)
        self._folder = folder
        self._external = {file.path: file.entry for file in external}
        for producer in self.producers:
            producer.start_mirror(folder)

    def start(self) -> None:
        """Begins to put acknowledged rows on disk in the background."""
        look_at_software()
        self.syncer.start()

    def close(self) -> None:
        """Puts everything on disk and closes all files; the observation stays open for the next start."""
        self.syncer.end()
        with self._lock:
            self.producers.close()
            self._hasher.close()
            self._folder_lock.release()

    def _save_state(self) -> None:
        self._unsaved = True
        self._state_file.save(
            StorageState(
                observation=self._folder.info if self._folder else None,
                external=[ExternalFile(path, entry) for path, entry in self._external.items()],
                registrations=[producer.registration for producer in self.producers],
            )
        )
        self._unsaved = False

    def tick(self) -> None:
        """Goes to a new day when one has begun, also for producers that are silent."""
        with self._lock:
            self.producers.cycle()

    # -- producers -----------------------------------------------------------------------------------------------

    def register(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Registers a producer; see `StorageInterface.register`."""
        with self._exclusive():
            producer, is_new = self.producers.register(item, self._folder)
            if is_new or self._unsaved:
                self._unsaved = True
                producer.open()
                self._save_state()
            return {"filenames": producer.filenames}

    def unregister(self, item: Mapping[str, Any]) -> None:
        """Forgets a producer and closes its files; unknown ones are ignored."""
        with self._exclusive():
            if self.producers.unregister(str(item.get("origin"))):
                self._save_state()

    def new_registration(self, item: Mapping[str, Any], use_counter: bool) -> str:
        """Begins a new file for a producer; see `StorageInterface.new_registration`."""
        with self._exclusive():
            producer = self.producers.begin_file(item, use_counter, self._folder)
            self._unsaved = True
            producer.open()
            self._save_state()
            return str(producer.main.path)

    def save(self, item: Mapping[str, Any]) -> int:
        """Writes rows of a producer; see `StorageInterface.save`."""
        with self._exclusive():
            return self.producers.save(item)

    def read(self, item: Mapping[str, Any]) -> Any:
        """Returns what the current main file of a producer holds; see `StorageInterface.read`."""
        with self._lock:
            return self.producers.read(item)

    def get_filenames(self, item: Mapping[str, Any]) -> list[str]:
        """Returns the paths of a producer's files."""
        with self._lock:
            return self.producers.find(item).filenames

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One command at a time; when the disk is full its error says so."""
        with self._lock, full_disk_is_named(self.site_folder):
            yield

    # -- observation ---------------------------------------------------------------------------------------------

    @property
    def observation(self) -> ObservationInfo | None:
        """The open observation."""
        folder = self._folder
        return folder.info if folder else None

    def building_blocks(self) -> tuple[list[tuple[str, str]], int]:
        """Returns the building blocks that run (full obsid, name), and how many have begun; from any thread."""
        folder = self._folder
        if folder is None:
            return [], 0
        return [(folder.info.obsid, name) for name in folder.blocks.names()], folder.blocks.begun

    def start_observation(self, info: ObservationInfo, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Opens the folder of an observation and begins to mirror into it; can be repeated.

        Args:
            info: the observation.
            files: what is in the folder from the beginning (the Setup), by name without prefix.

        Raises:
            StorageError: when another observation is open.
        """
        with self._exclusive():
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
        for producer in self.producers:
            producer.track.new_mirror()
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
        with self._exclusive():
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
            for producer in self.producers:
                producer.end_mirror()
        if not folder.sealed:
            folder.write_commands(
                collect_commands(self.site_folder, folder.info.obsid, folder.info.start[:10])
            )
            if self._log_folder is not None:
                folder.write_log(extract_log(self._log_folder, folder.info.obsid, folder.info.start))
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
        with self._exclusive():
            folder = self._open_run(run_id)
            mirrors = [producer.mirror.path for producer in self.producers if producer.mirror]
            return str(folder.add_file(name, data, mirrors))

    def append_events(self, run_id: str, first_seq: int, events: Sequence[Mapping[str, Any]]) -> int:
        """Appends events to the open observation; see `StorageInterface.append_events`."""
        with self._exclusive():
            return self._open_run(run_id).append_events(first_seq, events)

    def register_raw_file(self, path: str, obsid: str | None) -> str | None:
        """Makes a finished file in `daily/` part of an observation; see `StorageInterface.register_raw_file`."""
        with self._exclusive():
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
        with self._exclusive():
            folder = self._folder
            if folder is not None and _means(obsid, folder.info):
                return self.add_file(folder.info.run_id, name, data)
            archive = ArchiveFiles(self.site_folder)
            return str(archive.add_supplement(obsid, name, data, utc_text(self._clock.now())))

    def adopt_file(self, obsid: str, name: str, path: str) -> str:
        """Moves a finished file into an observation; see `StorageInterface.adopt_file`."""
        with self._exclusive():
            archive = ArchiveFiles(self.site_folder)
            folder = self._folder
            if folder is not None and _means(obsid, folder.info):
                return str(archive.move_into(folder, name, Path(path)))
            return str(archive.adopt_supplement(obsid, name, Path(path), utc_text(self._clock.now())))


def _means(obsid: str, info: ObservationInfo) -> bool:
    """Returns True when `obsid`, in any form, means this observation."""
    try:
        name = parse_obsid(obsid)
    except ValueError as exc:
        raise StorageError(str(exc)) from exc
    return name.test_id == info.test_id and name.setup_id in (None, info.setup_id)
