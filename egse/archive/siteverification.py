"""Compares everything that a site has recorded: its observations, and what binds them to each other.

Five things know which observations there are: the record (a chain of lines), the obsid table, the folders, the manifests
(each names the one before it), and the index of the archive, which remembers what it has seen. Who removes or replaces an
observation, the newest included, has to alter all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from egse.archive.anchors import anchors, contradictions, remember_supplements
from egse.archive.index import ArchiveIndex
from egse.archive.observation import Observation, list_observations
from egse.archive.verification import Problem, check_record, verify
from egse.confman.observations import CLOSED, RECORD_FILE, ObservationRecord, read_records
from egse.confman.obsid_table import LINE, table_line
from egse.storage.manifest import MANIFEST, Link, read_manifest
from egse.storage.naming import OBSID_TABLE

_RESERVED = " reserved() "
"""Function of the line that keeps the numbers of observations that a restoration could not bring back."""


def verify_site(site: Path) -> list[Problem]:
    """Checks all observations of a site, and that none was removed or replaced.

    Args:
        site: data folder of the site.

    Returns:
        What is wrong; for an observation that is not closed yet a problem of kind `open`.
    """
    observations = list_observations(site) if site.is_dir() else []
    records, _ = read_records(site / RECORD_FILE)
    problems = list(check_record(site))
    with ArchiveIndex(site) as index:
        index.refresh()
        known = anchors(index.connection)
        sound = []
        for observation in observations:
            found = _verify_one(observation)
            problems += found
            if not any(problem.kind in ("altered", "missing", "record") for problem in found):
                sound.append(observation.prefix)
        problems += check_site(site, records, {observation.prefix for observation in observations})
        problems += [Problem("anchor", path, text) for path, _, text in contradictions(known, site, records)]
        if all(problem.kind in ("open", "pruned") for problem in problems):
            remember_supplements(index.connection, site, sound)
    return problems


def verify_observation(observation: Observation) -> list[Problem]:
    """Checks one observation, and what record, table, index and the next observation say about it.

    Args:
        observation: the observation, freshly made.
    """
    site = observation.site_folder
    problems = verify(observation)
    if observation.folder.parent != site / "obs":
        return problems
    records, _ = read_records(site / RECORD_FILE)
    problems += [
        problem
        for problem in check_site(site, records, {observation.prefix})
        if _concerns(problem, observation)
    ]
    with ArchiveIndex(site) as index:
        index.refresh()
        known = [anchor for anchor in anchors(index.connection) if anchor.prefix == observation.prefix]
    problems += [Problem("anchor", path, text) for path, _, text in contradictions(known, site, records)]
    return problems


def _concerns(problem: Problem, observation: Observation) -> bool:
    return observation.obsid in problem.text or problem.path.startswith(f"obs/{observation.prefix}")


def _verify_one(observation: Observation) -> list[Problem]:
    found = verify(observation, record=False)
    try:
        state = observation.state
    except ValueError:  # its manifest is damaged, which was found
        return found
    if state not in ("open", "closing"):
        return found
    found = [problem for problem in found if problem.kind != "unsealed"]
    text = f"{observation.obsid} is not closed yet, it cannot be checked"
    return [*found, Problem("open", f"obs/{observation.prefix}", text)]


def check_site(site: Path, records: Mapping[str, ObservationRecord], present: set[str]) -> Iterator[Problem]:
    """Checks that record, obsid table, folders and the chain of manifests agree.

    Args:
        site: data folder of the site.
        records: its record, by run id, oldest first.
        present: names of the folders of observations that are here.
    """
    ordered = list(records.values())
    table, record = site / OBSID_TABLE, site / RECORD_FILE
    if (
        table.exists()
        and not record.exists()
        and any((site / "obs" / n / MANIFEST).exists() for n in present)
    ):
        yield Problem(
            "missing", RECORD_FILE, "the record of the site is missing: nothing anchors the manifests"
        )
    yield from _missing_folders(ordered, site)
    yield from _check_links(ordered, site)
    yield from _check_table(ordered, site, present)


def _missing_folders(records: Sequence[ObservationRecord], site: Path) -> Iterator[Problem]:
    for record in records:
        path = f"obs/{record.info.prefix}"
        if record.state == CLOSED and not (site / path).is_dir():
            yield Problem("missing", path, f"the whole observation {record.info.obsid} is missing")


def _check_links(records: Sequence[ObservationRecord], site: Path) -> Iterator[Problem]:
    """Each observation names the one before it, in the record and in its manifest."""
    before: ObservationRecord | None = None
    for record in records:
        link = record.info.previous
        if link is not None:
            wanted = None if before is None else Link(before.info.obsid, before.manifest_sha256)
            if link != wanted:
                text = f"{record.info.obsid} came after {link.obsid}, which the record does not have in its place"
                yield Problem("record", RECORD_FILE, text)
            elif before is not None:
                yield from _check_link(record, before, site)
        before = record


def _check_link(record: ObservationRecord, before: ObservationRecord, site: Path) -> Iterator[Problem]:
    """The manifest says the same as the record; one that is damaged was found by other checks."""
    folder = site / "obs" / record.info.prefix
    try:
        manifest = read_manifest(folder)
    except (ValueError, OSError):
        return
    if manifest is not None and manifest.previous != record.info.previous:
        text = f"does not name {before.info.obsid} as the observation before {record.info.obsid}"
        yield Problem("altered", f"obs/{record.info.prefix}/{MANIFEST}", text)


def _check_table(records: Sequence[ObservationRecord], site: Path, present: set[str]) -> Iterator[Problem]:
    table = site / OBSID_TABLE
    if not table.exists():
        if records and (site / "daily").is_dir():
            yield Problem("missing", OBSID_TABLE, "the obsid table is missing")
        return
    # Nothing but a newline ends a line here, whatever else text files know.
    *lines, rest = table.read_bytes().decode("utf-8", errors="replace").split("\n")
    if rest:
        yield Problem("altered", OBSID_TABLE, f"its last line was cut off: {rest[:80]!r}")
    listed = {int(match["test"]): line for line in lines if (match := LINE.match(line))}
    known = {record.info.test_id: record for record in records}
    yield from _strange_lines(lines, known)
    for number, record in known.items():
        obsid = record.info.obsid
        if number not in listed:
            if record.state == CLOSED:
                yield Problem("altered", OBSID_TABLE, f"the line of {obsid} is missing")
        elif listed[number] != table_line(record.info):
            yield Problem("altered", OBSID_TABLE, f"the line of {obsid} was altered")
    first = min(known, default=0)  # numbers before it are of an older system
    folders = {int(name[:5]) for name in present if name[:5].isdigit()}
    for number, line in listed.items():
        if number in known or number < first or _RESERVED in line:
            continue
        if number not in folders:
            text = f"lists observation {number:05d}, of which there is neither a record nor a folder: {line[:60]}"
            yield Problem("missing", OBSID_TABLE, text)
        elif first:
            yield Problem("record", OBSID_TABLE, f"lists observation {number:05d}, which the record denies")


def _strange_lines(lines: Sequence[str], known: Mapping[int, ObservationRecord]) -> Iterator[Problem]:
    """Finds what is no line of the table; before the first observation of this software anything may stand there."""
    ours = False
    for line in lines:
        match = LINE.match(line)
        ours = ours or (match is not None and int(match["test"]) in known)
        if ours and match is None and line.strip():
            yield Problem("altered", OBSID_TABLE, f"this is no line of the table: {line[:80]!r}")
