"""Removes data here that are verified elsewhere, by rule; says for how many days the disk lasts.

Only three kinds of files are ever removed: raw HDF5 files, FITS cubes and housekeeping (CSV). What says what an
observation was (manifest, Setup, README, events, commands, notebook) stays for ever.
"""

from __future__ import annotations

import logging
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egse.archive.copies import FAILED, VERIFIED, Copies, Copy, Removed
from egse.archive.index import ArchiveIndex, Entry
from egse.archive.index_files import FileEntry, FileIndex
from egse.archive.rsync import Destination, Progress, Rsync, SyncError
from egse.archive.sync import LOCK
from egse.files import fsync_folder
from egse.settings import Settings, SettingsError
from egse.storage.files import FolderLock, sha256_of
from egse.system import format_datetime, unix_time

LOGGER = logging.getLogger(__name__)

SETTINGS = "Archive"
"""The block of the Settings."""
KINDS = {"hdf5": "HDF5", "fits": "FITS", "csv": "CSV"}
"""What may be removed: extension of the file, name of the kind in the Settings."""
DAY = 86_400.0
RATE_DAYS = 7.0
"""The rate of new data is that of so many days."""


@dataclass(frozen=True)
class Rules:
    """What is kept.

    Attributes:
        keep_days: for how many days, by kind; None for ever.
        protect_days: nothing younger is removed, whatever the other rules say [days].
        min_free: fraction of the disk that shall be free; below it older files go before their time.
        copies: so many verified copies must exist elsewhere.
    """

    keep_days: Mapping[str, float | None]
    protect_days: float = 7.0
    min_free: float = 0.2
    copies: int = 1

    @classmethod
    def load(cls) -> Rules:
        """Returns the rules of the Settings, block `Archive`.

        Raises:
            SettingsError: when one makes no sense. A slip of the pen must not remove anything.
        """
        block = Settings.load(SETTINGS)
        keep = block.get("KEEP_DAYS") or {}
        unknown = set(keep) - set(KINDS.values()) if isinstance(keep, Mapping) else {"(no mapping)"}
        if unknown:
            raise SettingsError(
                f"{SETTINGS}: KEEP_DAYS in the settings has {', '.join(sorted(unknown))}; there are: "
                f"{', '.join(KINDS.values())}"
            )
        days = {kind: _number(f"KEEP_DAYS.{kind}", keep.get(kind), None) for kind in KINDS.values()}
        protect = _number("PROTECT_DAYS", block.get("PROTECT_DAYS"), 7.0)
        free = _number("MIN_FREE", block.get("MIN_FREE"), 0.2)
        copies = _number("COPIES", block.get("COPIES"), 1.0)
        assert protect is not None
        assert free is not None
        assert copies is not None
        if not 0 <= free < 1 or copies < 1:
            raise SettingsError(f"{SETTINGS}: MIN_FREE must be from 0 to below 1, COPIES at least 1")
        return cls(days, protect, free, int(copies))


def _number(name: str, value: Any, default: float | None) -> float | None:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise SettingsError(f"{SETTINGS}: {name} in the settings must be a number from 0 on, not {value!r}")
    return float(value)


@dataclass(frozen=True)
class Candidate:
    """A file that may be removed.

    Attributes:
        file: the file.
        sha256: as verified.
        age: since the day of its data [days].
        destinations: where verified copies are.
        reason: which rule removes it.
    """

    file: FileEntry
    sha256: str
    age: float
    destinations: tuple[str, ...]
    reason: str


