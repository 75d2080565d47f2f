"""Checks of what a site has recorded and of its servers: Setups, remote, left-overs, index, copies, core services."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from egse.archive.copies import FAILED, Copies
from egse.archive.index import ArchiveIndex
from egse.archive.index_file import INDEX_FILE
from egse.confman.checkout import hand_work, hindrance
from egse.confman.git import GitError, run_git
from egse.confman.observations import RECORD_FILE
from egse.confman.recordfile import check_chain
from egse.confman.repository import REMOTES
from egse.mode import SIMULATOR
from egse.proxy import ServiceProxy
from egse.settings import Settings
from egse.setup.conf import setup_files
from egse.site.doctor.findings import Finding, SiteView, fail, ok, warn
from egse.site.programs import core_entries
from egse.storage.naming import LAST_SETUP_ID

OLD = 3600.0
"""What is unfinished for so long is a left-over of a crash [s]."""
WITHOUT_COPY = 7.0
"""So long after the last run of `cgse archive sync` it is time for another [days]."""
_PATIENCE = 15.0
"""How long a remote may take to answer [s]."""


def servers(site: SiteView) -> Iterator[Finding]:
    """The core services answer."""
    for entry in core_entries():
        services = ServiceProxy(entry.settings, entry.name, timeout=1.0)
        try:
            if services.ping(1.0):
                yield ok(f"{entry.name} ({entry.title}) answers")
            elif not (entry.extra and _is_simulated()):  # a sandbox has less, see `sandbox_entries`
                yield warn(f"{entry.name} ({entry.title}) does not answer", "start it: cgse core start")
        finally:
            services.disconnect_cs()


def _is_simulated() -> bool:
    return str(Settings.load("SITE").get("MODE")) == SIMULATOR


def setups(site: SiteView) -> Iterator[Finding]:
    """There are Setups under git, all of them committed, and one of them is loaded."""
    repository, site_id = site.conf_repo, site.site_id
    if repository is None or site_id is None or not repository.is_dir():
        return  # said by the check of the environment
    if found := hindrance(repository):
        yield fail(found.text, found.step)
        return
    folder = repository / "data" / site_id / "conf"
    files = setup_files(folder, site_id)
    if not files:
        yield warn(f"no Setup of {site_id} in {folder}", "add one, or pull: git -C REPOSITORY pull")
    if folder.is_dir():
        for found in hand_work(repository, folder):
            yield warn(found.text, found.step)
    yield from _loaded(site, files)


def _loaded(site: SiteView, files: dict[int, Path]) -> Iterator[Finding]:
    path = site.data / LAST_SETUP_ID if site.data else None
    try:
        number = int(path.read_text()) if path else 0
    except (OSError, ValueError):
        yield warn("no Setup is loaded", "cm_cs load-setup ID")
        return
    if number in files:
        yield ok(f"{len(files)} Setups, {number:05d} is loaded")
    else:
        yield fail(
            f"the loaded Setup {number:05d} is not in the repository",
            "git pull there, or cm_cs load-setup ID",
        )


def remote(site: SiteView) -> Iterator[Finding]:
    """The remote of the configuration repository can be reached and written, and neither side is ahead."""
    repository = site.conf_repo
    if repository is None or hindrance(repository):
        return
    names = run_git(repository, "remote").split()
    name = next((name for name in REMOTES if name in names), None)
    if name is None:
        action = f"git -C {repository} remote add origin ADDRESS, or make backups: cgse backup create"
        yield warn("the configuration repository has no remote: Setups are on this machine only", action)
        return
    try:
        branch = run_git(repository, "symbolic-ref", "--short", "HEAD").strip()
        answer = run_git(repository, "ls-remote", "--heads", name, f"refs/heads/{branch}", timeout=_PATIENCE)
    except GitError as exc:
        yield warn(
            f"the remote {name} of the configuration repository does not answer: {_last_line(exc)}",
            "check network and SSH key of this user; Setups are pushed later by themselves",
        )
        return
    theirs, ours = answer.split("\t")[0].strip(), run_git(repository, "rev-parse", "HEAD").strip()
    yield _relation(repository, name, branch, ours, theirs)
    try:
        run_git(
            repository, "push", "--dry-run", "--quiet", name, f"HEAD:refs/heads/{branch}", timeout=_PATIENCE
        )
    except GitError as exc:
        if "non-fast-forward" not in str(exc) and "fetch first" not in str(exc):
            text = f"the remote {name} does not accept pushes of this user: {_last_line(exc)}"
            yield warn(text, "give the key of the services write access to the repository")


def _relation(repository: Path, name: str, branch: str, ours: str, theirs: str) -> Finding:
    if ours == theirs:
        return ok(f"configuration repository: {name}/{branch} is up to date")
    if not theirs:
        return warn(f"{name} has no branch {branch} yet", "the next submitted Setup is pushed there")
    if _is_ancestor(repository, theirs, ours):
        return warn(
            f"Setups are not pushed to {name} yet", f"is done by cm_cs; or: git -C {repository} push {name}"
        )
    action = f"git -C {repository} pull --rebase {name} {branch}"
    return warn(f"{name}/{branch} has commits that are not here", action)


def _is_ancestor(repository: Path, older: str, newer: str) -> bool:
    try:
        run_git(repository, "merge-base", "--is-ancestor", older, newer)
    except GitError:
        return False
    return True


def _last_line(exc: GitError) -> str:
    lines = [line for line in str(exc).splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no reason given"


def record(site: SiteView) -> Iterator[Finding]:
    """The record of observations is whole."""
    if site.data is None or not (site.data / RECORD_FILE).exists():
        return
    problems = check_chain(site.data / RECORD_FILE)
    if problems:
        yield fail(
            f"the record of observations is damaged: {problems[0]}",
            "compare with a copy: cgse archive, cgse backup",
        )
    else:
        yield ok("the record of observations is whole")


def leftovers(site: SiteView) -> Iterator[Finding]:
    """No unfinished files of crashed processes lie around."""
    data = site.data
    if data is None or not data.is_dir():
        return
    now = time.time()
    found: dict[str, list[Path]] = {}
    for base, folders, names in os.walk(data):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "run"]
        for name in names:
            path = Path(base) / name
            kind = _leftover(path, data)
            if kind and _age(path, now) > OLD:
                found.setdefault(kind, []).append(path)
    for kind, paths in sorted(found.items()):
        action = (
            "start dpu_cs, it finishes them"
            if kind == "spools"
            else "remove them when no process writes them"
        )
        yield warn(f"{len(paths)} old {kind}, e.g. {paths[0].relative_to(data)}", action)
    if not found:
        yield ok("no left-over files")


def _leftover(path: Path, data: Path) -> str:
    if path.suffix == ".part":
        return "unfinished files (.part)"
    if path.is_relative_to(data / "spool") and not path.name.startswith("."):
        return "spools"
    if path.name.endswith("_images.fits"):
        return "flat FITS files"
    hidden = path.name.startswith(".") and not path.name.endswith((".lock", ".json"))
    return "temporary files" if hidden and path.is_relative_to(data / "obs") else ""


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except OSError:
        return 0.0


def index(site: SiteView) -> Iterator[Finding]:
    """The archive index is sound; it can always be made again."""
    if site.data is None or not (site.data / INDEX_FILE).exists():
        return
    try:
        with ArchiveIndex(site.data) as archive:
            (state,) = archive.connection.execute("PRAGMA quick_check").fetchone()
            archive.refresh()
            number = archive.count()
    except sqlite3.Error as exc:
        state, number = str(exc), 0
    if state == "ok":
        yield ok(f"archive index: {number} observations")
    else:
        yield warn(f"the archive index is damaged: {state}", "cgse archive index --rebuild")


def copies(site: SiteView) -> Iterator[Finding]:
    """The data are copied elsewhere, and the copies are right."""
    if site.data is None or not site.data.is_dir():
        return
    try:
        with Copies(site.data) as known:
            found = known.select()
    except OSError as exc:
        yield fail(str(exc), "cgse backup restore, or move it away and run cgse archive sync")
        return
    failed = [copy for copy in found if copy.state == FAILED]
    if failed:
        text = f"{len(failed)} copies are not right, e.g. {failed[0].path} at {failed[0].destination}"
        yield fail(text, f"cgse archive sync --to {failed[0].destination}; then camtest verify --all")
    if not found:
        yield warn(
            "there is no copy of the data elsewhere", "cgse archive sync --to DESTINATION (docs/archive.md)"
        )
        return
    days = (time.time() - max(copy.checked for copy in found)) / 86_400
    if days > WITHOUT_COPY:
        yield warn(
            f"the last copy was made {days:.0f} days ago",
            "cgse archive sync; make a timer for it (docs/archive.md)",
        )
    elif not failed:
        yield ok(f"{len(found)} copies elsewhere, all right when they were checked")
