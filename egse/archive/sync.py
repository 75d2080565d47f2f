"""Copies the data of a site elsewhere and verifies the copies by checksum (storage ICD, section 12).

What is finished is copied and verified: closed observations, raw files that are complete, housekeeping and journals of
days that are over. What still grows (the running observation, today's housekeeping, the record of the site) is copied
as it is, so that the copy can be used, and verified once it is finished. Never copied: unfinished files (`.part`), flat
FITS files, spools, staging and run folders.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from egse.archive.copies import FAILED, VERIFIED, Copies, Copy
from egse.archive.index import ArchiveIndex
from egse.archive.index_files import FileIndex
from egse.archive.rsync import Destination, Progress, Rsync
from egse.confman.observations import RECORD_FILE
from egse.storage.files import FolderLock, sha256_of
from egse.storage.manifest import SUPPLEMENTS
from egse.storage.naming import LAST_SETUP_ID, OBSID_TABLE
from egse.system import format_datetime, unix_time

LOGGER = logging.getLogger(__name__)

LOCK = "archive"
"""Owner in the name of the lock file: one run of sync, verify or prune at a time."""
SETTLED = 60.0
"""A raw file or a file of a past day that was changed less than this ago is still growing [s]."""
BATCH_FILES, BATCH_BYTES = 500, 10_000_000_000
"""After so much, what was copied is verified and recorded: an interrupted run loses no more than that."""

_AS_IS = (RECORD_FILE, OBSID_TABLE, LAST_SETUP_ID, "logbook.jsonl")
_TREES = ("journal", "alarms", "reactions", "reports", "reduced", "analysed")


@dataclass(frozen=True)
class Item:
    """A finished file.

    Attributes:
        path: relative to the data folder of the site.
        size: [bytes].
        mtime_ns: when it was changed last, Unix time [ns].
        sha256: as recorded when its observation was closed; empty when it is in no manifest.
        prefix: the observation that it belongs to, None for none.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str = ""
    prefix: str | None = None


