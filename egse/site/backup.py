"""Backup of what cannot be made again, and its restoration into an empty folder.

In it: the configuration repository with its history, the record of observations with the obsid table, the journals of
commands, the record of verified copies, the local settings; keys only when asked for. Not in it: the data themselves
(`cgse archive sync` copies those) and what follows from other files (the index).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from egse.archive.copies import COPIES_FILE
from egse.archive.locate import site_folder
from egse.confman.git import GitError, is_work_tree, run_git
from egse.confman.observations import HIGHEST_TEST_ID, RECORD_FILE
from egse.confman.recordfile import check_chain
from egse.env import get_conf_repo_location, get_data_storage_location, get_site_id
from egse.files import fsync_folder, make_folder, write_atomically
from egse.security.keys import keys_location
from egse.settings import Settings
from egse.site.layout import SiteError, SiteLayout, check_site_id, format_exports
from egse.storage.files import sha256_of
from egse.storage.naming import LAST_SETUP_ID, OBSID_TABLE
from egse.system import format_datetime, get_host_name
from egse.version import VERSION

CONTENTS = "backup.json"
BUNDLE = "conf.bundle"
SCHEMA = 1
_LINES = (RECORD_FILE, OBSID_TABLE, "logbook.jsonl")
"""Files that may be written while they are copied: taken up to their last complete line."""
_WHOLE = (LAST_SETUP_ID, ".sm_state.json")
_FOLDERS = ("data", "worktree", "keys")


class BackupError(RuntimeError):
    """A backup cannot be made, is damaged or cannot be restored; the text says what to do."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds (`backup.json` in it).

    Attributes:
        site_id: the site.
        created: UTC time as text.
        host: machine that it was made on.
        version: of this software.
        files: SHA-256 of each file in it.
        branch: checked-out branch of the configuration repository, empty without a repository.
        remotes: its remotes, address by name.
    """

    schema: int = SCHEMA
    site_id: str
    created: str
    host: str
    version: str
    files: dict[str, str]
    branch: str = ""
    remotes: dict[str, str] = {}


def create_backup(path: Path, *, with_keys: bool = False) -> Contents:
    """Makes a backup of the site of this environment, while it runs or not.

    Args:
        path: the file, `.tar.gz`; it must not exist. Only its owner may read it.
        with_keys: put the keys in, secrets too: whoever has the file can command the site then.

    Raises:
        BackupError: when it cannot be made.
        EnvError: when the environment names no site.
        OSError: when something cannot be read or written; nothing is left then.
    """
    path = path.expanduser().absolute()
    if path.exists():
        raise BackupError(f"{path} exists already: choose another name")
    data, conf = get_data_storage_location(), get_conf_repo_location()
    with tempfile.TemporaryDirectory(prefix=".cgse-backup-", dir=path.parent) as folder:
        staging = Path(folder)
        branch, remotes = _take_repository(conf, staging)
        _take_data(data, staging / "data")
        local = Settings.local_file()
        if local is not None and local.is_file():
            _copy(local, staging / "settings.yaml")
        keys = keys_location() if with_keys else None
        if with_keys and (keys is None or not keys.is_dir()):
            raise BackupError("there are no keys to back up: no key folder is configured")
        if keys is not None:
            for file in sorted(keys.iterdir()):
                if file.is_file():
                    _copy(file, staging / "keys" / file.name)
        contents = Contents(
            site_id=get_site_id(),
            created=format_datetime(),
            host=get_host_name(),
            version=VERSION,
            files={_name(file, staging): sha256_of(file) for file in _files(staging)},
            branch=branch,
            remotes=remotes,
        )
        (staging / CONTENTS).write_bytes(msgspec.json.format(msgspec.json.encode(contents)) + b"\n")
        _pack(staging, path)
    return contents


def _take_repository(conf: Path, staging: Path) -> tuple[str, dict[str, str]]:
    """Takes the whole history as a bundle, and files that are not committed as they are."""
    if not conf.is_dir():
        raise BackupError(f"there is no configuration repository {conf}")
    if not is_work_tree(conf):
        for file in _files(conf):
            _copy(file, staging / "worktree" / _name(file, conf))
        return "", {}
    try:
        run_git(conf, "bundle", "create", "--quiet", str(staging / BUNDLE), "--all", "HEAD", timeout=600.0)
        branch = run_git(conf, "symbolic-ref", "--quiet", "--short", "HEAD").strip()
        remotes = {
            name: run_git(conf, "remote", "get-url", name).strip() for name in run_git(conf, "remote").split()
        }
        changed = run_git(conf, "ls-files", "-z", "--modified", "--others", "--exclude-standard")
    except GitError as exc:
        raise BackupError(f"the configuration repository cannot be backed up: {exc}") from exc
    for name in filter(None, changed.split("\0")):
        if (conf / name).is_file() and not (conf / name).is_symlink():
            _copy(conf / name, staging / "worktree" / name)
    return branch, remotes


def _take_data(data: Path, staging: Path) -> None:
    for name in _LINES:
        if (data / name).is_file():
            content = (data / name).read_bytes()
            _write(staging / name, content[: content.rfind(b"\n") + 1])
    for name in _WHOLE:
        if (data / name).is_file():
            _copy(data / name, staging / name)
    journals = [*(data / "journal").glob("*/*.journal"), *(data / "alarms").glob("*.jsonl")]
    for path in sorted(journals):
        _copy(path, staging / _name(path, data))
    if (data / COPIES_FILE).is_file():
        make_folder(staging, 0o700)
        try:
            with (
                contextlib.closing(sqlite3.connect(data / COPIES_FILE)) as source,
                contextlib.closing(sqlite3.connect(staging / COPIES_FILE)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as exc:
            raise BackupError(f"{data / COPIES_FILE} cannot be read: {exc}") from exc


def _pack(staging: Path, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        descriptor = os.open(
            part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz") as tar:
                for member in [staging / CONTENTS, *(f for f in _files(staging) if f.name != CONTENTS)]:
                    tar.add(member, _name(member, staging), recursive=False, filter=_anonymous)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


# -- reading -------------------------------------------------------------------------------------------------------


def verify_backup(path: Path) -> tuple[Contents, list[str]]:
    """Reads a whole backup and compares every file with its checksum, the record of observations with its own.

    Returns:
        What it holds, and what is wrong with it.

    Raises:
        BackupError: when it is no backup at all.
    """
    with tempfile.TemporaryDirectory(prefix="cgse-backup-") as folder:
        return _unpack(path, Path(folder))


def _unpack(path: Path, folder: Path) -> tuple[Contents, list[str]]:
    """Writes the files of a backup into an empty folder: those that it lists, nothing else."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            contents = _contents(tar, path)
            found = {}
            for member in tar:
                if member.name in contents.files:
                    found[member.name] = _extract(tar, member, folder)
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise BackupError(f"{path} cannot be read as a backup: {exc}") from exc
    problems = [f"{name} is missing" for name in contents.files if name not in found]
    problems += [f"{name} is damaged" for name, sha in found.items() if sha != contents.files[name]]
    problems += check_chain(folder / "data" / RECORD_FILE)
    if BUNDLE in found and not problems:
        try:
            run_git(folder, "bundle", "list-heads", str(folder / BUNDLE))
        except GitError as exc:
            problems.append(str(exc))
    return contents, problems


