"""Compares an observation with what was recorded of it when it was closed.

The chain: the record of the site (each line bound to the one before) holds the checksum of the manifest, the manifest
holds those of all files, raw files included, and that of the manifest before it; the supplements form a chain that
begins at the manifest. The obsid table and the index of the archive know the observations too: see
`egse.archive.siteverification`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egse.archive.copies import Copies
from egse.archive.locate import site_records
from egse.archive.observation import Observation
from egse.confman.observations import CLOSED, RECORD_FILE
from egse.confman.recordfile import check_chain
from egse.storage.files import sha256_of
from egse.storage.manifest import MANIFEST, SUPPLEMENTS, UNLISTED, FileEntry, Manifest, Supplement


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as recorded.

    Attributes:
        kind: altered, missing, extra, unsealed or record; `pruned` for a file that `cgse archive prune` removed here
            because verified copies are elsewhere.
        path: the file concerned, relative to the site's data folder where it lies below it.
        text: what is wrong.
    """

    kind: str
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def verify(observation: Observation, *, record: bool = True) -> list[Problem]:
    """Checks every file of a closed observation, its raw files in `daily/` and the record of the site.

    Args:
        observation: the observation, freshly made (a long-lived one remembers what it has read).
        record: check the record of the site as well.

    Returns:
        What is wrong, each with the name of the file; empty when everything is as recorded.
    """
    problems = list(check_record(observation.site_folder)) if record else []
    return [*problems, *_verify(observation)]


def check_record(site: Path) -> Iterator[Problem]:
    """Checks that no line of the record of a site was altered, removed or inserted."""
    for text in check_chain(site / RECORD_FILE):
        yield Problem("record", RECORD_FILE, f"the record of the site was altered ({text})")


def _verify(observation: Observation) -> Iterator[Problem]:
    site = observation.site_folder
    manifest_path = observation.folder / MANIFEST
    name = _relative(manifest_path, site)
    try:
        manifest = observation.manifest
    except ValueError as exc:
        yield Problem("altered", name, f"cannot be read: {exc}")
        return
    if manifest is None:
        yield _unsealed(observation, name)
        return
    yield from _check_manifest(observation, manifest, name)
    for entry in manifest.files:
        yield from _check_file(observation.folder / entry.path, entry, site)
    for entry in manifest.external:
        yield from _check_file(site / entry.path, entry, site)
    try:
        supplements = observation.supplements
    except ValueError as exc:
        yield Problem("altered", _relative(observation.folder / SUPPLEMENTS, site), f"cannot be read: {exc}")
        return
    yield from _check_supplements(observation, supplements)
    yield from _check_extra(observation, manifest, supplements)


def _unsealed(observation: Observation, name: str) -> Problem:
    record = site_records(observation.site_folder).get(observation.prefix)
    if record is not None and record.state == CLOSED:
        return Problem("missing", name, "was removed, or the observation was closed without a seal")
    if record is None and observation.info is None:
        return Problem("unsealed", name, "there is none: the observation was made by an older system")
    return Problem("unsealed", name, f"there is none: the observation is {observation.state}")


def _check_manifest(observation: Observation, manifest: Manifest, name: str) -> Iterator[Problem]:
    record = site_records(observation.site_folder).get(observation.prefix)
    if record is None:
        if (observation.site_folder / RECORD_FILE).exists():
            yield Problem("record", name, f"the record of the site knows no run {manifest.run_id}")
        return
    if record.state == CLOSED and record.manifest_sha256 != sha256_of(observation.folder / MANIFEST):
        yield Problem("altered", name, "was altered: its checksum is not the one recorded when it was closed")
    if (manifest.run_id, manifest.obsid, manifest.status) != (
        record.info.run_id,
        record.info.obsid,
        record.status,
    ):
        yield Problem("altered", name, f"does not fit the record ({record.info.obsid}, {record.status})")
    if manifest.previous != record.info.previous:
        before = manifest.previous.obsid if manifest.previous else "none"
        yield Problem("altered", name, f"names another observation before it than the record ({before})")


def _check_file(path: Path, entry: FileEntry | Supplement, site: Path) -> Iterator[Problem]:
    name = _relative(path, site)
    if path.is_symlink():
        yield Problem("altered", name, "is a link now, not a file")
    elif not path.is_file() and (where := _pruned(site, name, entry)):
        yield Problem("pruned", name, f"was removed here; a verified copy is at {where}")
    elif not path.is_file():
        lost = " (it was missing already when the observation was closed)" if entry.size < 0 else ""
        yield Problem("missing", name, f"is missing{lost}")
    elif path.stat().st_size != entry.size:
        yield Problem("altered", name, f"was altered: {path.stat().st_size} bytes instead of {entry.size}")
    elif sha256_of(path) != entry.sha256:
        yield Problem("altered", name, "was altered: its checksum is not the one in the manifest")


def _pruned(site: Path, name: str, entry: FileEntry | Supplement) -> str:
    """Returns where the copies of a file are that was removed here by rule; empty for any other file."""
    try:
        with Copies(site) as copies:
            removed = copies.removed(name).get(name)
    except OSError:
        return ""
    if removed is None or (removed.size, removed.sha256) != (entry.size, entry.sha256):
        return ""
    return ", ".join(removed.destinations.splitlines())


def _check_supplements(observation: Observation, supplements: list[Supplement]) -> Iterator[Problem]:
    site, folder = observation.site_folder, observation.folder
    listing = folder / SUPPLEMENTS
    content = listing.read_bytes() if listing.exists() else b""
    lines = content.splitlines()
    if content != b"".join(line + b"\n" for line in lines):
        yield Problem("altered", _relative(listing, site), "the end of a line was altered")
    previous = sha256_of(folder / MANIFEST)
    # The list is append-only: what was added since `supplements` was read is looked at the next time.
    for number, (line, supplement) in enumerate(zip(lines, supplements, strict=False), 1):
        if supplement.prev != previous:
            text = f"line {number}: what comes before it was altered, removed or inserted"
            yield Problem("altered", _relative(listing, site), text)
        if not supplement.is_line(line):
            yield Problem("altered", _relative(listing, site), f"line {number} was altered")
        previous = hashlib.sha256(line).hexdigest()
        yield from _check_file((site if supplement.external else folder) / supplement.path, supplement, site)


def _check_extra(
    observation: Observation, manifest: Manifest, supplements: list[Supplement]
) -> Iterator[Problem]:
    listed = {entry.path for entry in manifest.files} | UNLISTED
    listed |= {supplement.path for supplement in supplements if not supplement.external}
    extra = False
    for path in sorted(observation.folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        if path.relative_to(observation.folder).as_posix() not in listed:
            extra = True
            yield Problem("extra", _relative(path, observation.site_folder), "is not part of the observation")
    if extra and not supplements:
        text = "is missing or empty; files that are not part of the observation may be its supplements"
        yield Problem("missing", _relative(observation.folder / SUPPLEMENTS, observation.site_folder), text)


def _relative(path: Path, site: Path) -> str:
    return path.relative_to(site).as_posix() if path.is_relative_to(site) else str(path)