@dataclass
class SyncPlan:
    """What there is to copy.

    Attributes:
        new: finished files without a verified copy.
        live: files that still grow.
        done: number of finished files whose copy was verified before.
        problems: files that are not copied because something is wrong with them.
    """

    new: list[Item] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    done: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Size of the new files [bytes]."""
        return sum(item.size for item in self.new)


@dataclass
class SyncReport:
    """What a run has done.

    Attributes:
        verified: files whose copies were verified.
        size: their size [bytes].
        problems: what is wrong, one text each.
    """

    verified: int = 0
    size: int = 0
    problems: list[str] = field(default_factory=list)


def finished_files(index: ArchiveIndex) -> tuple[list[Item], list[str]]:
    """Returns the finished files of a site, and the paths of those that still grow.

    Args:
        index: of the site; it is brought up to date.
    """
    files = FileIndex(index)
    files.refresh(thorough=True)
    growing = {entry.prefix for entry in index.select("state IN ('open', 'closing')")}
    today, now = format_datetime("today"), unix_time(format_datetime())
    done: list[Item] = []
    live: list[str] = []
    for entry in files.select():
        if entry.path.endswith("_images.fits"):
            continue
        settled = now - entry.mtime_ns * 1e-9 > SETTLED
        if entry.kind == "member":
            finished = entry.prefix not in growing
        else:
            finished = settled and (entry.extension == "hdf5" or entry.folder < f"daily/{today}")
        if finished:
            done.append(Item(entry.path, entry.size, entry.mtime_ns, entry.sha256 or "", entry.prefix))
        elif entry.extension != "hdf5":
            live.append(entry.path)
    for path, found in _other_files(index.site):
        settled = now - found.st_mtime > SETTLED and path.rpartition("/")[2][:8] < today
        if path.startswith("journal/") and settled:
            done.append(Item(path, found.st_size, found.st_mtime_ns))
        else:
            live.append(path)
    return done, live


def _other_files(site: Path) -> Iterator[tuple[str, os.stat_result]]:
    for tree in _TREES:
        for base, _, names in os.walk(site / tree):
            yield from _regular(site, (Path(base) / name for name in sorted(names)))
    yield from _regular(site, (site / name for name in _AS_IS))


def _regular(site: Path, paths: Iterable[Path]) -> Iterator[tuple[str, os.stat_result]]:
    for path in paths:
        try:
            found = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and path.suffix != ".part" and not path.name.startswith("."):
            yield path.relative_to(site).as_posix(), found


def plan_sync(site: Path, destination: Destination) -> SyncPlan:
    """Finds out what is to be copied to a destination; changes nothing but the index."""
    with ArchiveIndex(site) as index, Copies(site) as copies:
        done, live = finished_files(index)
        known = copies.at(destination.name)
    plan = SyncPlan(live=live)
    for item in done:
        copy = known.get(item.path)
        if copy is None or copy.state == FAILED:
            plan.new.append(item)
        elif (copy.size, copy.mtime_ns) == (item.size, item.mtime_ns):
            plan.done += 1
        elif _is_suspicious(site, item, copy):
            plan.problems.append(
                f"{item.path} was altered after its copy was verified ({copy.size} bytes then, {item.size} now): the copy "
                f"is kept as it is; compare them"
            )
        else:
            plan.new.append(item)
    return plan


def _is_suspicious(site: Path, item: Item, copy: Copy) -> bool:
    """Says whether a file has changed in a way that it does not by itself: its good copy must not be replaced then."""
    if item.sha256:  # listed in a manifest
        return (
            item.sha256 != copy.sha256 or item.size != copy.size or sha256_of(site / item.path) != item.sha256
        )
    closed = item.prefix is not None and not item.path.endswith(f"/{SUPPLEMENTS}")
    return closed or item.path.endswith((".hdf5", ".fits")) or item.size < copy.size


def sync(
    site: Path,
    destination: Destination,
    *,
    bwlimit: str = "",
    live: bool = True,
    progress: Progress | None = None,
) -> SyncReport:
    """Copies what is new to a destination and verifies the copies.

    It can be interrupted at any time; the next run goes on where this one was.

    Args:
        site: data folder of the site.
        destination: where to.
        bwlimit: largest rate, e.g. `20m`.
        live: also copy what still grows.
        progress: is told how far it is.

    Raises:
        SyncError: when the destination cannot be reached or written, or rsync is missing.
        BlockingIOError: when another run is at it.
        OSError: when the record of copies cannot be written.
    """
    rsync = Rsync(site, destination, bwlimit, progress)
    lock = FolderLock(site, LOCK)
    try:
        plan = plan_sync(site, destination)
        report = SyncReport(problems=list(plan.problems))
        for batch in _batches(plan.new):
            _copy_batch(site, destination, rsync, batch, report, progress)
        if live and plan.live:
            rsync.copy(plan.live, sum(_size(site / path) for path in plan.live))
        return report
    finally:
        lock.release()


def verify_copies(site: Path, destination: Destination, progress: Progress | None = None) -> SyncReport:
    """Checks all copies at a destination again, by their content, those of files removed here too.

    The copies of removed files on another machine cannot be compared with anything and are left out.

    Raises:
        SyncError: when the destination cannot be reached, or rsync is needed and missing.
        BlockingIOError: when another run is at it.
    """
    rsync = Rsync(site, destination, progress=progress)
    lock = FolderLock(site, LOCK)
    try:
        with Copies(site) as copies:
            known = copies.at(destination.name)
        report = SyncReport()
        items = [Item(c.path, c.size, c.mtime_ns, c.sha256) for c in known.values()]
        if destination.folder is None:
            items = [item for item in items if (site / item.path).exists()]
        for batch in _batches(items):
            results = _check(site, destination, rsync, batch, progress)
            _record(site, destination, results, report)
        return report
    finally:
        lock.release()


def _batches(items: Sequence[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for item in items:
        if batch and (len(batch) >= BATCH_FILES or size + item.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch


Result = tuple[Item, str, str]
"""A file, its SHA-256, and what is wrong with its copy (empty when nothing is)."""


def _copy_batch(
    site: Path,
    destination: Destination,
    rsync: Rsync,
    batch: list[Item],
    report: SyncReport,
    progress: Progress | None,
) -> None:
    size = sum(item.size for item in batch)
    rsync.copy([item.path for item in batch], size)
    results = _check(site, destination, rsync, batch, progress)
    wrong = [item for item, _, problem in results if problem and (site / item.path).is_file()]
    if wrong:  # same size and time, other content: rsync does not see that by itself
        LOGGER.warning("%d copies at %s are not right and are made again", len(wrong), destination.name)
        rsync.copy([item.path for item in wrong], sum(item.size for item in wrong), ignore_times=True)
        again = {
            item.path: (item, sha, problem)
            for item, sha, problem in _check(site, destination, rsync, wrong, progress)
        }
        results = [again.get(result[0].path, result) for result in results]
    _record(site, destination, results, report)


def _check(
    site: Path, destination: Destination, rsync: Rsync, batch: Sequence[Item], progress: Progress | None
) -> list[Result]:
    if destination.folder is not None:
        return list(_check_folder(site, destination.folder / site.name, batch, progress))
    differing = rsync.differing([item.path for item in batch], checksum=True)
    return [_check_remote(site, item, item.path in differing) for item in batch]


def _check_folder(
    site: Path, target: Path, batch: Sequence[Item], progress: Progress | None
) -> Iterator[Result]:
    done, total = 0, sum(item.size for item in batch)
    for item in batch:
        sha, problem = item.sha256, ""
        try:
            sha = sha or sha256_of(site / item.path)
            copy = target / item.path
            _from_disk(copy)
            if copy.stat().st_size != item.size:
                problem = f"the copy has {copy.stat().st_size} bytes instead of {item.size}"
            elif sha256_of(copy) != sha:
                problem = "the copy differs from what was recorded (checksum)"
        except OSError as exc:
            problem = f"cannot be checked: {exc.strerror or exc}"
        done += item.size
        if progress is not None:
            progress("verifying", done, total)
        yield item, sha, problem


def _from_disk(path: Path) -> None:
    """Puts a file on disk and out of the cache, so that what is read next is what the disk has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _check_remote(site: Path, item: Item, differs: bool) -> Result:
    try:
        sha = sha256_of(site / item.path)
    except OSError as exc:
        return item, item.sha256, f"cannot be checked: {exc.strerror or exc}"
    if item.sha256 and sha != item.sha256:
        return item, item.sha256, "differs here from what was recorded (checksum)"
    return item, sha, "the copy differs (checksum)" if differs else ""


def _record(site: Path, destination: Destination, results: Sequence[Result], report: SyncReport) -> None:
    now = unix_time(format_datetime())
    with Copies(site, writing=True) as copies:
        copies.record(
            Copy(
                destination=destination.name,
                path=item.path,
                size=item.size,
                mtime_ns=item.mtime_ns,
                sha256=sha,
                checked=now,
                state=FAILED if problem else VERIFIED,
                problem=problem,
            )
            for item, sha, problem in results
        )
    for item, _, problem in results:
        if problem:
            report.problems.append(f"{item.path}: {problem}")
        else:
            report.verified += 1
            report.size += item.size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
