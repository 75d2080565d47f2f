"""Work of the storage manager on observations that are closed: supplements and late raw files."""

from __future__ import annotations

import os
from pathlib import Path

from egse.files import write_atomically
from egse.storage.files import inside, sha256_of
from egse.storage.naming import check_name, parse_obsid, parse_prefix
from egse.storage.observation import ObservationFolder, read_description
from egse.storage.persistence import StorageError


class ArchiveFiles:
    """The observations of a site on disk.

    Args:
        site_folder: data folder of the site.
    """

    def __init__(self, site_folder: Path) -> None:
        self.site_folder = site_folder

    def find(self, obsid: str) -> ObservationFolder:
        """Returns the sealed folder of an observation.

        Raises:
            StorageError: when there is none, or it is not sealed.
        """
        try:
            wanted = parse_obsid(obsid)
        except ValueError as exc:
            raise StorageError(str(exc)) from exc
        for path in sorted((self.site_folder / "obs").glob(f"{wanted.test}_*")):
            info = read_description(path)
            if info is None or parse_prefix(path.name).test_id != wanted.test_id:
                continue
            if wanted.setup_id is not None and wanted.obsid != info.obsid:
                continue
            folder = ObservationFolder(self.site_folder, info)
            if not folder.sealed:
                raise StorageError(f"observation {obsid} is neither open nor sealed yet")
            return folder
        raise StorageError(f"there is no observation {obsid} in {self.site_folder / 'obs'}")

    def check_raw_file(self, path: Path) -> Path:
        """Returns the path of a finished raw file in `daily/`.

        Raises:
            StorageError: when it is elsewhere, missing or not finished.
        """
        daily = self.site_folder / "daily"
        try:
            resolved = inside(path if path.is_absolute() else self.site_folder / path, daily)
        except ValueError as exc:
            raise StorageError(f"raw files live in {daily}: {exc}") from exc
        if resolved.suffix == ".part" or not resolved.is_file():
            raise StorageError(f"{path} is no finished file")
        return self.site_folder / "daily" / resolved.relative_to(daily.resolve())

    def supplement(self, obsid: str, path: Path, now: str, *, external: bool = False) -> None:
        """Lists a file that is in place in the supplements of an observation."""
        self.find(obsid).add_supplement(path, now, external=external)

    def add_supplement(self, obsid: str, name: str, data: bytes, now: str) -> Path:
        """Writes a derived file into a sealed observation; the same content twice is accepted.

        Raises:
            StorageError: when a file of that name with other content is there.
        """
        folder = self.find(obsid)
        path = _free_path(folder, name)
        if path.exists():
            same = path.stat().st_size == len(data) and path.read_bytes() == data
            _refuse_unless(same, path)
        else:
            write_atomically(path, data)
        folder.add_supplement(path, now)
        return path

    def adopt_supplement(self, obsid: str, name: str, source: Path, now: str) -> Path:
        """Moves a finished file into a sealed observation; can be repeated.

        Raises:
            StorageError: when a file of that name with other content is there.
        """
        folder = self.find(obsid)
        path = _free_path(folder, name)
        if path.exists() and source.exists():
            _refuse_unless(sha256_of(path) == sha256_of(self._staged(source)), path)
        elif not path.exists():
            os.replace(self._staged(source), path)
        folder.add_supplement(path, now)
        return path

    def move_into(self, folder: ObservationFolder, name: str, source: Path) -> Path:
        """Moves a finished file into an open observation; can be repeated.

        Raises:
            StorageError: when a file of that name is there already.
        """
        path = _free_path(folder, name)
        if path.exists() and not source.exists():
            return path
        _refuse_unless(not path.exists(), path)
        os.replace(self._staged(source), path)
        return path

    def _staged(self, source: Path) -> Path:
        """Returns the path of a file that may be taken: below the site's data folder, not in `daily/` or `obs/`."""
        try:
            resolved = inside(source, self.site_folder)
        except ValueError as exc:
            raise StorageError(str(exc)) from exc
        first = resolved.relative_to(self.site_folder.resolve()).parts[0]
        if source.is_symlink() or not resolved.is_file() or first in ("daily", "obs"):
            raise StorageError(
                f"{source} cannot be moved: not a file in a folder of its own below {self.site_folder}"
            )
        return resolved


def _free_path(folder: ObservationFolder, name: str) -> Path:
    try:
        return folder.file(check_name(name))
    except ValueError as exc:
        raise StorageError(str(exc)) from exc


def _refuse_unless(allowed: bool, path: Path) -> None:
    if not allowed:
        raise StorageError(f"{path.name} exists with other content; nothing in the archive is replaced")
