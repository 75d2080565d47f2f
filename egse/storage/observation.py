"""The folder of one observation: opened, filled, sealed with a manifest, supplemented afterwards.

```
obs/01151_CSL1_chimay/
    README.txt                                       what this folder holds
    observation.json                                 which observation, as known at its start
    01151_CSL1_chimay_setup.yaml                     the Setup, frozen
    01151_CSL1_chimay_PUNA_20230620_095819.csv       housekeeping, the same rows as in daily/
    01151_CSL1_chimay_telemetry.csv                  unit and meaning of every column of these files (at the seal)
    01151_CSL1_chimay_events.jsonl                   what happened, one JSON object per line, numbered by `seq`
    01151_CSL1_chimay_log.jsonl                      what the log says about this time (at the seal)
    01151_CSL1_chimay_<name>                         files added while it ran (executed notebook, reports)
    manifest.json                                    written last: size and SHA-256 of every file, raw files included
    supplements.jsonl                                what was added after sealing (FITS cubes, reduced data)
```
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from egse.files import fsync_folder, write_atomically
from egse.storage.account import LOG_FILE, describe
from egse.storage.blocks import RunningBlocks
from egse.storage.files import repair_tail, sha256_of, write_all
from egse.storage.manifest import (
    MANIFEST,
    SUPPLEMENTS,
    UNLISTED,
    FileEntry,
    Link,
    Manifest,
    Supplement,
    entry_of,
    read_manifest,
    read_supplements,
)
from egse.storage.naming import ObservationName, check_name
from egse.storage.selfdescription import TELEMETRY, describe_parameters, write_readme
from egse.storageerrors import StorageError
from egse.system import str_to_datetime

LOGGER = logging.getLogger(__name__)

DESCRIPTION = "observation.json"
STATUSES = ("done", "failed", "aborted", "interrupted", "kernel-lost", "orphaned")
"""How an observation can have ended."""


class ObservationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an observation when it starts.

    Attributes:
        run_id: name given by the client; a repeated request with the same name means the same observation.
        test_id: number at its site.
        site_id: test house.
        setup_id: active Setup.
        camera: name of the camera in names of files, None when the Setup has none.
        start: UTC, `YYYY-mm-ddTHH:MM:SS.mmm+0000`.
        function: what was executed, as in the obsid table.
        description: free text.
        supervised: a runner watches it (else somebody at a prompt).
        lease: how long it lives without a sign of life [s].
        origin: who started it, `user@host:pid`.
        details: notebook, parameters, versions, ... as given by the client.
        setup_sha256: checksum of the Setup's file.
        previous: the observation before this one; None for the first.
    """

    run_id: str
    test_id: int
    site_id: str
    setup_id: int
    start: str
    camera: str | None = None
    function: str = "unknown_function()"
    description: str = ""
    supervised: bool = False
    lease: float = 0.0
    origin: str = ""
    details: dict[str, Any] = {}
    setup_sha256: str = ""
    previous: Link | None = None

    @property
    def name(self) -> ObservationName:
        """All names that follow from the identifiers."""
        return ObservationName(self.test_id, self.site_id, self.setup_id, self.camera)

    @property
    def obsid(self) -> str:
        """Full obsid, `SITE_SETUP_TEST`."""
        return self.name.obsid

    @property
    def prefix(self) -> str:
        """Name of the folder and start of the names of its files."""
        return self.name.prefix


def read_description(folder: Path) -> ObservationInfo | None:
    """Returns what an observation folder says about its observation; None for folders of older systems.

    Raises:
        ValueError: when the file is damaged.
    """
    try:
        return msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=ObservationInfo)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as exc:
        raise ValueError(f"{folder / DESCRIPTION} cannot be read: {exc}") from exc