def _contents(tar: tarfile.TarFile, path: Path) -> Contents:
    first = tar.next()
    file = tar.extractfile(first) if first is not None and first.name == CONTENTS else None
    if file is None:
        raise BackupError(f"{path} is no backup of a site: it does not begin with {CONTENTS}")
    try:
        contents = msgspec.json.decode(file.read(50_000_000), type=Contents)
    except msgspec.MsgspecError as exc:
        raise BackupError(f"{path} is no backup of a site: {exc}") from exc
    if contents.schema != SCHEMA:
        raise BackupError(
            f"{path} was made by another version ({contents.version}): restore it with that one"
        )
    return contents


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    parts = PurePosixPath(member.name).parts
    safe = not member.name.startswith("/") and ".." not in parts and (len(parts) == 1 or parts[0] in _FOLDERS)
    source = tar.extractfile(member) if safe and member.isreg() else None
    if source is None:
        raise BackupError(f"the backup holds {member.name!r}, which cannot be in one: it was tampered with")
    target = folder.joinpath(*parts)
    make_folder(target.parent, 0o700)
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


# -- restoring -----------------------------------------------------------------------------------------------------


def restore_backup(
    path: Path, folder: Path, *, archive: Path | None = None, next_obsid: int | None = None
) -> tuple[SiteLayout, Contents]:
    """Makes a site from a backup.

    Test ids that were given after the backup must not be given again. Name the copy of the data (`archive`), whose record
    is newer, or the next number (`next_obsid`).

    Args:
        path: the backup.
        folder: new or empty; gets settings, configuration, data and log folders like those of `cgse site new`.
        archive: copy of the site's data, made by `cgse archive sync`.
        next_obsid: test id of the next observation.

    Raises:
        BackupError: when the backup is damaged, or does not fit the archive.
        SiteError: when the folder is not empty.
        OSError: when something cannot be written.
    """
    folder = folder.expanduser().absolute()
    if folder.is_dir() and any(folder.iterdir()):
        raise SiteError(f"{folder} is not empty: restore into a new folder")
    with tempfile.TemporaryDirectory(prefix="cgse-restore-") as name:
        staging = Path(name)
        contents, problems = _unpack(path, staging)
        if problems:
            raise BackupError(f"{path} is damaged, nothing was restored: {'; '.join(problems[:5])}")
        layout = SiteLayout(folder, check_site_id(contents.site_id))
        layout.make_folders()
        _restore_repository(staging, layout.conf_repo, contents)
        _restore_tree(staging / "data", layout.data)
        _restore_tree(staging / "keys", folder / "keys")
        if (staging / "settings.yaml").exists():
            _copy(staging / "settings.yaml", layout.settings)
    if not layout.settings.exists():
        write_atomically(layout.settings, f"SITE:\n  ID: {layout.site_id}\n".encode(), 0o600)
    with contextlib.suppress(FileExistsError):
        (layout.data / "conf").symlink_to(layout.conf)
    if archive is not None:
        _take_newer_record(archive, layout.data)
    if next_obsid is not None:
        _reserve(layout, next_obsid)
    write_atomically(folder / "env", f"{format_exports(layout.environment)}\n".encode(), 0o600)
    return layout, contents


