"""What a sealed observation consists of: its manifest, and the supplements that were added afterwards."""

from __future__ import annotations

from pathlib import Path

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


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a sealed observation consists of (`manifest.json`).

    Attributes:
        files: every file of the folder at the moment of sealing.
        external: raw files of the observation that live in `daily/`.
    """

    schema: int = 1
    obsid: str
    run_id: str
    status: str
    reason: str = ""
    site: str
    setup_id: int
    start: str
    end: str
    files: list[FileEntry]
    external: list[FileEntry] = []


class Supplement(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `supplements.jsonl`; `prev` is the SHA-256 of the line before (of the manifest for the first)."""

    path: str
    size: int
    sha256: str
    added: str
    external: bool = False
    prev: str = ""


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
