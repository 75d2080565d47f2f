"""The producers that the storage manager knows, and the files that it keeps open for them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from egse.decorators import fail_point
from egse.storage.ledger import Mark, Track
from egse.storage.naming import check_mnemonic, check_name, utc_day
from egse.storage.observation import ObservationFolder
from egse.storage.persistence import Persistence, StorageError, format_name, persistence_class


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What a producer said about itself (keys of the `item` dictionary, storage ICD section 6.1).

    Attributes:
        origin: storage mnemonic, unique.
        persistence_class: "CSV", "HDF5", "FITS", "TXT" or "SQLite".
        prep: preparation data of the persistence class, see there.
        persistence_count: a permanent file: neither mirrored nor rolled over at midnight.
        filename: the file gets exactly this name in the folder of named files (`FILE_STORAGE_LOCATION` in the Settings,
            by default the data folder of the site), every day.
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

    def is_like(self, other: Registration) -> bool:
        """Returns True when a producer says the same about itself (where it is in its numbering does not count)."""
        return msgspec.structs.replace(self, counter=0, counter_day="") == other

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
        kind = format_name(kind)
        prep = item.get("prep") or {}
        if not isinstance(prep, Mapping):
            raise StorageError(f"{origin}: `prep` must be a mapping, e.g. {{'column_names': [...]}}")
        permanent = bool(item.get("persistence_count"))
        return cls(
            origin=origin,
            persistence_class=kind,
            prep=dict(prep),
            persistence_count=permanent,
            filename=filename,
        )


class Place(msgspec.Struct, frozen=True):
    """Where the files of a site go.

    Attributes:
        site_folder: data folder of the site.
        site_id: site in the names of files.
        named_files: folder of the files that are called exactly as their registration says.
    """

    site_folder: Path
    site_id: str
    named_files: Path


class Producer:
    """The open files of one registration.

    Args:
        registration: the producer.
        place: where its files go.
        track: which of its rows are stored.
        now: UTC as Unix time [s].
    """

    def __init__(self, registration: Registration, place: Place, track: Track, now: float) -> None:
        self.registration = registration
        self.kind = persistence_class(registration.persistence_class)
        self._place = place
        self.track = track
        self.day = utc_day(now)
        self.rows = 0
        self.main = self._make_main()
        self.mirror: Persistence | None = None

    @property
    def permanent(self) -> bool:
        """True for files that are neither cycled nor mirrored."""
        return self.registration.persistence_count

    @property
    def written_elsewhere(self) -> bool:
        """True for numbered HDF5 files, which the producer writes itself."""
        return self.registration.counter > 0 and self.registration.persistence_class == "HDF5"

    @property
    def filenames(self) -> list[str]:
        """The paths of the files."""
        return [str(file.path) for file in self.files]

    @property
    def files(self) -> list[Persistence]:
        """The main file and, during an observation, its mirror."""
        return [self.main] if self.mirror is None else [self.main, self.mirror]

    def _make_main(self) -> Persistence:
        registration = self.registration
        if registration.filename:
            path = self._place.named_files / registration.filename
        elif self.permanent:
            path = self._place.site_folder / f"{registration.origin}.{self.kind.extension}"
        else:
            path = self.daily_path(registration.counter if registration.counter_day == self.day else 0)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        return self.kind(path, registration.prep)

    def open(self) -> None:
        """Opens the files: the main one is made, the mirror appears with its first row."""
        if not self.written_elsewhere:
            self.main.open()
        if self.mirror is not None and self.mirror.exists():
            self.mirror.open()

    def recover(self) -> None:
        """Settles what a crash left behind: how much of the last batch is in its files."""

        def settle(mark: Mark) -> int:
            if Path(mark.path).suffix != f".{self.kind.extension}" and not self.registration.filename:
                return mark.count  # of an earlier registration
            file = self.kind(Path(mark.path), self.registration.prep)
            try:
                return file.settle(mark.start, mark.size, mark.count)
            finally:
                file.close()

        self.track.recover(settle)

    def save(self, rows: Sequence[Any], session: str = "", first: int = 0) -> list[Persistence]:
        """Writes rows to all files: those that are there already are left out; all of the others, or none.

        Args:
            rows: what a row is depends on the class.
            session: under which the producer numbers its rows; empty when it does not.
            first: number of the first row.

        Returns:
            The files that were written to.
        """
        jobs = []
        for role, file in enumerate(self.files):
            there = self.track.already(session, role, first, len(rows))
            if there < len(rows):
                prepared = file.prepare(rows[there:])
                position = file.position()
                mark = Mark(role, str(file.path), position, prepared.size, first + there, prepared.count)
                jobs.append((file, prepared, mark))
        if not jobs:
            return []
        fail_point("sm.save.before_ledger")
        self.track.begin(session, [mark for _, _, mark in jobs])
        fail_point("sm.save.after_ledger")
        done: list[tuple[Persistence, int]] = []
        try:
            for file, prepared, mark in jobs:
                file.write(prepared)
                done.append((file, mark.start))
                fail_point("sm.save.after_write")
        except BaseException:
            for file, position in done:
                with contextlib.suppress(OSError):
                    file.rollback(position)
            raise
        self.track.end(session, first + len(rows))
        self.rows += len(rows)
        return [file for file, _ in done]

    def daily_path(self, counter: int) -> Path:
        """Returns the path of the daily file, numbered when `counter` is not 0."""
        number = f"_{counter:05d}" if counter else ""
        name = f"{self.day}_{self._place.site_id}_{self.registration.origin}{number}.{self.kind.extension}"
        return self._place.site_folder / "daily" / self.day / name

    def next_counter(self) -> int:
        """Returns the first running number of the day that no file has (unfinished `.part` files count)."""
        start = f"{self.day}_{self._place.site_id}_{self.registration.origin}_"
        highest = self.registration.counter if self.registration.counter_day == self.day else 0
        folder = self._place.site_folder / "daily" / self.day
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
        """Goes to the file of the day of `now` when another UTC day has begun; returns True if it did."""
        day = utc_day(now)
        if self.permanent or day == self.day:
            return False
        self.main.close()
        self.day = day
        self.main = self._make_main()
        return True

    def start_mirror(self, folder: ObservationFolder) -> None:
        """Writes the same rows into the observation folder from now on, if the class is mirrored at all.

        The file itself appears with the first row.
        """
        if not self.permanent and self.kind.mirrored:
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
