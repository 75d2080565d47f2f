"""What a sealed observation consists of: its manifest, and the supplements that were added afterwards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from egse.storage.files import sha256_of

MANIFEST = "manifest.json"
SUPPLEMENTS = "supplements.jsonl"
UNLISTED = frozenset({MANIFEST, SUPPLEMENTS})
"""Files that the manifest itself does not list."""


class FileEntry(msgspec.Struct, frozen=True):
    """A file in a manifest.

    Attributes:
        path: relative to the folder; for raw files relative to the data folder of the site.
        size: in bytes.
        sha256: hexadecimal.
    """

    path: str
    size: int
    sha256: str


class Link(msgspec.Struct, frozen=True):
    """The observation before this one: its obsid and the SHA-256 of its manifest (empty: it was never sealed)."""

    obsid: str
    sha256: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a sealed observation consists of (`manifest.json`).

    Attributes:
        mode: operations or simulator (a dry run leaves no observation).
        who: who started it (`origin`), from which program, whether a runner watched it.
        where: site, camera, host and data folder of the storage manager.
        why: what was executed and the description that was given, notebook, observation that it continues.
        parameters: of the procedure, all of them.
        setup: id, SHA-256 of its file, name of the frozen copy.
        software: versions and state of the checkout of the `client` that commanded and of the `server` that sealed;
            the packages are in the file that `records` names.
        records: which file plays which part: commands, events, log, notebook_before, notebook_after, ...
        events: how many of each kind.
        remarks, prompts, red_lines: what people said, answered, and did otherwise than the procedure says.
        previous: the observation before this one.
        files: every file of the folder at the moment of sealing.
        external: raw files of the observation that live in `daily/`.
    """

    schema: int = 2
    obsid: str
    run_id: str
    status: str
    reason: str = ""
    site: str
    setup_id: int
    start: str
    end: str
    mode: str = ""
    who: dict[str, Any] = {}
    where: dict[str, Any] = {}
    why: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    setup: dict[str, Any] = {}
    software: dict[str, Any] = {}
    records: dict[str, str] = {}
    events: dict[str, int] = {}
    remarks: list[dict[str, Any]] = []
    prompts: list[dict[str, Any]] = []
    red_lines: list[dict[str, Any]] = []
    previous: Link | None = None
    files: list[FileEntry]
    external: list[FileEntry] = []


class Supplement(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `supplements.jsonl`.

    Attributes:
        path, size, sha256: as in `FileEntry`.
        added: when (UTC).
        external: a raw file in `daily/`.
        prev: SHA-256 of the line before, of the manifest for the first.
        check: SHA-256 over the other fields, so that no byte of the last line can change unnoticed either.
    """

    path: str
    size: int
    sha256: str
    added: str
    external: bool = False
    prev: str = ""
    check: str = ""

    def sealed(self) -> Supplement:
        """Returns the supplement with its `check`."""
        return msgspec.structs.replace(self, check=self._digest())

    def _digest(self) -> str:
        blank = msgspec.structs.replace(self, check="")
        return hashlib.sha256(msgspec.json.encode(blank)).hexdigest()

    def is_line(self, line: bytes) -> bool:
        """Returns True when `line` is, byte for byte, what was written for this supplement."""
        if self.check:
            return self.check == self._digest() and line == msgspec.json.encode(self)
        fields = msgspec.to_builtins(self)  # as written by older releases, without a check
        del fields["check"]
        return line == msgspec.json.encode(fields)


def entry_of(path: Path, base: Path) -> FileEntry:
    """Returns the manifest entry of a file, with its path relative to `base`."""
    return FileEntry(path.relative_to(base).as_posix(), path.stat().st_size, sha256_of(path))


def read_manifest(folder: Path) -> Manifest | None:
    """Returns the manifest of an observation folder, None when it is not sealed.

    Raises:
        ValueError: when it is no valid manifest.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"{folder / MANIFEST} is no valid manifest: {exc}") from exc


def read_supplements(folder: Path) -> list[Supplement]:
    """Returns what was added to a sealed observation, oldest first.

    Raises:
        ValueError: when a line is damaged.
    """
    try:
        lines = (folder / SUPPLEMENTS).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    try:
        return [msgspec.json.decode(line, type=Supplement) for line in lines]
    except msgspec.MsgspecError as exc:
        raise ValueError(f"{folder / SUPPLEMENTS} is damaged: {exc}") from exc
