"""Several sites on one machine: which there are, where, and which one is used when the environment names none.

The list is kept per user, in `sites.yaml` of the configuration folder (`XDG_CONFIG_HOME` or ~/.config, camtest).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from egse import env as names
from egse.advice import or_meant
from egse.files import write_atomically
from egse.process.program import file_lock
from egse.site.confrepo import create_conf_repository
from egse.site.layout import SiteError, SiteLayout, check_site_id
from egse.site.localsettings import number_of_ports, read_local_settings, remap_ports, write_local_settings
from egse.site.ports import claim_block
from egse.yamlfile import format_yaml, read_yaml


@dataclass(frozen=True)
class Sites:
    """The sites that this user knows.

    Attributes:
        folders: the folder of each site, by its id.
        current: the site that is used when the environment names none; empty when none was chosen.
    """

    folders: dict[str, Path]
    current: str = ""

    def layout(self, site_id: str) -> SiteLayout:
        """Returns a site of this list.

        Raises:
            SiteError: when it is not in the list, or its folder is gone.
        """
        if site_id not in self.folders:
            known = ", ".join(self.folders) or "none yet, make one with: cgse site new ID"
            raise SiteError(f"no site {site_id!r} here (there are: {known}){or_meant(site_id, self.folders)}")
        layout = SiteLayout(self.folders[site_id], site_id)
        if not layout.settings.is_file():
            raise SiteError(f"the site {site_id} has no {layout.settings}: its folder was moved or removed")
        return layout


def sites_file() -> Path:
    """Returns the file with the list of sites of this user."""
    base = os.environ.get("XDG_CONFIG_HOME", "") or str(Path.home() / ".config")
    return Path(base) / "camtest" / "sites.yaml"


def load_sites() -> Sites:
    """Reads the list of sites; empty when there is none.

    Raises:
        SiteError: when the file has another form.
        YAMLFileError: when it is not valid YAML.
    """
    path = sites_file()
    if not path.exists():
        return Sites({})
    content = read_yaml(path)
    folders = content.get("sites") if isinstance(content, dict) else None
    if not isinstance(folders, dict):
        raise SiteError(f"{path} is not a list of sites: it needs an entry `sites` with a folder for each id")
    return Sites({name: Path(folder) for name, folder in folders.items()}, str(content.get("current") or ""))


def use_site(site_id: str) -> SiteLayout:
    """Makes a site the one that is used when the environment names none.

    Raises:
        SiteError: when there is no such site.
    """
    layout = load_sites().layout(site_id)
    _save(layout, current=True)
    return layout


def new_site(site_id: str, folder: Path | None = None, camera: str = "achel") -> SiteLayout:
    """Makes a site: folders, local settings with ports of its own, configuration repository with Setup 1.

    Args:
        site_id: the site, in upper case.
        folder: where; by default `sites/<ID>` in the data folder of this user (`XDG_DATA_HOME` or ~/.local/share).
        camera: name of the camera in Setup 1.

    Raises:
        SiteError: when there is a site of this id, or the folder holds other things.
    """
    check_site_id(site_id)
    known = load_sites().folders.get(site_id)
    if known is not None and known.is_dir():
        raise SiteError(
            f"there is a site {site_id} already, in {known}: use it with `cgse site use {site_id}`"
        )
    layout = SiteLayout((folder or _default_folder(site_id)).expanduser().resolve(), site_id)
    if layout.folder.is_dir() and any(layout.folder.iterdir()):
        raise SiteError(f"{layout.folder} is not empty: choose a new folder with --dir")
    layout.make_folders()
    block = claim_block(layout.folder, size=number_of_ports())
    settings = remap_ports(block, read_local_settings(layout.settings))
    write_local_settings(layout.settings, {"SITE": {"ID": site_id}, **settings})
    create_conf_repository(layout, camera)
    (layout.data / "conf").symlink_to(layout.conf)
    _save(layout, current=False)
    return layout


def join_current_site() -> SiteLayout | None:
    """Joins the current site of this user, unless the environment of this process names one.

    Returns:
        The site that was joined; None when the environment names a site, or no site was chosen.

    Raises:
        SiteError: when the current site is gone.
    """
    if os.environ.get(names.DATA_STORAGE_LOCATION) or os.environ.get(names.LOCAL_SETTINGS):
        return None
    sites = load_sites()
    if not sites.current:
        return None
    layout = sites.layout(sites.current)
    os.environ.update(layout.environment)
    return layout


def _default_folder(site_id: str) -> Path:
    base = os.environ.get("XDG_DATA_HOME", "") or str(Path.home() / ".local" / "share")
    return Path(base) / "camtest" / "sites" / site_id


def _save(layout: SiteLayout, *, current: bool) -> None:
    """Adds a site to the list; makes it the current one when asked, or when there is none."""
    path = sites_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file_lock(path.with_suffix(".lock")):
        sites = load_sites()
        folders = {
            **{name: str(folder) for name, folder in sites.folders.items()},
            layout.site_id: str(layout.folder),
        }
        chosen = layout.site_id if current or not sites.current else sites.current
        write_atomically(path, format_yaml({"current": chosen, "sites": folders}).encode(), 0o600)
