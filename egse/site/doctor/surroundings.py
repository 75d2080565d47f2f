"""Checks of what the processes of a site find around them: environment, settings, keys, versions, limits."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path
from typing import Any

from egse.advice import did_you_mean
from egse.env import CAMERA_IS_EM, CONF_DATA_LOCATION, SITE_ID, VARIABLES, EnvError, camera_is_em
from egse.security.keys import KeyFolder, KeysError, is_required, keys_location
from egse.settings import LOCAL_SETTINGS, Settings, SettingsError
from egse.site.doctor.findings import Finding, SiteView, fail, ok, warn
from egse.yamlfile import YAMLFileError, read_yaml

OPEN_FILES = 4096
"""So many files and sockets a busy server may have open (manual, section 26.7)."""
OLDEST_PYTHON = (3, 11)
DISTRIBUTION = "camtest"

_PROGRAMS = {
    "git": ("keeps the Setups", "apt install git"),
    "rsync": ("copies data to the archive", "apt install rsync"),
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*(?:>=\s*([\d.]+))?")
_CHECKED_ELSEWHERE = frozenset({CAMERA_IS_EM, LOCAL_SETTINGS})


def environment(site: SiteView) -> Iterator[Finding]:
    """Variables are set and lead to folders that can be used."""
    if site.site_id is None:
        meaning, example = VARIABLES[SITE_ID]
        yield fail(
            f"the site is not known ({meaning})",
            f"export {SITE_ID}={example}, or choose one: cgse site use ID",
        )
    else:
        yield ok(f"site {site.site_id}")
    for name, folder, writable in (
        ("data", site.data, True),
        ("log files", site.log, True),
        ("Setups (repository)", site.conf_repo, True),
        ("Setups of this site", _path(CONF_DATA_LOCATION), False),
    ):
        yield _folder(name, folder, writable)
    try:
        camera_is_em()
    except EnvError as exc:
        yield fail(str(exc), f"export {CAMERA_IS_EM}=True or False")


def _path(variable: str) -> Path | None:
    value = os.environ.get(variable, "").strip()
    return Path(value).expanduser() if value else None


def _folder(name: str, folder: Path | None, writable: bool) -> Finding:
    if folder is None:
        return fail(
            f"folder for {name}: its variable is not set",
            'eval "$(cgse site use ID)", or set the PLATO_ variables',
        )
    if not folder.is_dir():
        return fail(
            f"folder for {name}: {folder} is not there", f"mount that disk, or mkdir -p -m 0750 {folder}"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        return fail(
            f"folder for {name}: {folder} cannot be read by this user", "run as the user of the services"
        )
    if writable and not os.access(folder, os.W_OK):
        return warn(
            f"folder for {name}: {folder} cannot be written by this user",
            "fine for a client; services run as the user who owns it",
        )
    if folder.stat().st_mode & 0o002:
        return warn(f"folder for {name}: {folder} can be written by everybody", f"chmod o-w {folder}")
    return ok(f"folder for {name}: {folder}")


def settings(site: SiteView) -> Iterator[Finding]:
    """The settings can be read, and the local ones have only keys and types that exist."""
    local = Settings.local_file()
    try:
        Settings.load(force=True)
    except SettingsError as exc:
        yield fail(str(exc), "correct that file")
        return
    if local is None:
        yield warn(
            "no local settings: everything is as distributed",
            f"export {LOCAL_SETTINGS}=FILE when this site differs",
        )
        return
    try:
        own = read_yaml(local) or {}
    except (YAMLFileError, OSError) as exc:
        yield fail(str(exc), "correct that file")
        return
    known = Settings.load(add_local_settings=False)
    findings = list(_compare(own, known, ()))
    yield from findings
    if not findings:
        yield ok(f"local settings {local}")


def _compare(own: Mapping[str, Any], known: Mapping[str, Any], at: tuple[str, ...]) -> Iterator[Finding]:
    for key, value in own.items():
        place = ": ".join((*at, str(key)))
        if key not in known:
            if at or key not in _blocks_of_devices():
                hint = did_you_mean(str(key), known)
                yield warn(
                    f"settings: nobody reads {place}.{hint}",
                    "correct or remove that entry of the local settings",
                )
        elif isinstance(known[key], Mapping):
            if isinstance(value, Mapping) and known[key]:
                yield from _compare(value, known[key], (*at, str(key)))
        elif not _same_kind(value, known[key]):
            text = f"settings: {place} is {value!r}, expected is something like {known[key]!r}"
            yield fail(text, "correct that entry of the local settings")


def _same_kind(value: Any, like: Any) -> bool:
    if value is None or like is None:
        return True
    if isinstance(like, bool) or isinstance(value, bool):
        return isinstance(like, bool) and isinstance(value, bool)
    if isinstance(like, int | float):
        return isinstance(value, int | float)
    return isinstance(value, type(like)) or isinstance(like, str)


def _blocks_of_devices() -> set[str]:
    """Returns the blocks of settings that installed control servers of other packages read."""
    found = set()
    for point in entry_points(group="egse.control_server"):
        if point.dist is not None and point.dist.name == DISTRIBUTION:
            continue  # their blocks are in the global settings
        try:
            found.add(str(getattr(point.load(), "settings", "")))
        except (ImportError, AttributeError):
            continue  # reported when it is started
    return found


def keys(site: SiteView) -> Iterator[Finding]:
    """Keys are there when they are needed, and nobody else can read or replace them."""
    folder = keys_location()
    if folder is None:
        if is_required("CURVE"):
            yield fail(
                "SITE: CURVE is `required`, but no key folder is configured", "cgse keys create server"
            )
        else:
            yield ok("no keys: servers are reached from this machine only")
        return
    keyring = KeyFolder(folder)
    try:
        keyring.check()
        entries = keyring.entries()
        for name in keyring.names():
            keyring.public(name)
            if keyring.has_secret(name):
                keyring.pair(name)
    except KeysError as exc:
        yield fail(
            str(exc), "change mode or owner as it says; make new keys when others could have read them"
        )
        return
    yield ok(f"keys in {folder}: {len(keyring.names())} keys, {len(entries)} people are authorised")


def versions(site: SiteView) -> Iterator[Finding]:
    """Python, this software and what it needs are there in versions that fit."""
    text = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield fail(f"Python {text} is too old", "install Python 3.11 or newer and make a new environment")
    try:
        yield ok(f"{DISTRIBUTION} {version(DISTRIBUTION)} with Python {text}")
        needed = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        yield fail(f"the distribution {DISTRIBUTION} is not installed", "pip install -e . in the checkout")
        return
    for requirement in needed:
        if "extra ==" not in requirement and (match := _REQUIREMENT.match(requirement)):
            yield from _package(match[1], match[2])
    for other in ("cgse", "cgse-core", "cgse-common"):
        if _version(other):
            action = f"pip uninstall {other}, or use an environment of its own"
            yield fail(f"{other} is installed beside {DISTRIBUTION}: both bring a package `egse`", action)


def _package(name: str, oldest: str | None) -> Iterator[Finding]:
    found = _version(name)
    if found is None:
        yield fail(f"package {name} is missing", f"pip install '{name}>={oldest or 0}'")
    elif oldest and _numbers(found) < _numbers(oldest):
        yield fail(
            f"package {name} {found} is older than {oldest}", f"pip install --upgrade '{name}>={oldest}'"
        )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def programs(site: SiteView) -> Iterator[Finding]:
    """Programs of the system that are used are installed."""
    for name, (why, action) in _PROGRAMS.items():
        found = shutil.which(name)
        yield ok(f"{name}: {found}") if found else warn(f"{name} is not installed; it {why}", action)


def limits(site: SiteView) -> Iterator[Finding]:
    """Enough files and sockets may be open at a time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        action = (
            f"allow {OPEN_FILES}: /etc/security/limits.conf, or LimitNOFILE={OPEN_FILES} in the systemd unit"
        )
        yield warn(f"at most {hard} files may be open", action)
    else:
        yield ok(
            f"open files: {soft}, servers raise it to {OPEN_FILES}"
            if soft < OPEN_FILES
            else f"open files: {soft}"
        )
