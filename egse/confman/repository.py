"""The Setups of a site: YAML files under git.

A Setup is never changed: submitting makes a new file with the next id, which is committed and, when a remote is set,
pushed in the background.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egse.clock import Clock
from egse.confman.checkout import Finding, hand_work, hindrance, index_lock_hint
from egse.confman.git import GitError, run_git
from egse.decorators import fail_point
from egse.files import write_atomically
from egse.setup import SetupError, parse_setup_filename
from egse.setup.conf import setup_files
from egse.setup.digest import digest_of
from egse.system import format_datetime, from_unix_time
from egse.yamlfile import YAMLFileError, parse_yaml

LOGGER = logging.getLogger(__name__)

REMOTES = ("upload", "origin")
"""Remotes that Setups are pushed to: the first of these that exists."""
HEADER = "# Submitted to the configuration manager as Setup"
"""How files begin that the configuration manager wrote itself."""
HIGHEST_SETUP_ID = 99_999


@dataclass(frozen=True, slots=True)
class SetupFile:
    """A Setup as it is on disk.

    Attributes:
        setup_id: its number.
        site_id: the site it belongs to.
        path: its file.
        text: the content of the file.
    """

    setup_id: int
    site_id: str
    path: Path
    text: str

    @property
    def sha256(self) -> str:
        """Checksum of the content."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def content(self) -> dict[str, Any]:
        """What stands below the root key, uninterpreted."""
        return check_setup(self.text, self.path)

    def as_dict(self) -> dict[str, Any]:
        """Returns the Setup as clients get it."""
        return {
            "setup_id": self.setup_id,
            "site_id": self.site_id,
            "yaml": self.text,
            "path": str(self.path),
            "sha256": self.sha256,
            "digest": digest_of(self.content),
        }


def check_setup(text: str, source: str | Path = "<submitted Setup>") -> dict[str, Any]:
    """Returns the content of a Setup's YAML text, uninterpreted.

    Raises:
        SetupError: when it is no YAML or has no root key `Setup` with keys below it.
    """
    try:
        document = parse_yaml(text, source)
    except YAMLFileError as exc:
        raise SetupError(str(exc)) from exc
    content = document.get("Setup") if isinstance(document, dict) else None
    if content is None and isinstance(document, dict) and "Setup" in document:
        return {}
    if not isinstance(content, dict):
        raise SetupError(f"{source}: a Setup has the root key 'Setup:' with keys below it")
    return content


def navigate(content: Mapping[str, Any], path: str) -> Any:
    """Returns the raw value at `gse__hexapod__ID`, None when there is no such key."""
    value: Any = content
    for key in path.split("__"):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


