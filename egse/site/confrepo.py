"""The configuration repository of a site: a git repository with its Setups and the files they refer to.

Layout, as the storage reference has it: `data/<SITE>/conf` holds `SETUP_<SITE>_<NNNNN>_<yymmdd>_<hhmmss>.yaml`,
`data/common` what the sites share.
"""

from __future__ import annotations

import re
import shutil
import string
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from egse.clock import Clock, system_clock
from egse.setup import Setup, SetupError
from egse.site.layout import SiteError, SiteLayout
from egse.system import format_datetime, from_unix_time

DATA = Path(__file__).resolve().parent.parent / "data"
TEMPLATE = DATA / "sandbox" / "setup.yaml"
COMMON = DATA / "common"
STARTERS = DATA / "conf"
GENERIC = "sandbox"
"""The starter with the simulated equipment of a sandbox, for a site that has none of its own."""

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


_AS_CM = ("-c", "user.name=Configuration manager", "-c", "user.email=configuration-manager@localhost")


def check_camera(camera: str) -> str:
    """Returns the name of a camera if it can be part of file names.

    Raises:
        SiteError: when it cannot.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,31}", camera):
        raise SiteError(f"{camera!r} is no name for a camera: use letters, digits and '-', e.g. achel")
    return camera


def starter_names() -> list[str]:
    """Returns the sites that have a starter Setup, and the generic one."""
    return [*sorted(path.stem for path in STARTERS.glob("*.yaml")), GENERIC]


def initial_setup(site_id: str, camera: str, created: str, starter: str | Path = GENERIC) -> str:
    """Returns the text of the first Setup of a site.

    Args:
        site_id: the site.
        camera: name of the camera.
        created: date and time, for its history.
        starter: one of `starter_names()`, or a Setup file, which is taken as it is.

    Raises:
        SiteError: when there is no such starter, or it is no valid Setup.
    """
    if starter in starter_names():
        paths = [TEMPLATE] if starter == GENERIC else [STARTERS / f"{starter}.yaml", STARTERS / "camera.tmpl"]
        text = "".join(path.read_text(encoding="utf-8") for path in paths)
        text = string.Template(text).substitute(site_id=site_id, camera=camera, created=created)
        source = paths[0]
    else:
        source = Path(starter).expanduser()
        if not source.is_file():
            raise SiteError(f"{starter} is neither a file nor a starter: {', '.join(starter_names())}")
        text = source.read_text(encoding="utf-8")
    try:
        Setup.from_yaml_string(text, source)
    except SetupError as exc:
        raise SiteError(str(exc)) from exc
    return text


def init_conf_repository(
    folder: Path, starters: Mapping[str, str | Path], camera: str, clock: Clock | None = None
) -> list[Path]:
    """Makes a configuration repository with sites in it, or adds sites to one that is there.

    Args:
        folder: the repository; made when it is not there.
        starters: what each site begins with, see `initial_setup`, by site id.
        camera: name of the camera in these Setups.
        clock: for the date of the Setups; the host's clock by default.

    Returns:
        The files of the Setups that were made.

    Raises:
        SiteError: when the folder is something else, a site has Setups already, or git fails; nothing is changed then.
    """
    now = (clock or system_clock()).now()
    is_new = not folder.exists() or not any(folder.iterdir())
    if not is_new and not (folder / ".git").exists():
        raise SiteError(
            f"{folder} holds files but is no git repository: name another folder, or run git init there"
        )
    for site_id in starters:
        if any((folder / "data" / site_id / "conf").glob("SETUP_*")):
            raise SiteError(f"{folder} holds Setups of {site_id} already: submit a changed one instead")
    if is_new:
        part = folder.parent / f".{folder.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            _fill(part, starters, camera, now)
            if folder.exists():
                folder.rmdir()
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    else:
        _add_sites(folder, starters, camera, now)
    return [
        path for site in starters for path in sorted((folder / "data" / site / "conf").glob("SETUP_*.yaml"))
    ]


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
        _fill(part, {layout.site_id: GENERIC}, camera, (clock or system_clock()).now())
        part.rename(layout.conf_repo)
    setups = sorted(layout.conf.glob("SETUP_*.yaml"))
    if not setups:
        raise SiteError(
            f"{layout.conf} holds no Setup: check out the configuration repository, or remove {layout.conf_repo}"
        )
    return setups[0]


def _add_sites(folder: Path, starters: Mapping[str, str | Path], camera: str, now: float) -> None:
    """Adds sites to a repository; when that fails, no file of theirs is left."""
    made: list[Path] = []
    try:
        for site_id, starter in starters.items():
            made.append(_write_setup(folder, site_id, camera, now, starter))
        common = folder / "data" / "common"
        if not common.exists():
            shutil.copytree(COMMON, common)
        paths = [str(common), *map(str, made)]
        _git(folder, "add", "--", *paths)
        _git(
            folder, *_AS_CM, "commit", "--quiet", "--no-verify", "--message", _message(starters), "--", *paths
        )
    except SiteError:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _fill(folder: Path, starters: Mapping[str, str | Path], camera: str, now: float) -> None:
    """Makes the repository in a folder that does not exist yet."""
    for site_id, starter in starters.items():
        _write_setup(folder, site_id, camera, now, starter)
    shutil.copytree(COMMON, folder / "data" / "common")
    readme = "\n".join(_README.format(site_id=site_id) for site_id in starters)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    _git(folder, "init", "--quiet", "--template=", "--initial-branch=main")
    with (folder / ".git" / "config").open("a", encoding="utf-8") as file:
        file.write(_GIT_CONFIG)
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", _message(starters))


def _message(sites: Iterable[str]) -> str:
    return f"Setup 00001 of {', '.join(sites)}: initial Setup"


def _write_setup(folder: Path, site_id: str, camera: str, now: float, starter: str | Path) -> Path:
    """Writes Setup 1 of a site."""
    check_camera(camera)
    moment = from_unix_time(now)
    created = format_datetime(moment, fmt="%Y-%m-%dT%H:%M:%S")
    text = initial_setup(site_id, camera, created, starter)
    conf = folder / "data" / site_id / "conf"
    conf.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = conf / f"SETUP_{site_id}_00001_{format_datetime(moment, fmt='%y%m%d_%H%M%S')}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


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
