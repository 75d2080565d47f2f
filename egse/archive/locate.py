"""Where observations are: the data folder of a site, the folder of an observation, what the table of the site says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from egse.confman.observations import RECORD_FILE, ObservationRecord, read_records
from egse.confman.obsid_table import LINE
from egse.env import SITE_ID, EnvError, get_data_storage_location, get_site_id
from egse.storage.naming import OBSID_TABLE, ObservationName, parse_obsid, parse_prefix
from egse.storage.observation import ObservationInfo

_MARKS = ("obs", "daily", RECORD_FILE, OBSID_TABLE)
"""What tells the data folder of a site from other folders."""


def is_site_folder(folder: Path) -> bool:
    """Says whether a folder is the data folder of a site: it has `obs/`, `daily/`, a record or an obsid table."""
    return any((folder / mark).exists() for mark in _MARKS)


def site_folder(location: str | Path | None = None) -> Path:
    """Returns the data folder of a site.

    Args:
        location: that folder (with `obs/` and `daily/`), or the folder above it; the one of this environment when None.

    Raises:
        EnvError: when `location` is None and the environment names no site.
        LookupError: when there is no archive at `location`, or more than one below it.
    """
    if location is None:
        return get_data_storage_location()
    folder = Path(location).expanduser().absolute()
    if is_site_folder(folder):
        return folder
    if not folder.is_dir():
        raise LookupError(f"there is no folder {folder}")
    below = [path for path in sorted(folder.iterdir()) if path.is_dir() and is_site_folder(path)]
    named = [path for path in below if path.name == os.environ.get(SITE_ID, "")]
    if len(below) == 1 or named:
        return (named or below)[0]
    if below:
        names = ", ".join(path.name for path in below)
        raise LookupError(
            f"{folder} holds the data of several sites ({names}): name one of these folders, or set {SITE_ID}"
        )
    raise LookupError(f"there is no archive in {folder}: expected a folder with obs/ and daily/ in it")


def _site_of(name: ObservationName) -> Path:
    """Returns the data folder of the site that an observation's name mentions, else that of this environment."""
    if name.site_id is not None:
        try:
            own = get_site_id()
        except EnvError:
            own = name.site_id
        if own != name.site_id:
            return get_data_storage_location(name.site_id)
    return get_data_storage_location()


def find_folder(
    obsid: int | str | Path,
    location: str | Path | None = None,
    setup_of: Callable[[Path], int | None] | None = None,
) -> Path:
    """Returns the folder of an observation.

    Args:
        obsid: 1151, "1151", "01151", "01151_CSL1", "CSL1_00084_01151", the name of the folder, or its path.
        location: data folder of the site (with `obs/` and `daily/`) or the one above it; that of this environment when
            None.
        setup_of: tells the Setup id of an observation by its folder, where its name does not.

    Raises:
        LookupError: when there is none, or more than one fits.
        ValueError: when `obsid` is none of these.
    """
    if isinstance(obsid, Path) or (isinstance(obsid, str) and "/" in obsid):
        folder = Path(obsid).expanduser().absolute()
        if not folder.is_dir():
            raise LookupError(f"there is no folder {folder}")
        return folder
    wanted = parse_obsid(obsid)
    site = _site_of(wanted) if location is None else site_folder(location)
    obs = site / "obs"
    found = [
        path
        for path in sorted(obs.glob(f"{wanted.test}_*"))
        if path.is_dir() and _is_wanted(path, wanted, setup_of)
    ]
    if not found:
        raise LookupError(f"there is no observation {obsid} in {obs}{_hint(site, wanted)}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise LookupError(f"{obsid} is not unique in {obs}, there are: {names}")
    return found[0]


def _is_wanted(folder: Path, wanted: ObservationName, setup_of: Callable[[Path], int | None] | None) -> bool:
    try:
        name = parse_prefix(folder.name)
    except ValueError:
        return False
    setup_id = name.setup_id
    if wanted.setup_id is not None and setup_id is None and setup_of is not None:
        setup_id = setup_of(folder)
    return (
        name.test_id == wanted.test_id
        and wanted.site_id in (None, name.site_id)
        and wanted.camera in (None, name.camera)
        and (wanted.setup_id is None or setup_id is None or wanted.setup_id == setup_id)
    )


def _hint(site: Path, wanted: ObservationName) -> str:
    """Returns what else helps a person whose observation is not there."""
    if not site.is_dir():
        return " (that folder does not exist: is the disk mounted, is the path right?)"
    known = next((r for r in site_records(site).values() if r.info.test_id == wanted.test_id), None)
    if known is not None:
        return (
            f": {known.info.obsid} was recorded ({known.status or known.state}), but its folder is not here"
        )
    numbers = [int(path.name[:5]) for path in (site / "obs").glob("[0-9][0-9][0-9][0-9][0-9]_*")]
    return f" (there are {min(numbers)} to {max(numbers)})" if numbers else " (it is empty)"


# -- what the files of the site say --------------------------------------------------------------------------------


def site_records(site: Path) -> Mapping[str, ObservationRecord]:
    """Returns the record of a site by prefix, replayed from the file itself (again only when that has changed)."""
    path = site / RECORD_FILE
    try:
        state = path.stat()
    except OSError:
        return {}
    return _read_records(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _read_records(path: Path, modified: int, size: int) -> Mapping[str, ObservationRecord]:
    return {record.info.prefix: record for record in read_records(path)[0].values()}


def read_table(site: Path) -> dict[tuple[int, str], ObservationInfo]:
    """Returns what `obsid-table.txt` says, by test id and site; lines of another form are left out.

    This is all that is known of observations of older systems: Setup, start, function, description.
    """
    try:
        text = (site / OBSID_TABLE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        if match := LINE.match(line):
            found[int(match["test"]), match["site"]] = ObservationInfo(
                run_id="",
                test_id=int(match["test"]),
                site_id=match["site"],
                setup_id=int(match["setup"]),
                start=match["start"],
                function=match["function"],
                description=match["description"] or "",
            )
    return found
