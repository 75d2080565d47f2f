"""Where a site keeps its things, and the environment by which processes find them."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import egse
from egse import env as names
from egse.env import get_data_storage_location, get_log_file_location, get_site_id

_SITE_ID = re.compile(r"[A-Z][A-Z0-9-]{0,15}")


class SiteError(RuntimeError):
    """A site cannot be made, found or used; the text says what to do."""


def check_site_id(site_id: str) -> str:
    """Returns a site id if it is one.

    Raises:
        SiteError: when it is not upper case text of letters, digits and '-'.
    """
    if not _SITE_ID.fullmatch(site_id):
        raise SiteError(
            f"{site_id!r} is no site id: use upper case letters, digits and '-', e.g. CSL1 or LAB"
        )
    return site_id


@dataclass(frozen=True)
class SiteLayout:
    """A site in a folder of its own.

    Attributes:
        folder: the folder that holds everything.
        site_id: the site.
    """

    folder: Path
    site_id: str

    @property
    def settings(self) -> Path:
        """The local settings file."""
        return self.folder / "settings.yaml"

    @property
    def conf_repo(self) -> Path:
        """The git repository with the Setups of all sites."""
        return self.folder / "conf"

    @property
    def conf(self) -> Path:
        """The folder with the Setups of this site."""
        return self.conf_repo / "data" / self.site_id / "conf"

    @property
    def data_root(self) -> Path:
        """The root of the data; the site id is appended to it."""
        return self.folder / "data"

    @property
    def data(self) -> Path:
        """The folder with the data of this site."""
        return self.data_root / self.site_id

    @property
    def log(self) -> Path:
        """The folder for log files."""
        return self.folder / "log"

    @property
    def run(self) -> Path:
        """The run directory: what runs, and the supervisor's files."""
        return self.data / "run"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a process joins this site."""
        source = Path(egse.__file__).resolve().parent.parent
        return {
            names.SITE_ID: self.site_id,
            names.DATA_STORAGE_LOCATION: str(self.data_root),
            names.CONF_DATA_LOCATION: str(self.conf),
            names.CONF_REPO_LOCATION: str(self.conf_repo),
            names.LOG_FILE_LOCATION: str(self.log),
            names.LOCAL_SETTINGS: str(self.settings),
            names.INSTALL_LOCATION: sys.prefix,
            names.COMMON_EGSE_PATH: str(source),
            names.CAMERA_IS_EM: "False",
        }

    def make_folders(self) -> None:
        """Makes the folders, for this user only; the run directory is made by whoever runs something."""
        for folder in (self.folder, self.data_root, self.data, self.log):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def merged_environment(site: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of this process, with the variables of a site in place of those of another."""
    rest = {name: value for name, value in os.environ.items() if name not in names.VARIABLES}
    return {**rest, **site}


def format_exports(environment: Mapping[str, str], shell: str = "bash") -> str:
    """Returns the commands by which a shell takes over variables.

    Args:
        environment: the variables.
        shell: `bash` (also for zsh and sh) or `fish`.
    """
    form = "set -gx {} {};" if shell == "fish" else "export {}={}"
    return "\n".join(form.format(name, shlex.quote(value)) for name, value in environment.items())


def current_run_directory() -> Path:
    """Returns the run directory of the site that this process's environment names.

    Raises:
        EnvError: when a variable is not set.
    """
    return get_data_storage_location() / "run"


def current_site() -> tuple[str, Path, Path]:
    """Returns site id, run directory and log folder of the site that this process's environment names.

    Raises:
        EnvError: when a variable is not set.
    """
    return get_site_id(), current_run_directory(), get_log_file_location()