class SetupRepository:
    """The Setups of one site in a git working tree.

    Args:
        root: the working tree (`PLATO_CONF_REPO_LOCATION`).
        site_id: the site; its Setups are in `data/<SITE>/conf`, which is made when missing.
        clock: gives the time in the names of files.
    """

    def __init__(self, root: Path, site_id: str, clock: Clock) -> None:
        self.root = root
        self.site_id = site_id
        self.folder = root / "data" / site_id / "conf"
        self._clock = clock
        self._parsed: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}
        self.folder.mkdir(parents=True, exist_ok=True)

    # -- reading -------------------------------------------------------------------------------------------------

    def files(self) -> dict[int, Path]:
        """Returns the file of every Setup by id."""
        return setup_files(self.folder, self.site_id)

    def read(self, setup_id: int) -> SetupFile:
        """Returns a Setup.

        Raises:
            SetupError: when there is none with this id, or it is not valid.
        """
        files = self.files()
        if setup_id not in files:
            known = f"{min(files):05d} to {max(files):05d}" if files else "none"
            raise SetupError(
                f"there is no Setup {setup_id:05d} of {self.site_id} in {self.folder} (there are: {known})"
            )
        path = files[setup_id]
        setup = SetupFile(setup_id, self.site_id, path, path.read_text(encoding="utf-8"))
        check_setup(setup.text, path)
        return setup

    def find(self, filters: Mapping[str, Any]) -> list[list[Any]]:
        """Returns `[id, site, description, camera]` of every Setup that fits all filters.

        Args:
            filters: wanted values by place, `{"camera__ID": "achel"}`; compared as they are, or as text.
        """
        rows = []
        for setup_id, path in self.files().items():
            try:
                content = self._content(path)
            except (SetupError, OSError) as exc:
                LOGGER.warning("Setup %05d is left out of the list: %s", setup_id, exc)
                continue
            if all(_fits(navigate(content, place), wanted) for place, wanted in filters.items()):
                camera = navigate(content, "camera__ID")
                rows.append([f"{setup_id:05d}", self.site_id, _description(content), camera])
        return rows

    def unreadable(self) -> list[Finding]:
        """Finds the Setups that cannot be loaded."""
        found = []
        for setup_id, path in self.files().items():
            try:
                self._content(path)
            except (SetupError, OSError) as exc:
                step = "correct it in a copy, submit that (cm_cs submit FILE --description TEXT), and leave this one alone"
                found.append(Finding("unreadable", f"Setup {setup_id:05d}: {exc}", step))
        return found

    def _content(self, path: Path) -> dict[str, Any]:
        state = path.stat()
        key = (state.st_mtime_ns, state.st_size)
        known = self._parsed.get(path)
        if known is None or known[0] != key:
            known = self._parsed[path] = (key, check_setup(path.read_text(encoding="utf-8"), path))
        return known[1]

    # -- writing -------------------------------------------------------------------------------------------------

    def submit(self, text: str, description: str, author: str) -> SetupFile:
        """Saves a Setup under the next id and commits it.

        Args:
            text: YAML with the root key `Setup`.
            description: what was changed; becomes the commit message.
            author: who submits, `user@host:pid`.

        Raises:
            SetupError: when the Setup is not valid or cannot be committed; then nothing is left behind.
        """
        description = " ".join(description.split())
        if not description:
            raise SetupError("a Setup is submitted with a description of what was changed")
        check_setup(text)
        if found := hindrance(self.root):
            raise SetupError(f"Setup not submitted: {found.text}; {found.step}")
        fail_point("cm.submit.before_file")
        with self.locked():
            try:
                return self._save(text, description, author)
            except (GitError, OSError) as exc:
                hint = index_lock_hint(self.root, str(exc))
                raise SetupError(f"Setup not submitted: {exc}{hint}") from exc

    def _save(self, text: str, description: str, author: str) -> SetupFile:
        self._tidy()
        setup_id = self._next_id()
        moment = from_unix_time(self._clock.now())
        path = self.folder / f"SETUP_{self.site_id}_{setup_id:05d}_{moment:%y%m%d_%H%M%S}.yaml"
        header = f"{HEADER} {setup_id:05d}, {format_datetime(moment)}\n# by {author}: {description}\n"
        setup = SetupFile(setup_id, self.site_id, path, header + _without_header(text))
        write_atomically(path, setup.text.encode(), mode=0o644)
        fail_point("cm.submit.after_file")
        try:
            self._commit(path, f"Setup {setup_id:05d} {self.site_id}: {description}", author)
        except GitError:
            path.unlink()
            raise
        fail_point("cm.submit.after_commit")
        return setup

    def _next_id(self) -> int:
        """Returns the id after the highest one that any file of the site, committed or not, ever had."""
        highest = max(self.files(), default=0)
        names = run_git(
            self.root, "log", "--all", "--format=", "--name-only", "--diff-filter=A", "--", str(self.folder)
        )
        for name in names.splitlines():
            parsed = parse_setup_filename(name)
            if parsed and parsed[0] == self.site_id:
                highest = max(highest, int(parsed[1]))
        if highest >= HIGHEST_SETUP_ID:
            raise SetupError(f"all Setup ids up to {HIGHEST_SETUP_ID} are used")
        return highest + 1

    def _commit(self, path: Path, message: str, author: str) -> None:
        run_git(self.root, "add", "--", str(path))
        fail_point("cm.submit.after_add")
        try:
            options = ("--quiet", "--no-verify", "--no-gpg-sign", "-m", message, "--", str(path))
            run_git(self.root, "commit", *options, author=_author(author))
        except GitError:
            self._forget(path)
            raise

    def _forget(self, path: Path) -> None:
        """Takes a file out of the index again; when even that fails, `_tidy` does it later."""
        try:
            run_git(self.root, "rm", "--cached", "--quiet", "--force", "--", str(path))
        except GitError as exc:
            LOGGER.warning("%s stays in the index for now: %s", path.name, exc)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps others, in this process and in others, from changing the working tree at the same time."""
        folder = run_git(self.root, "rev-parse", "--absolute-git-dir").strip()
        descriptor = os.open(Path(folder) / "cgse-setups.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _tidy(self) -> None:
        """Removes what an interrupted submission left besides a complete file."""
        for leftover in self.folder.glob(".SETUP_*"):
            leftover.unlink(missing_ok=True)
        for kind, path in self._touched():
            if kind == "AD":
                self._forget(path)

    def _touched(self) -> Iterator[tuple[str, Path]]:
        """Yields state (as `git status --porcelain`) and path of the Setup files that are not as committed."""
        top = Path(run_git(self.root, "rev-parse", "--show-toplevel").rstrip("\n"))
        options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
        status = run_git(self.root, "--no-optional-locks", "status", *options, "--", str(self.folder))
        for entry in filter(None, status.split("\0")):
            if parse_setup_filename(entry[3:]):
                yield entry[:2], top / entry[3:]

    def recover(self) -> list[Finding]:
        """Commits Setups whose submission was interrupted; returns what else is wrong.

        A file that the configuration manager wrote begins with its header; others were put there by hand and are
        told, not touched.
        """
        if found := hindrance(self.root):
            return [found]
        try:
            with self.locked():
                self._tidy()
                for kind, path in self._touched():
                    if kind in ("??", "A ") and path.read_text(encoding="utf-8").startswith(HEADER):
                        message = f"{path.stem}: submission completed after an interruption"
                        self._commit(path, message, "cm_cs@localhost")
                        LOGGER.warning("%s was not committed; it is now", path.name)
        except (GitError, OSError, UnicodeDecodeError) as exc:
            step = "repair that and start the configuration manager again"
            return [Finding("not-recovered", f"{exc}{index_lock_hint(self.root, str(exc))}", step)]
        return self.findings()

    def findings(self) -> list[Finding]:
        """Returns what is wrong with the working tree and the files in it."""
        if found := hindrance(self.root):
            return [found]
        try:
            return list(hand_work(self.root, self.folder))
        except GitError as exc:
            return [Finding("not-checked", str(exc), "look at the repository with git status")]

    # -- remote --------------------------------------------------------------------------------------------------

    def remote(self) -> str | None:
        """Returns the remote that Setups are pushed to, None when there is none."""
        try:
            names = run_git(self.root, "remote").split()
        except GitError:
            return None
        return next((name for name in REMOTES if name in names), None)


def _fits(value: Any, wanted: Any) -> bool:
    return value is not None and (value == wanted or str(value) == str(wanted))


def _description(content: Mapping[str, Any]) -> str:
    """Returns the last entry of the history."""
    history = content.get("history")
    if isinstance(history, Mapping) and history:
        return str(list(history.values())[-1])
    return ""


def _without_header(text: str) -> str:
    """Returns the text without the header that an earlier submission gave it."""
    lines = text.splitlines(keepends=True)
    if lines and lines[0].startswith(HEADER):
        lines = lines[2:] if len(lines) > 1 and lines[1].startswith("# by ") else lines[1:]
    return "".join(lines)


def _author(origin: str) -> tuple[str, str]:
    """Returns name and e-mail address for `user@host:pid`."""
    address = re.sub(r"[^A-Za-z0-9@._+-]", "", origin.rpartition(":")[0] or origin) or "unknown@localhost"
    return address.partition("@")[0] or "unknown", address
