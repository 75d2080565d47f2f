"""The configuration repository of a site: a git repository with its Setups and the files they refer to.

Layout, as the storage reference has it: `data/<SITE>/conf` holds `SETUP_<SITE>_<NNNNN>_<yymmdd>_<hhmmss>.yaml`,
`data/common` what the sites share.
"""

from __future__ import annotations

import re
import shutil
import string
import subprocess
from pathlib import Path

from egse.clock import Clock, system_clock
from egse.site.layout import SiteError, SiteLayout
from egse.system import format_datetime, from_unix_time
from egse.yamlfile import parse_yaml

DATA = Path(__file__).resolve().parent.parent / "data"
TEMPLATE = DATA / "sandbox" / "setup.yaml"
COMMON = DATA / "common"

_README = """\
# Configuration of site {site_id}

`data/{site_id}/conf` holds the Setups, one file each, never edited by hand: submit a changed Setup instead
(`submit_setup(setup, description="...")`), the configuration manager then adds a file and commits it here.
`data/common` holds what Setups refer to: register maps, housekeeping maps, calibrations.
"""

_GIT_CONFIG = """\
[user]
	name = Configuration manager
	email = configuration-manager@localhost
[commit]
	gpgsign = false
[core]
	hooksPath = /dev/null
"""
"""The repository depends on nothing that a user has configured for git."""


def check_camera(camera: str) -> str:
    """Returns the name of a camera if it can be part of file names.

    Raises:
        SiteError: when it cannot.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,31}", camera):
        raise SiteError(f"{camera!r} is no name for a camera: use letters, digits and '-', e.g. achel")
    return camera


def initial_setup(site_id: str, camera: str, created: str) -> str:
    """Returns the text of the first Setup of a site.

    Args:
        site_id: the site.
        camera: name of the camera.
        created: date and time, for its history.
    """
    template = string.Template(TEMPLATE.read_text(encoding="utf-8"))
    text = template.substitute(site_id=site_id, camera=camera, created=created)
    parse_yaml(text, TEMPLATE)
    return text


def create_conf_repository(layout: SiteLayout, camera: str, clock: Clock | None = None) -> Path:
    """Makes the configuration repository of a site, with Setup 1; one that exists is left alone.

    Args:
        layout: the site.
        camera: name of the camera in the Setup.
        clock: for the date of the Setup; the host's clock by default.

    Returns:
        The Setup file with the lowest number.

    Raises:
        SiteError: when git is missing or fails.
    """
    if not layout.conf_repo.exists():
        part = layout.folder / ".conf.part"
        shutil.rmtree(part, ignore_errors=True)
        _fill(part, layout.site_id, camera, (clock or system_clock()).now())
        part.rename(layout.conf_repo)
    setups = sorted(layout.conf.glob("SETUP_*.yaml"))
    if not setups:
        raise SiteError(
            f"{layout.conf} holds no Setup: check out the configuration repository, or remove {layout.conf_repo}"
        )
    return setups[0]


def _fill(folder: Path, site_id: str, camera: str, now: float) -> None:
    """Makes the repository in a folder that does not exist yet."""
    check_camera(camera)
    moment = from_unix_time(now)
    conf = folder / "data" / site_id / "conf"
    conf.mkdir(mode=0o700, parents=True)
    setup = conf / f"SETUP_{site_id}_00001_{format_datetime(moment, fmt='%y%m%d_%H%M%S')}.yaml"
    created = format_datetime(moment, fmt="%Y-%m-%dT%H:%M:%S")
    setup.write_text(initial_setup(site_id, camera, created), encoding="utf-8")
    shutil.copytree(COMMON, folder / "data" / "common")
    (folder / "README.md").write_text(_README.format(site_id=site_id), encoding="utf-8")
    _git(folder, "init", "--quiet", "--template=", "--initial-branch=main")
    with (folder / ".git" / "config").open("a", encoding="utf-8") as file:
        file.write(_GIT_CONFIG)
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", f"Setup 00001 of {site_id}: initial Setup")


def _git(folder: Path, *arguments: str) -> None:
    try:
        subprocess.run(
            ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError as exc:
        raise SiteError(
            "git is needed for the configuration of a site: install it (apt install git)"
        ) from exc
    except subprocess.CalledProcessError as exc:
        raise SiteError(f"git {arguments[0]} failed in {folder}: {exc.stderr.strip()}") from exc
