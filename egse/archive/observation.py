"""One observation, read from its folder, the record of the site and the raw files in `daily/`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egse.confman.observations import CLOSED, RECORD_FILE, ObservationRecord, read_records
from egse.env import EnvError, get_data_storage_location, get_site_id
from egse.setup import Setup
from egse.setup.frozen import read_frozen_setup
from egse.storage.manifest import Manifest, Supplement, read_manifest, read_supplements
from egse.storage.naming import ObservationName, parse_filename, parse_obsid, parse_prefix
from egse.storage.observation import ObservationInfo, read_description
from egse.system import format_datetime, str_to_datetime

if TYPE_CHECKING:
    import pandas as pd

LOGGER = logging.getLogger(__name__)

RAW_SUFFIX = ".hdf5"


def _records(path: Path) -> Mapping[str, ObservationRecord]:
    """Returns the record of a site by prefix; read again only when the file has changed."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return {}
    return _read_records(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _read_records(path: Path, modified: int, size: int) -> Mapping[str, ObservationRecord]:
    return {record.info.prefix: record for record in read_records(path)[0].values()}


def _record_of(folder: Path) -> ObservationRecord | None:
    """Returns what the record of the site says about the observation in a folder."""
    return _records(folder.parent.parent / RECORD_FILE).get(folder.name)


def _info_of(folder: Path) -> ObservationInfo | None:
    """Returns what was known at the start of an observation; None when nothing (legible) tells.

    The record of the site comes first: the description in the folder may be what was altered.
    """
    record = _record_of(folder)
    if record is not None:
        return record.info
    try:
        return read_description(folder)
    except ValueError as exc:
        LOGGER.warning("%s", exc)
        return None


def _site_folder(name: ObservationName, location: Path | None) -> Path:
    """Returns the data folder of the observation's site."""
    if location is not None:
        return location
    if name.site_id is not None:
        try:
            own = get_site_id()
        except EnvError:
            own = name.site_id
        if own != name.site_id:
            return get_data_storage_location(name.site_id)
    return get_data_storage_location()


def find_folder(obsid: int | str | Path, location: str | Path | None = None) -> Path:
    """Returns the folder of an observation.

    Args:
        obsid: 1151, "01151", "01151_CSL1", "CSL1_00084_01151", the name of the folder, or its path.
        location: data folder of the site (with `obs/` and `daily/`); that of this environment when None.

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
    obs = _site_folder(wanted, None if location is None else Path(location).expanduser().absolute()) / "obs"
    found = [
        path for path in sorted(obs.glob(f"{wanted.test}_*")) if path.is_dir() and _is_wanted(path, wanted)
    ]
    if not found:
        raise LookupError(f"there is no observation {obsid} in {obs}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise LookupError(f"{obsid} is not unique in {obs}, there are: {names}")
    return found[0]


def _is_wanted(folder: Path, wanted: ObservationName) -> bool:
    try:
        name = parse_prefix(folder.name)
    except ValueError:
        return False
    info = _info_of(folder) if wanted.setup_id is not None else None
    setup_id = info.setup_id if info else name.setup_id
    return (
        name.test_id == wanted.test_id
        and wanted.site_id in (None, name.site_id)
        and wanted.camera in (None, name.camera)
        and (wanted.setup_id is None or setup_id is None or wanted.setup_id == setup_id)
    )


class Observation:
    """An observation as it is on disk; of any generation, running or closed.

    Args:
        obsid: as for `find_folder`.
        location: data folder of the site; that of this environment when None.

    Raises:
        LookupError: when there is no such observation.
    """

    def __init__(self, obsid: int | str | Path, location: str | Path | None = None) -> None:
        self.folder = find_folder(obsid, location)
        self.site_folder = self.folder.parent.parent

    def __repr__(self) -> str:
        return f"<Observation {self.obsid} {self.status or 'open'} in {self.folder}>"

    # -- what it is ----------------------------------------------------------------------------------------------

    @cached_property
    def info(self) -> ObservationInfo | None:
        """What was known at its start; None for observations of older systems."""
        return _info_of(self.folder)

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
        return _record_of(self.folder)

    @cached_property
    def name(self) -> ObservationName:
        """All identifiers."""
        return self.info.name if self.info else parse_prefix(self.folder.name)

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
        return self.info.start if self.info else ""

    @property
    def end(self) -> str:
        """UTC time of its end as text; empty while it is open."""
        if self.record is not None and self.record.end:
            return self.record.end
        return self.manifest.end if self.manifest else ""

    @property
    def function(self) -> str:
        """What was executed, as in the obsid table."""
        return self.info.function if self.info else ""

    @property
    def description(self) -> str:
        """The description given at its start."""
        return self.info.description if self.info else ""

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
        found: dict[str, list[Path]] = {}
        for path in self.files:
            if path.suffix != ".csv":
                continue
            try:
                mnemonic = parse_filename(path.name).mnemonic
            except ValueError:
                continue
            found.setdefault(mnemonic, []).append(path)
        return found

    def hk(self, mnemonic: str) -> pd.DataFrame:
        """Returns the housekeeping of one producer.

        Args:
            mnemonic: storage mnemonic, e.g. `PUNA`.

        Returns:
            One row per sample; column `timestamp` holds UTC times.

        Raises:
            LookupError: when there is none; the text names those that there are.
        """
        import pandas as pd

        files = self.hk_files
        if mnemonic not in files:
            known = ", ".join(sorted(files)) or "none"
            raise LookupError(
                f"observation {self.obsid} has no housekeeping of {mnemonic} (there is: {known})"
            )
        table = pd.concat([pd.read_csv(path) for path in files[mnemonic]], ignore_index=True)
        if "timestamp" in table.columns:
            table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601")
        return table

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Returns what happened, in order.

        Args:
            kind: only events whose `event` is this; all of them for None.
        """
        path = self.folder / f"{self.prefix}_events.jsonl"
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines if line.endswith("\n")]
        return found if kind is None else [event for event in found if event.get("event") == kind]

    @cached_property
    def setup(self) -> Setup:
        """The Setup of the observation with the files it pulls in, as frozen at its start.

        Raises:
            LookupError: when it is not in the folder (older systems).
        """
        path = self.file("setup.yaml")
        frozen = self.info.details.get("setup_files", {}) if self.info else {}
        setup = read_frozen_setup(path, frozen, f"{self.prefix}_")
        if self.name.setup_id is not None:
            setup.set_private_attribute("_setup_id", self.name.setup_id)
        return setup


def find_raw_files(obsid: int | str | Path, location: str | Path | None = None) -> list[Path]:
    """Returns the raw HDF5 files of an observation that are here, oldest first; see `Observation`."""
    return [path for path in Observation(obsid, location).raw_files if path.exists()]


def list_observations(location: str | Path | None = None) -> list[Observation]:
    """Returns all observations of a site by test id.

    Args:
        location: data folder of the site; that of this environment when None.
    """
    site_folder = Path(location) if location is not None else get_data_storage_location()
    found = []
    for path in sorted((site_folder / "obs").glob("[0-9]*")):
        try:
            parse_prefix(path.name)
        except ValueError:
            continue
        found.append(Observation(path.absolute()))
    return found
