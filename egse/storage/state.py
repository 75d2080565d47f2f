"""What the storage manager must know after a crash: kept in one small file that is replaced atomically."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from egse.files import write_atomically
from egse.storage.manifest import FileEntry
from egse.storage.observation import ObservationInfo
from egse.storage.registry import Registration

LOGGER = logging.getLogger(__name__)


class ExternalFile(msgspec.Struct, frozen=True):
    """A raw file of the open observation; size and checksum are filled in when they are known.

    Attributes:
        path: relative to the data folder of the site.
    """

    path: str
    entry: FileEntry | None = None


class StorageState(msgspec.Struct, kw_only=True):
    """State that survives a crash.

    Attributes:
        observation: the open observation.
        external: its raw files so far.
        registrations: the producers.
    """

    schema: int = 1
    observation: ObservationInfo | None = None
    external: list[ExternalFile] = []
    registrations: list[Registration] = []


class StateFile:
    """The state on disk.

    Args:
        path: the file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> StorageState:
        """Returns the state, an empty one at the first start; a damaged file is set aside and reported."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=StorageState)
        except FileNotFoundError:
            return StorageState()
        except msgspec.MsgspecError as exc:
            aside = self.path.with_suffix(".damaged")
            self.path.replace(aside)
            LOGGER.error(
                "%s is damaged (%s); set aside as %s, producers must register again", self.path, exc, aside
            )
            return StorageState()

    def save(self, state: StorageState) -> None:
        """Replaces the state on disk."""
        write_atomically(self.path, msgspec.json.format(msgspec.json.encode(state)) + b"\n")
