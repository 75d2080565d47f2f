"""One observation, read from its folder, the record of the site and the raw files in `daily/`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egse.archive.housekeeping import Housekeeping, hk_files
from egse.archive.index import ArchiveIndex, Entry
from egse.archive.locate import find_folder, read_table, site_folder
from egse.archive.records import Records, read_lines
from egse.confman.observations import CLOSED, RECORD_FILE, ObservationRecord
from egse.setup import Setup
from egse.setup.conf import setup_files
from egse.setup.frozen import read_frozen_setup
from egse.storage.manifest import Manifest, Supplement, read_manifest, read_supplements
from egse.storage.naming import OBSID_TABLE, ObservationName, parse_prefix
from egse.storage.observation import ObservationInfo, read_description
from egse.storage.selfdescription import TELEMETRY, read_units
from egse.system import format_datetime, str_to_datetime

if TYPE_CHECKING:
    from egse.archive.images import Images

LOGGER = logging.getLogger(__name__)

RAW_SUFFIX = ".hdf5"
DAYS_OF_OLD_OBSERVATION = 3
"""For how many days after its start raw files of an observation without a record are looked for."""
NOTES = "note"
"""Kind of the events that are notes, and start of the names (without prefix) of files that are notes."""


@lru_cache(maxsize=8)
def _table(path: Path, modified: int, size: int) -> dict[tuple[int, str], ObservationInfo]:
    return read_table(path.parent)


def _table_line(folder: Path) -> ObservationInfo | None:
    """Returns the line of the obsid table about the observation in a folder, None when there is none."""
    path = folder.parent.parent / OBSID_TABLE
    try:
        name, state = parse_prefix(folder.name), path.stat()
    except (ValueError, OSError):
        return None
    return _table(path, state.st_mtime_ns, state.st_size).get((name.test_id, name.site_id or ""))


def _entry_of(folder: Path) -> Entry | None:
    """Returns what the index knows about the observation in a folder; None when it is not in the archive of a site."""
    site = folder.parent.parent
    if folder.parent.name != "obs" or not (site / RECORD_FILE).exists():
        return None
    with ArchiveIndex(site) as index:
        index.refresh()
        return index.find(folder.name)


def _setup_id_of(folder: Path) -> int | None:
    """Returns the Setup id of an observation whose name does not tell it."""
    entry = _entry_of(folder)
    if entry is not None:
        return entry.setup_id
    line = _table_line(folder)
    try:
        info = read_description(folder) or line
    except ValueError:
        info = line
    return info.setup_id if info else None


class Observation:
    """An observation as it is on disk; of any generation, running or closed.

    Everything is read when it is asked for, and kept: make a new one to see what has changed since.

    Args:
        obsid: 1151, "1151", "01151", "01151_CSL1", "CSL1_00084_01151", the name of the folder, or its path.
        location: data folder of the site, or the folder above it; that of this environment when None.

    Raises:
        LookupError: when there is no such observation, or more than one fits.
        ValueError: when `obsid` is none of these forms.
    """

    def __init__(self, obsid: int | str | Path, location: str | Path | None = None) -> None:
        self.folder = find_folder(obsid, location, _setup_id_of)
        self.site_folder = self.folder.parent.parent

    def __repr__(self) -> str:
        return f"<Observation {self.obsid} {self.status or 'open'} in {self.folder}>"

    # -- what it is ----------------------------------------------------------------------------------------------

    @cached_property
    def info(self) -> ObservationInfo | None:
        """What was known at its start; None for observations of older systems.

        The record of the site comes first: the description in the folder may be what was altered.
        """
        if self.record is not None:
            return self.record.info
        try:
            return read_description(self.folder)
        except ValueError as exc:
            LOGGER.warning("%s", exc)
            return None

    @cached_property
    def _known(self) -> ObservationInfo | None:
        """What is known of it; of observations of older systems, what the obsid table says."""
        return self.info or _table_line(self.folder)

    @cached_property
    def manifest(self) -> Manifest | None:
        """The list of its files with checksums; None until it is sealed."""
        return read_manifest(self.folder)

    @cached_property
    def supplements(self) -> list[Supplement]:
        """What was added after sealing, oldest first."""
        return read_supplements(self.folder)

    @cached_property
    def record(self) -> ObservationRecord | None:
        """What the configuration manager recorded; None when the record is not here."""
        entry = _entry_of(self.folder)
        return entry.record if entry else None

    @cached_property
    def name(self) -> ObservationName:
        """All identifiers."""
        if self.info is not None:
            return self.info.name
        name = parse_prefix(self.folder.name)
        line = self._known
        if name.setup_id is not None or line is None:
            return name
        return ObservationName(name.test_id, name.site_id, line.setup_id, name.camera)

    @property
    def obsid(self) -> str:
        """Full obsid, `SITE_SETUP_TEST`; the prefix when the Setup is not known (older systems)."""
        return self.name.obsid if self.name.setup_id is not None else self.name.prefix

    @property
    def test_id(self) -> int:
        """Number of the observation at its site."""
        return self.name.test_id

    @property
    def prefix(self) -> str:
        """Start of the names of its files."""
        return self.folder.name

    @property
    def status(self) -> str:
        """How it ended (done, failed, ...); empty while it is open or when that is not known."""
        if self.manifest is not None:
            return self.manifest.status
        return self.record.status if self.record else ""

    @property
    def state(self) -> str:
        """open, closing, closed; "unknown" for observations of older systems."""
        if self.record is not None:
            return self.record.state
        if self.manifest is not None:
            return CLOSED
        return "open" if self.info is not None else "unknown"

    @property
    def reason(self) -> str:
        """Why it ended as it did."""
        if self.manifest is not None:
            return self.manifest.reason
        return self.record.reason if self.record else ""

    @property
    def start(self) -> str:
        """UTC time of its start as text; empty when not known."""
        return self._known.start if self._known else ""

    @property
    def end(self) -> str:
        """UTC time of its end as text; empty while it is open."""
        if self.record is not None and self.record.end:
            return self.record.end
        return self.manifest.end if self.manifest else ""

    @property
    def function(self) -> str:
        """What was executed, as in the obsid table."""
        return self._known.function if self._known else ""

    @property
    def description(self) -> str:
        """The description given at its start."""
        return self._known.description if self._known else ""

    # -- files ---------------------------------------------------------------------------------------------------

    @property
    def files(self) -> list[Path]:
        """The files in its folder, sorted by name."""
        return sorted(
            path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(".")
        )

    def file(self, name: str) -> Path:
        """Returns the path of `<prefix>_<name>`, e.g. of `setup.yaml`.

        Raises:
            LookupError: when there is no such file.
        """
        path = self.folder / f"{self.prefix}_{name}"
        if not path.is_file():
            known = ", ".join(path.name for path in self.files) or "none"
            raise LookupError(f"observation {self.obsid} has no file {path.name} (files: {known})")
        return path

    @property
    def raw_files(self) -> list[Path]:
        """Its raw HDF5 files in `daily/`, oldest first; of a sealed observation also those that are missing now."""
        if self.manifest is None:
            return sorted(self._scan_raw_files())
        names = [entry.path for entry in self.manifest.external]
        names += [supplement.path for supplement in self.supplements if supplement.external]
        return sorted(self.site_folder / name for name in names)

    def _scan_raw_files(self) -> Iterator[Path]:
        """Finds the raw files of an observation that is not sealed by the obsid inside them."""
        import h5py

        if not self.start:
            return
        day = str_to_datetime(self.start)
        last = format_datetime("today")
        if (
            self.record is None and self.info is None
        ):  # of an older system: its end is not known, but it is long over
            last = min(last, f"{day + timedelta(days=DAYS_OF_OLD_OBSERVATION):%Y%m%d}")
        while f"{day:%Y%m%d}" <= last:
            for path in (self.site_folder / "daily" / f"{day:%Y%m%d}").glob(f"*{RAW_SUFFIX}"):
                try:
                    with h5py.File(path, "r") as file:
                        found = file["obsid"].asstr()[()] if "obsid" in file else ""
                except (OSError, TypeError):
                    continue
                if found == self.obsid:
                    yield path
            day += timedelta(days=1)

    @property
    def fits_files(self) -> list[Path]:
        """Its FITS files."""
        return [path for path in self.files if path.suffix == ".fits"]

    # -- content -------------------------------------------------------------------------------------------------

    @property
    def hk_files(self) -> dict[str, list[Path]]:
        """Its housekeeping files by storage mnemonic."""
        return hk_files(self.files)

    @cached_property
    def hk(self) -> Housekeeping:
        """Its housekeeping by storage mnemonic: `hk["PUNA"]` is a table indexed by time (UTC), `hk.units` has the units."""
        return Housekeeping(self.obsid, self.hk_files, self._units())

    def _units(self) -> dict[str, str]:
        path = self.folder / f"{self.prefix}_{TELEMETRY}"
        frozen = [path, *sorted(self.folder.glob(f"{self.prefix}_conf_*tm-dictionary*.csv"))]
        for candidate in frozen:
            if candidate.is_file():
                return read_units(candidate)
        return {}

    @cached_property
    def images(self) -> Images:
        """Its images by CCD and side, `images[1, "E"][0]`: from its FITS cubes, or else from its raw files."""
        from egse.archive.images import open_images  # loads astropy and h5py

        return open_images(self)

    @cached_property
    def events(self) -> Records:
        """What happened, in order: cells, building blocks, failures."""
        return read_lines(self.folder / f"{self.prefix}_events.jsonl")

    @cached_property
    def commands(self) -> Records:
        """Every device command of a closed observation, in order, with its outcome; `commands.table()` for pandas."""
        return read_lines(self.folder / f"{self.prefix}_commands.jsonl")

    @cached_property
    def notes(self) -> Records:
        """Notes of people: events of kind `note`, and text files whose names begin with `note`."""
        notes = self.events.where(event=NOTES)
        for path in self.files:
            name = path.name.removeprefix(f"{self.prefix}_")
            if name.lower().startswith(NOTES) and path.suffix in (".md", ".txt"):
                text = path.read_text(encoding="utf-8", errors="replace")
                notes.append({"event": NOTES, "file": path.name, "text": text})
        return notes

    @property
    def notebook(self) -> Path:
        """The executed notebook.

        Raises:
            LookupError: when there is none: the observation was not run by a runner.
        """
        executed = [
            path for path in self.files if path.suffix == ".ipynb" and not path.stem.endswith("_input")
        ]
        if not executed:
            raise LookupError(
                f"observation {self.obsid} has no executed notebook: it was not run from one, or its runner was killed"
            )
        return executed[0]

    @cached_property
    def setup(self) -> Setup:
        """The Setup of the observation with the files it pulls in, as frozen at its start.

        Of observations of older systems, which froze none: the Setup of that number in `conf/` of the site.

        Raises:
            LookupError: when there is neither.
        """
        path = self.folder / f"{self.prefix}_setup.yaml"
        if not path.is_file():
            return self._setup_of_site()
        details: dict[str, Any] = self.info.details if self.info else {}
        setup = read_frozen_setup(path, details.get("setup_files", {}), f"{self.prefix}_")
        if self.name.setup_id is not None:
            setup.set_private_attribute("_setup_id", self.name.setup_id)
        return setup

    def _setup_of_site(self) -> Setup:
        name, conf = self.name, self.site_folder / "conf"
        if name.setup_id is None:
            raise LookupError(
                f"observation {self.obsid} has no Setup in its folder, and {OBSID_TABLE} does not say which it had"
            )
        files = setup_files(conf, name.site_id) if conf.is_dir() else {}
        if name.setup_id not in files:
            raise LookupError(
                f"observation {self.obsid} has no Setup in its folder, and there is no Setup {name.setup_id:05d} of "
                f"{name.site_id} in {conf}"
            )
        return Setup.from_yaml_file(files[name.setup_id])


def find_raw_files(obsid: int | str | Path, location: str | Path | None = None) -> list[Path]:
    """Returns the raw HDF5 files of an observation that are here, oldest first; see `Observation`."""
    return [path for path in Observation(obsid, location).raw_files if path.exists()]


def list_observations(location: str | Path | None = None) -> list[Observation]:
    """Returns all observations of a site whose folders are here, by test id.

    Args:
        location: data folder of the site, or the folder above it; that of this environment when None.

    Raises:
        LookupError: when there is no archive at `location`.
    """
    site = site_folder(location)
    with ArchiveIndex(site) as index:
        index.refresh()
        entries = index.select("present")
    return [_observation_of(site, entry) for entry in entries]


def _observation_of(site: Path, entry: Entry) -> Observation:
    observation = Observation(site / "obs" / entry.prefix)
    observation.__dict__["record"] = entry.record  # what the cached property would find in the index
    return observation
