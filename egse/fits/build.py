"""Makes the FITS cubes of an observation: finds its raw files, leaves out what is in cubes already, writes the rest."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from astropy.io import fits

from egse.archive import Observation
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


def make_cubes(observation: Observation, deliver: Deliver, max_cycles: int = MAX_CYCLES) -> list[Path]:
    """Makes the cubes of an observation that are not there yet.

    Can be repeated at any time: raw files that are in a cube already are left out, so a second call makes cubes of what has come
    since, and none when nothing has. To make a cube anew, remove it first.

    Args:
        observation: running or closed.
        deliver: moves a finished cube into the observation.
        max_cycles: largest number of cycles in a cube.

    Returns:
        All cubes of the observation, old and new, in their order.

    Raises:
        OSError: when a raw file cannot be read or a cube not be written.
    """
    existing = existing_cubes(observation)
    raw_files = [path for path in _raw_files(observation) if not _is_covered(path, existing.values())]
    camera = camera_of(observation)
    first = 1 + max((_number(path) for path in existing), default=0)
    made = [
        _make_cube(observation, plan, camera, number, deliver)
        for number, plan in enumerate(plan_cubes(raw_files, max_cycles), start=first)
    ]
    return [*existing, *made]


def _raw_files(observation: Observation) -> list[Path]:
    """Returns the raw files that are there; of an observation of an older system by test id and site."""
    if observation.info is not None:
        return [path for path in observation.raw_files if path.exists()]
    name = observation.name
    site = re.escape(name.site_id or "")
    return RawFileIndex(observation.site_folder).matching(rf"{site}_\d{{5}}_{name.test}")


def _make_cube(
    observation: Observation, plan: CubePlan, camera: CameraFacts, number: int, deliver: Deliver
) -> Path:
    name = f"{_MNEMONIC}_{number:05d}_{utc_day(plan.first.timestamp)}_cube.fits"
    staged = observation.site_folder / STAGING / f"{observation.prefix}_{name}"
    site = observation.name.site_id or ""
    CubeWriter(plan, camera, site, observation.obsid).write(staged)
    path = deliver(observation, name, staged)
    LOGGER.info("made %s of %d cycles", path, plan.cycles)
    return path


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