class ObservationFolder:
    """The folder of an observation on the side of the storage manager.

    Args:
        site_folder: data folder of the site; the observation goes below its `obs/`.
        info: the observation.
    """

    def __init__(self, site_folder: Path, info: ObservationInfo) -> None:
        self.site_folder = site_folder
        self.info = info
        self.path = site_folder / "obs" / info.prefix
        self._next_seq: int | None = None
        self.blocks = RunningBlocks()

    @property
    def sealed(self) -> bool:
        """True when the manifest is there: nothing of what it lists may change any more."""
        return (self.path / MANIFEST).exists()

    def file(self, name: str) -> Path:
        """Returns the path of `<prefix>_<name>`."""
        return self.path / f"{self.info.prefix}_{name}"

    def mirror_file(self, mnemonic: str, extension: str) -> Path:
        """Returns the path of the observation's copy of a producer's rows."""
        start = str_to_datetime(self.info.start)
        return self.file(f"{mnemonic}_{start:%Y%m%d_%H%M%S}.{extension}")

    def belongs_here(self) -> bool:
        """Returns True when the folder exists and is that of this run, False when there is none yet.

        Raises:
            StorageError: when it belongs to another run.
        """
        known = read_description(self.path)
        if known is not None and known.run_id != self.info.run_id:
            raise StorageError(f"{self.path} belongs to another run ({known.run_id})")
        return known is not None

    def create(self, files: Mapping[str, bytes]) -> None:
        """Makes the folder and what describes it; can be repeated.

        Args:
            files: more files to begin with (the Setup), by name without prefix.

        Raises:
            StorageError: when the folder belongs to another observation.
        """
        described = self.belongs_here()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o750)
        if not described:
            for name, data in files.items():
                write_atomically(self.file(check_name(name)), data)
            write_readme(self.path, self.info)
            write_atomically(
                self.path / DESCRIPTION, msgspec.json.format(msgspec.json.encode(self.info)) + b"\n"
            )
            fsync_folder(self.path.parent)

    def add_file(self, name: str, data: bytes, protected: Sequence[Path] = ()) -> Path:
        """Puts a file into the open folder, or replaces it.

        Raises:
            StorageError: when the name belongs to a file that the storage manager writes itself.
        """
        path = self.file(check_name(name))
        own = (
            self.events_file,
            self.commands_file,
            self.log_file,
            *map(self.file, ("setup.yaml", TELEMETRY)),
        )
        if path in protected or path in own:
            raise StorageError(f"{path.name} is written by the storage manager")
        write_atomically(path, data)
        return path

    @property
    def events_file(self) -> Path:
        """Path of the list of events."""
        return self.file("events.jsonl")

    @property
    def commands_file(self) -> Path:
        """Path of the list of device commands."""
        return self.file("commands.jsonl")

    @property
    def log_file(self) -> Path:
        """Path of the extract of the log."""
        return self.file(LOG_FILE)

    def write_log(self, lines: bytes) -> None:
        """Writes the extract of the log; when there is nothing in it there is no such file."""
        if lines:
            write_atomically(self.log_file, lines)

    def write_commands(self, lines: bytes) -> None:
        """Writes the list of device commands; an observation without any has no such file."""
        if lines:
            write_atomically(self.commands_file, lines)

    def append_events(self, first_seq: int, events: Sequence[Mapping[str, Any]]) -> int:
        """Appends events, skipping those that are there; see `StorageInterface.append_events`."""
        expected = self._expected_seq()
        if first_seq > expected:
            return expected
        fresh = events[expected - first_seq :]
        if fresh:
            lines = [
                json.dumps({"seq": expected + number, **event}, default=str).encode() + b"\n"
                for number, event in enumerate(fresh)
            ]
            descriptor = os.open(
                self.events_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640
            )
            try:
                write_all(descriptor, b"".join(lines))
            finally:
                os.close(descriptor)
        self._next_seq = expected + len(fresh)
        self.blocks.note(fresh)
        return self._next_seq

    def _expected_seq(self) -> int:
        if self._next_seq is None:
            repair_tail(self.events_file)
            try:
                with self.events_file.open("rb") as lines:
                    self._next_seq = sum(1 for _ in lines)
            except FileNotFoundError:
                self._next_seq = 0
        return self._next_seq

    def seal(self, status: str, reason: str, end: str, external: Sequence[FileEntry]) -> tuple[Manifest, str]:
        """Writes the manifest, which ends the life of the folder; can be repeated.

        Returns:
            The manifest and its SHA-256.
        """
        manifest = read_manifest(self.path)
        if manifest is None:
            info = self.info
            describe_parameters(self.path, info)
            write_readme(self.path, info, {"status": status, "reason": reason, "end": end})
            files = self._settle_files()
            manifest = Manifest(
                obsid=info.obsid,
                run_id=info.run_id,
                status=status,
                reason=reason,
                site=info.site_id,
                setup_id=info.setup_id,
                start=info.start,
                end=end,
                files=[entry_of(path, self.path) for path in files if path.name not in UNLISTED],
                external=sorted(external, key=lambda entry: entry.path),
                **describe(self.path, info),
            )
            data = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
            write_atomically(self.path / MANIFEST, data, mode=0o440)
        return manifest, sha256_of(self.path / MANIFEST)

    def _settle_files(self) -> list[Path]:
        """Returns the finished files; removes what interrupted writes left behind."""
        files = []
        for path in sorted(self.path.rglob("*")):
            if path.name.startswith("."):
                path.unlink()
            elif path.is_file():
                if path.suffix == ".jsonl":
                    repair_tail(path)
                _make_durable(path)
                files.append(path)
        return files

    def add_supplement(self, path: Path, added: str, *, external: bool = False) -> Supplement:
        """Lists a file that was added after sealing; can be repeated for the same file.

        Args:
            path: the file, in this folder or (external) in the site's data folder.
            added: UTC time as text.
            external: a raw file in `daily/`.
        """
        entry = entry_of(path, self.site_folder if external else self.path)
        known = read_supplements(self.path)
        for supplement in known:
            if supplement.path == entry.path and supplement.external == external:
                return supplement
        listing = self.path / SUPPLEMENTS
        repair_tail(listing)
        supplement = Supplement(
            path=entry.path,
            size=entry.size,
            sha256=entry.sha256,
            added=added,
            external=external,
            prev=self.chain_head(),
        ).sealed()
        _make_durable(path)
        descriptor = os.open(listing, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            write_all(descriptor, msgspec.json.encode(supplement) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fsync_folder(self.path)
        return supplement

    def chain_head(self) -> str:
        """Returns the SHA-256 that the next supplement refers to."""
        listing = self.path / SUPPLEMENTS
        lines = listing.read_bytes().splitlines() if listing.exists() else []
        return hashlib.sha256(lines[-1]).hexdigest() if lines else sha256_of(self.path / MANIFEST)


def _make_durable(path: Path) -> None:
    """Takes write permission away from a finished file and puts it on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(descriptor, 0o440)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
