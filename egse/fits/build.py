"""Makes the FITS cubes of an observation: finds its raw files, leaves out what is in cubes already, writes the rest."""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits

from egse.archive import Observation
from egse.decorators import fail_point
from egse.files import make_folder
from egse.fits.camera import CameraFacts
from egse.fits.cube import CubeWriter
from egse.fits.plan import MAX_CYCLES, CubePlan, plan_cubes
from egse.h5.index import RawFileIndex
from egse.setup import SetupError
from egse.storage import StorageError
from egse.storage.archive_files import ArchiveFiles
from egse.storage.naming import parse_filename, utc_day
from egse.system import format_datetime

LOGGER = logging.getLogger(__name__)

STAGING = "fits"
"""Folder below the site's data folder where cubes are written before they are moved into the observation."""

Deliver = Callable[[Observation, str, Path], Path]
"""Moves a finished file into an observation: observation, name without prefix, where the file is; returns its path."""

_MNEMONIC = "N-FEE_CCD"


def make_cubes(
    observation: Observation,
    deliver: Deliver,
    max_cycles: int = MAX_CYCLES,
    workers: int = 1,
    is_ending: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Makes the cubes of an observation that are not there yet.

    Can be repeated at any time: raw files that are in a cube already are left out, so a second call makes cubes of what has come
    since, and none when nothing has. To make a cube anew, remove it first. One process at a time makes the cubes of a site; others wait.
    What a killed one left unfinished is removed, and what it had not recorded is.

    Args:
        observation: running or closed.
        deliver: moves a finished cube into the observation.
        max_cycles: largest number of cycles in a cube.
        workers: how many cubes are written at the same time.
        is_ending: when it says True, what is not finished is given up.

    Returns:
        All cubes of the observation, old and new, in their order.

    Raises:
        OSError: when a raw file cannot be read or a cube not be written.
        CubesAbandonedError: when the cubes were to be given up; those that are finished stay.
    """
    with _staging(observation.site_folder) as staging:
        existing = existing_cubes(observation)
        _record(observation, existing, deliver)
        raw_files = [path for path in _raw_files(observation) if not _is_covered(path, existing.values())]
        camera = camera_of(observation)
        first = 1 + max((_number(path) for path in existing), default=0)
        plans = list(enumerate(plan_cubes(raw_files, max_cycles), start=first))
        made = []
        with ThreadPoolExecutor(max(1, workers), thread_name_prefix="fits") as pool:
            jobs = [
                pool.submit(_write_cube, observation, plan, camera, number, staging, is_ending)
                for number, plan in plans
            ]
            for (_, plan), job in zip(plans, jobs, strict=True):
                name, staged = job.result()
                fail_point("fits.before_deliver")
                made.append(deliver(observation, name, staged))
                fail_point("fits.after_deliver")
                LOGGER.info("made %s of %d cycles", made[-1], plan.cycles)
    return [*existing, *made]


@contextmanager
def _staging(site_folder: Path) -> Iterator[Path]:
    """Holds the folder in which cubes are written; removes what somebody who was killed left in it."""
    folder = site_folder / STAGING
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for path in (*folder.glob(".*.part"), *folder.glob("*_cube.fits")):
            path.unlink(missing_ok=True)
        yield folder
    finally:
        os.close(descriptor)


def _record(observation: Observation, cubes: Iterable[Path], deliver: Deliver) -> None:
    """Has cubes recorded that were moved into a sealed observation by somebody who was killed right after it."""
    if observation.manifest is None:
        return
    known = {entry.path for entry in observation.manifest.files}
    known |= {entry.path for entry in observation.supplements}
    for path in cubes:
        if path.name not in known:
            name = path.name.removeprefix(f"{observation.prefix}_")
            deliver(observation, name, observation.site_folder / STAGING / path.name)


def _raw_files(observation: Observation) -> list[Path]:
    """Returns the raw files that are there; of an observation of an older system by test id and site."""
    if observation.info is not None:
        return [path for path in observation.raw_files if path.exists()]
    name = observation.name
    site = re.escape(name.site_id or "")
    return RawFileIndex(observation.site_folder).matching(rf"{site}_\d{{5}}_{name.test}")


def _write_cube(
    observation: Observation,
    plan: CubePlan,
    camera: CameraFacts,
    number: int,
    staging: Path,
    is_ending: Callable[[], bool],
) -> tuple[str, Path]:
    """Writes a cube into the staging folder; returns its name without prefix, and where it is."""
    name = f"{_MNEMONIC}_{number:05d}_{utc_day(plan.first.timestamp)}_cube.fits"
    staged = staging / f"{observation.prefix}_{name}"
    site = observation.name.site_id or ""
    return name, CubeWriter(plan, camera, site, observation.obsid, is_ending).write(staged)


def existing_cubes(observation: Observation) -> dict[Path, tuple[str, str]]:
    """Returns the cubes that an observation has, each with the names of the first and last raw file in it."""
    found: dict[Path, tuple[str, str]] = {}
    for path in observation.fits_files:
        if _number(path):
            header = fits.getheader(path)
            found[path] = (str(header.get("RAWFIRST", "")), str(header.get("RAWLAST", "")))
    return found


def _number(path: Path) -> int:
    """Returns the running number of a cube, from 1; 0 for any other file."""
    try:
        name = parse_filename(path.name)
    except ValueError:
        return 0
    is_cube = name.mnemonic == _MNEMONIC and name.kind == "cube"
    return (name.number or 0) if is_cube else 0


def _is_covered(path: Path, ranges: Iterable[tuple[str, str]]) -> bool:
    return any(first <= path.name <= last for first, last in ranges)


def camera_of(observation: Observation) -> CameraFacts:
    """Returns what the observation's Setup says about the camera; built-in values where it has none."""
    setup_id = observation.name.setup_id
    try:
        return CameraFacts.from_setup(observation.setup, setup_id)
    except (LookupError, SetupError, OSError) as exc:
        LOGGER.warning(
            "%s has no Setup that can be read (%s): built-in camera values are used", observation.obsid, exc
        )
        return CameraFacts.from_setup(None, setup_id)


def deliver_offline(observation: Observation, name: str, staged: Path) -> Path:
    """Moves a cube into an observation without a storage manager: as supplement when it is sealed.

    Raises:
        StorageError: when a file of that name with other content is there, or the observation is still open (its storage
            manager alone may write there).
    """
    if observation.manifest is not None:
        archive = ArchiveFiles(observation.site_folder)
        return archive.adopt_supplement(observation.obsid, name, staged, format_datetime())
    if observation.info is not None:
        raise StorageError(
            f"observation {observation.obsid} is not sealed: make its cubes through the fitsgen server"
        )
    path = observation.folder / f"{observation.prefix}_{name}"  # an observation of an older system
    os.replace(staged, path)
    return path