@dataclass
class PrunePlan:
    """What would be removed, and why the rest stays.

    Attributes:
        remove: oldest first.
        kept: number of files of the three kinds that stay, by reason.
    """

    remove: list[Candidate] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def size(self) -> int:
        """What would be freed [bytes]."""
        return sum(candidate.file.size for candidate in self.remove)

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Returns number and size [bytes] of what would be removed, by kind."""
        found: dict[str, tuple[int, int]] = {}
        for candidate in self.remove:
            kind = KINDS[candidate.file.extension]
            number, size = found.get(kind, (0, 0))
            found[kind] = (number + 1, size + candidate.file.size)
        return found


@dataclass(frozen=True)
class Outlook:
    """How long the disk lasts.

    Attributes:
        total: size of the disk [bytes].
        free: [bytes].
        rate: new data of the last days [bytes/day].
    """

    total: int
    free: int
    rate: float

    @property
    def days(self) -> float | None:
        """Until the disk is full at this rate; None when nothing comes."""
        return self.free / self.rate if self.rate > 0 else None


def outlook(index: ArchiveIndex, now: float) -> Outlook:
    """Returns how long the disk of a site lasts; the index must be up to date.

    Args:
        index: of the site.
        now: Unix time [s].
    """
    since = now - RATE_DAYS * DAY
    size, oldest = index.connection.execute(
        "SELECT ifnull(sum(size), 0), min(mtime_ns) FROM files WHERE mtime_ns >= ?", (int(since * 1e9),)
    ).fetchone()
    # Younger sites: the time since their first file; a burst of minutes is no rate, so at least an hour.
    span = max(now - oldest * 1e-9, DAY / 24) / DAY if oldest else RATE_DAYS
    disk = shutil.disk_usage(index.site)
    return Outlook(disk.total, disk.free, size / min(span, RATE_DAYS))


def plan_prune(site: Path, rules: Rules, now: float | None = None, free: int | None = None) -> PrunePlan:
    """Finds out what may be removed; changes nothing but the index.

    Args:
        site: data folder of the site.
        rules: what is kept.
        now: Unix time [s]; the present when None.
        free: free space of the disk [bytes]; as it is when None.
    """
    moment = unix_time(format_datetime()) if now is None else now
    disk = shutil.disk_usage(site)
    missing = rules.min_free * disk.total - (disk.free if free is None else free)
    with ArchiveIndex(site) as index, Copies(site) as copies:
        files = FileIndex(index)
        files.refresh(thorough=True)
        entries = files.select("extension IN ('hdf5', 'fits', 'csv')")
        observations = {entry.prefix: entry for entry in index.select()}
        known: dict[str, list[Copy]] = defaultdict(list)
        for copy in copies.select():
            known[copy.path].append(copy)
    guard = _Guard(rules, observations, entries, known, moment)
    plan = PrunePlan()
    later: list[Candidate] = []
    for entry in sorted(entries, key=guard.time_of):
        verdict = guard.judge(entry)
        if isinstance(verdict, str):
            plan.kept[verdict] += 1
            continue
        keep = rules.keep_days.get(KINDS[entry.extension])
        if keep is not None and verdict.age > keep:
            plan.remove.append(verdict)
            missing -= entry.size
        elif keep is not None:
            later.append(verdict)
        else:
            plan.kept["kept for ever"] += 1
    for candidate in later:
        if missing > 0:
            missing -= candidate.file.size
            plan.remove.append(
                Candidate(
                    candidate.file, candidate.sha256, candidate.age, candidate.destinations, "to free space"
                )
            )
        else:
            plan.kept["its time has not come"] += 1
    return plan


class _Guard:
    """Says of each file whether it may be removed at all."""

    def __init__(
        self,
        rules: Rules,
        observations: Mapping[str, Entry],
        entries: Iterable[FileEntry],
        copies: Mapping[str, Sequence[Copy]],
        now: float,
    ) -> None:
        self._rules, self._observations, self._copies, self._now = rules, observations, copies, now
        failed = {path for path, found in copies.items() if any(copy.state == FAILED for copy in found)}
        self._failed = failed
        self._suspect = {entry.prefix for entry in entries if entry.path in failed and entry.prefix}
        self._suspect |= {path.split("/")[1] for path in failed if path.startswith("obs/")}
        starts = [
            entry.start_time
            for entry in observations.values()
            if entry.state in ("open", "closing") and entry.start_time is not None
        ]
        self._open_since = min(starts, default=float("inf"))

    def time_of(self, entry: FileEntry) -> float:
        """Returns the time of a file's data [s]: end of the day or of the observation, never before it was written."""
        times = [entry.mtime_ns * 1e-9, entry.end_time or 0.0]
        if entry.kind == "daily":
            times.append(unix_time(entry.folder.rpartition("/")[2]) + DAY)
        return max(times)

    def judge(self, entry: FileEntry) -> Candidate | str:
        """Returns the file as one that may be removed, or why it stays."""
        if entry.extension == "csv" and entry.mnemonic is None:
            return "no housekeeping"
        when = self.time_of(entry)
        age = (self._now - when) / DAY
        if age <= self._rules.protect_days:
            return f"younger than {self._rules.protect_days:g} days"
        if entry.prefix is None and when >= self._open_since:
            return "an observation is open since then"
        observation = self._observations.get(entry.prefix or "")
        if observation is not None and observation.state in ("open", "closing"):
            return "its observation is not closed"
        if entry.prefix in self._suspect or entry.path in self._failed:
            return "a verification of its observation failed"
        good = [
            copy
            for copy in self._copies.get(entry.path, ())
            if copy.state == VERIFIED and (copy.size, copy.mtime_ns) == (entry.size, entry.mtime_ns)
        ]
        if len(good) < self._rules.copies:
            return "not verified elsewhere"
        if entry.sha256 and any(copy.sha256 != entry.sha256 for copy in good):
            return "not verified elsewhere"
        names = tuple(copy.destination for copy in good)
        return Candidate(
            entry, good[0].sha256, age, names, f"older than the rule for {KINDS[entry.extension]}"
        )


