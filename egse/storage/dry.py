"""The storage manager of a dry run: takes everything, keeps nothing."""

from __future__ import annotations

from typing import Any

from egse.event import Event
from egse.storage.interface import StorageInterface
from egse.storage.persistence import StorageError


class DryRunStorageController(StorageInterface):
    """Answers as a storage manager outside an observation would, without touching a file."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def register(self, item: dict[str, Any]) -> dict[str, Any]:
        origin = str(item.get("origin"))
        if origin not in self._names:
            self._names.append(origin)
        return {"filenames": []}

    def unregister(self, item: dict[str, Any]) -> None:
        if item.get("origin") in self._names:
            self._names.remove(item["origin"])

    def new_registration(self, item: dict[str, Any], use_counter: bool = False) -> str:
        self.register(item)
        return ""

    def save(self, item: dict[str, Any]) -> int:
        data = item.get("data")
        return len(data) if isinstance(data, (list, tuple)) else int(data is not None)

    def read(self, item: dict[str, Any]) -> Any:
        return []

    def get_filenames(self, item: dict[str, Any]) -> list[str]:
        return []

    def get_registry_names(self) -> list[str]:
        return list(self._names)

    def get_storage_location(self) -> str:
        return ""

    def get_obsid(self) -> str | None:
        return None

    def get_disk_usage(self) -> dict[str, Any]:
        return {"total": 0, "used": 0, "free": 0, "percent": 0.0, "level": "ok"}

    def start_observation(self, observation: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        raise _no_observation()

    def end_observation(
        self, run_id: str, status: str, reason: str = "", observation: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        raise _no_observation()

    def add_file(self, run_id: str, name: str, data: bytes) -> str:
        raise _no_observation()

    def add_supplement(self, obsid: str, name: str, data: bytes) -> str:
        raise _no_observation()

    def adopt_file(self, obsid: str, name: str, path: str) -> str:
        raise _no_observation()

    def append_events(self, run_id: str, first_seq: int, events: list[dict[str, Any]]) -> int:
        raise _no_observation()

    def register_raw_file(self, path: str, obsid: str | None = None) -> str | None:
        return None

    def handle_event(self, event: Event) -> None:
        return None


def _no_observation() -> StorageError:
    return StorageError("a dry run has no observation and writes nothing into the archive")
