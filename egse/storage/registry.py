"""The producers that the storage manager knows, and the files that it keeps open for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from egse.storage.formats import persistence_class
from egse.storage.naming import check_mnemonic, check_name, utc_day
from egse.storage.observation import ObservationFolder
from egse.storage.persistence import Persistence, StorageError

OBSERVATION_CLASSES = ("CSV", "TXT")
"""Classes that are mirrored into the observation folder; raw HDF5 data live in `daily/` only (storage ICD, section 2)."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What a producer said about itself (keys of the `item` dictionary, storage ICD section 6.1).

    Attributes:
        origin: storage mnemonic, unique.
        persistence_class: "CSV", "TXT" or "HDF5".
        prep: preparation data of the persistence class (`column_names` for CSV, `ending` for TXT).
        persistence_count: a permanent file: neither mirrored nor rolled over at midnight.
        filename: the file gets exactly this name in the data folder of the site.
        counter: running number of the current file when files are numbered, 0 otherwise.
        counter_day: UTC day (`YYYYMMDD`) to which `counter` belongs.
    """

    origin: str
    persistence_class: str
    prep: dict[str, Any] = {}
    persistence_count: bool = False
    filename: str = ""
    counter: int = 0
    counter_day: str = ""

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Registration:
        """Reads an `item` dictionary of `register` or `new_registration`.

        Raises:
            StorageError: when a key is missing or cannot be used.
        """
        kind = item.get("persistence_class")
        if not item.get("origin") or not kind:
            raise StorageError("a registration needs `origin` and `persistence_class`")
        try:
            origin = check_mnemonic(str(item["origin"]))
            filename = check_name(str(item["filename"])) if item.get("filename") else ""
        except ValueError as exc:
            raise StorageError(str(exc)) from exc
        persistence_class(str(kind))
        prep = item.get("prep") or {}
        if not isinstance(prep, Mapping):
            raise StorageError(f"{origin}: `prep` must be a mapping, e.g. {{'column_names': [...]}}")
        permanent = bool(item.get("persistence_count"))
        return cls(
            origin=origin,
            persistence_class=str(kind),
            prep=dict(prep),
            persistence_count=permanent,
            filename=filename,
        )


class Producer:
    """The open files of one registration.

    Args:
        registration: the producer.
        site_folder: data folder of the site.
        site_id: site in the file names.
        now: UTC as Unix time [s].
    """

    def __init__(self, registration: Registration, site_folder: Path, site_id: str, now: float) -> None:
        self.registration = registration
        self.kind = persistence_class(registration.persistence_class)
        self._site_folder = site_folder
        self._site_id = site_id
        self.day = utc_day(now)
        self.rows = 0
        self.main = self._make_main()
        self.mirror: Persistence | None = None

    @property
    def permanent(self) -> bool:
        """True for files that are neither cycled nor mirrored."""
        return self.registration.persistence_count or bool(self.registration.filename)

    @property
    def files(self) -> list[Persistence]:
        """The main file and, during an observation, its mirror."""
        return [self.main] if self.mirror is None else [self.main, self.mirror]

    def _make_main(self) -> Persistence:
        registration = self.registration
        if self.permanent:
            name = registration.filename or f"{registration.origin}.{self.kind.extension}"
            path = self._site_folder / name
        else:
            path = self.daily_path(registration.counter if registration.counter_day == self.day else 0)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        return self.kind(path, registration.prep)

    def daily_path(self, counter: int) -> Path:
        """Returns the path of the daily file, numbered when `counter` is not 0."""
        number = f"_{counter:05d}" if counter else ""
        name = f"{self.day}_{self._site_id}_{self.registration.origin}{number}.{self.kind.extension}"
        return self._site_folder / "daily" / self.day / name

    def next_counter(self) -> int:
        """Returns the first running number of the day that no file has (unfinished `.part` files count)."""
        start = f"{self.day}_{self._site_id}_{self.registration.origin}_"
        highest = self.registration.counter if self.registration.counter_day == self.day else 0
        folder = self._site_folder / "daily" / self.day
        for path in folder.glob(f"{start}*"):
            digits = path.name[len(start) : len(start) + 5]
            if digits.isdecimal():
                highest = max(highest, int(digits))
        return highest + 1

    def use_counter(self, counter: int) -> None:
        """Goes to the daily file with this running number; it is not made here."""
        self.main.close()
        self.registration = msgspec.structs.replace(self.registration, counter=counter, counter_day=self.day)
        self.main = self._make_main()

    def cycle(self, now: float) -> bool:
        """Goes to the file of the day of `now` when a new UTC day has begun; returns True if it did."""
        day = utc_day(now)
        if self.permanent or day == self.day:
            return False
        self.main.close()
        self.day = day
        self.main = self._make_main()
        return True

    def start_mirror(self, folder: ObservationFolder) -> None:
        """Begins to write the same rows into the observation folder, if the class is mirrored at all.

        The file itself appears with the first row.
        """
        if not self.permanent and self.registration.persistence_class in OBSERVATION_CLASSES:
            path = folder.mirror_file(self.registration.origin, self.kind.extension)
            self.mirror = self.kind(path, self.registration.prep)

    def end_mirror(self) -> None:
        """Closes the file in the observation folder."""
        if self.mirror is not None:
            self.mirror.close()
            self.mirror = None

    def close(self) -> None:
        """Closes all files."""
        for file in self.files:
            file.close()
        self.mirror = None
