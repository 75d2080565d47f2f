"""Setup files in the configuration folder, without the configuration manager."""

from __future__ import annotations

from pathlib import Path

from egse.env import EnvError, get_conf_data_location, get_data_storage_location, get_site_id
from egse.setup.errors import SetupError
from egse.setup.setup import Setup, parse_setup_filename


def setup_files(folder: str | Path | None = None, site_id: str | None = None) -> dict[int, Path]:
    """Finds the Setup files of a site.

    Args:
        folder: where to look; `PLATO_CONF_DATA_LOCATION` when None.
        site_id: the site; that of this environment when None.

    Returns:
        The file of every Setup id, in order; the newest when an id has several files.

    Raises:
        EnvError: when folder or site are neither given nor set.
    """
    site = site_id or get_site_id()
    found: dict[int, Path] = {}
    for path in sorted(Path(folder or get_conf_data_location()).glob(f"SETUP_{site}_*.y*ml")):
        named = parse_setup_filename(path)
        if named and named[0] == site:
            found[int(named[1])] = path
    return dict(sorted(found.items()))


def last_setup_id() -> int | None:
    """Returns the id of the Setup that was last active, as the configuration manager left it on disk, or None."""
    try:
        location = get_data_storage_location()
    except EnvError:
        return None
    for name in ("last_setup_id.txt", "last_setup_id"):
        try:
            return int((location / name).read_text().strip())
        except (OSError, ValueError):
            continue
    return None


def setup_from_disk(setup_id: int | None = None) -> Setup:
    """Reads a Setup file of this site.

    Args:
        setup_id: its number; when None the one that was last active, or else the one with the highest number.

    Raises:
        EnvError: when the environment does not say where to look.
        SetupError: when there is no such Setup, or it is not valid.
    """
    files = setup_files()
    if not files:
        raise SetupError(f"there are no Setups of site {get_site_id()} in {get_conf_data_location()}")
    if setup_id is None:
        last = last_setup_id()
        setup_id = last if last in files else max(files)
    if setup_id not in files:
        raise SetupError(f"there is no Setup {setup_id:05d}, only {min(files):05d} to {max(files):05d}")
    return Setup.from_yaml_file(files[setup_id])