def prune(
    site: Path,
    plan: PrunePlan,
    rules: Rules,
    *,
    recheck: bool = False,
    progress: Progress | None = None,
) -> tuple[list[Candidate], list[str]]:
    """Removes the files of a plan whose copies are still there.

    Args:
        site: data folder of the site.
        plan: from `plan_prune`.
        rules: those of the plan.
        recheck: read all copies again and compare checksums, instead of looking whether they are there with their size.
        progress: is told how far it is.

    Returns:
        What was removed, and what is wrong: files that stay because a copy is not there or not the same any more.

    Raises:
        SyncError: when a destination cannot be reached.
        BlockingIOError: when another run is at it.
        OSError: when the removal cannot be recorded; nothing is removed then.
    """
    lock = FolderLock(site, LOCK)
    try:
        gone = {
            name: _gone(site, name, plan, recheck, progress)
            for name in sorted({name for candidate in plan.remove for name in candidate.destinations})
        }
        agreed: list[Candidate] = []
        problems: list[str] = []
        for candidate in plan.remove:
            lost = [name for name in candidate.destinations if candidate.file.path in gone[name]]
            if len(candidate.destinations) - len(lost) >= rules.copies and not (recheck and lost):
                agreed.append(candidate)
            else:
                where = ", ".join(lost)
                problems.append(
                    f"{candidate.file.path} stays: its copy at {where} is missing or not the same any more"
                )
        return _remove(site, agreed, problems), problems
    finally:
        lock.release()


def _gone(site: Path, name: str, plan: PrunePlan, recheck: bool, progress: Progress | None) -> set[str]:
    """Returns the files of a plan whose copies at a destination are not there any more, or not the same."""
    candidates = [candidate for candidate in plan.remove if name in candidate.destinations]
    destination = Destination.parse(name, site)
    if destination.folder is None:
        rsync = Rsync(site, destination, progress=progress)
        return rsync.differing([candidate.file.path for candidate in candidates], checksum=recheck)
    found = set()
    done, total = 0, sum(candidate.file.size for candidate in candidates)
    for candidate in candidates:
        path = destination.folder / site.name / candidate.file.path
        try:
            same = path.stat().st_size == candidate.file.size
            if same and recheck:
                same = sha256_of(path) == candidate.sha256
        except OSError:
            same = False
        if not same:
            found.add(candidate.file.path)
        done += candidate.file.size
        if progress is not None:
            progress("checking the copies", done, total)
    return found


def _remove(site: Path, candidates: Sequence[Candidate], problems: list[str]) -> list[Candidate]:
    """Removes files whose removal is on record first, so that a missing file is always explained."""
    now = unix_time(format_datetime())
    with Copies(site, writing=True) as copies:
        copies.record_removal(
            Removed(
                path=candidate.file.path,
                size=candidate.file.size,
                sha256=candidate.sha256,
                removed=now,
                destinations="\n".join(candidate.destinations),
            )
            for candidate in candidates
        )
    removed = []
    for candidate in candidates:
        path = site / candidate.file.path
        try:
            found = path.lstat()
            if (found.st_size, found.st_mtime_ns) != (candidate.file.size, candidate.file.mtime_ns):
                problems.append(f"{candidate.file.path} stays: it was changed meanwhile")
                continue
            path.unlink()
        except OSError as exc:
            problems.append(f"{candidate.file.path} cannot be removed: {exc.strerror}")
            continue
        removed.append(candidate)
    for folder in {(site / candidate.file.path).parent for candidate in removed}:
        fsync_folder(folder)
    LOGGER.info("%d files with verified copies elsewhere were removed from %s", len(removed), site)
    return removed


__all__ = ["Outlook", "PrunePlan", "Rules", "SyncError", "outlook", "plan_prune", "prune"]