def _restore_repository(staging: Path, repository: Path, contents: Contents) -> None:
    make_folder(repository, 0o700)
    if (staging / BUNDLE).exists():
        try:
            run_git(
                repository, "init", "--quiet", "--template=", f"--initial-branch={contents.branch or 'main'}"
            )
            run_git(
                repository,
                "fetch",
                "--quiet",
                "--update-head-ok",
                str(staging / BUNDLE),
                "refs/*:refs/*",
                timeout=600.0,
            )
            run_git(repository, "checkout", "--quiet", "--force", contents.branch or "main")
            for name, address in contents.remotes.items():
                run_git(repository, "remote", "add", name, address)
        except GitError as exc:
            raise BackupError(f"the configuration repository cannot be restored: {exc}") from exc
    _restore_tree(staging / "worktree", repository)


def _restore_tree(source: Path, target: Path) -> None:
    for file in _files(source):
        _copy(file, target / _name(file, source))


def _take_newer_record(archive: Path, data: Path) -> None:
    """Takes record and obsid table from a copy of the data, when they go on where those of the backup end."""
    copy = site_folder(archive / data.name if (archive / data.name).is_dir() else archive)
    for name in _LINES:
        ours = (data / name).read_bytes() if (data / name).exists() else b""
        theirs = (copy / name).read_bytes() if (copy / name).exists() else b""
        theirs = theirs[: theirs.rfind(b"\n") + 1]
        if not theirs:
            continue
        if theirs.startswith(ours):
            write_atomically(data / name, theirs)
        elif not ours.startswith(theirs):
            raise BackupError(
                f"{copy / name} does not go on where that of the backup ends: they are of different sites"
            )
    problems = check_chain(data / RECORD_FILE)
    if problems:
        raise BackupError(f"the record in {copy} is damaged: {problems[0]}")


def _reserve(layout: SiteLayout, next_obsid: int) -> None:
    """Has numbers below `next_obsid` count as given."""
    if not 1 < next_obsid <= HIGHEST_TEST_ID:
        raise BackupError(f"the next test id must be from 2 to {HIGHEST_TEST_ID}, not {next_obsid}")
    table = layout.data / OBSID_TABLE
    before = table.read_bytes() if table.exists() else b""
    line = (
        f"{next_obsid - 1:05d} {layout.site_id} 00000 {format_datetime()} reserved() "
        f"[numbers up to here may have been given after the backup that was restored]\n"
    )
    write_atomically(table, before + line.encode())


# -- files ---------------------------------------------------------------------------------------------------------


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and not path.is_symlink() and ".git" not in path.relative_to(folder).parts:
            yield path


def _name(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix()


def _copy(source: Path, target: Path) -> None:
    _write(target, source.read_bytes())


def _write(target: Path, content: bytes) -> None:
    make_folder(target.parent, 0o700)
    write_atomically(target, content, 0o600, durable=False)


def describe(contents: Contents) -> Mapping[str, str]:
    """Returns what a backup holds, in words."""
    names: Iterable[str] = contents.files
    journals = sum(name.startswith("data/journal/") for name in names)
    return {
        "site": f"{contents.site_id}, made {contents.created} on {contents.host} by version {contents.version}",
        "files": f"{len(contents.files)}, {journals} of them journals",
        "configuration": f"branch {contents.branch}" if contents.branch else "files only",
        "keys": "yes, secrets too" if any(name.startswith("keys/") for name in contents.files) else "no",
    }


__all__ = ["BackupError", "Contents", "create_backup", "describe", "restore_backup", "verify_backup"]
