"""Runs rsync, which copies files to a folder, to another machine (over SSH) or to an rsync server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from egse.files import read_tail

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many bytes are done and of how many."""

OLDEST = (3, 1, 0)
STALLED = 120
"""A connection on which nothing moves for so long is given up [s]."""
_VANISHED = 24
_REMOTE = re.compile(r"rsync://|(?:[\w.+-]+@)?(?:[\w.-]+|\[[0-9a-fA-F:.]+\])::?")
_PERCENT = re.compile(rb"^\s*([\d,]+)\s+(\d+)%")
_RATE = re.compile(r"\d+(\.\d+)?[kKmMgG]?")
_ESCAPE = re.compile(r"\\#(\d{3})")


class SyncError(RuntimeError):
    """Files could not be copied or checked; the text says why and what to do."""


@dataclass(frozen=True)
class Destination:
    """Where copies of a site's data go: `<destination>/<name of the site's folder>/...`.

    Attributes:
        name: as it is recorded: a path from the root, or as rsync takes it.
        folder: the folder on this machine that the copies are below, None for another machine.
    """

    name: str
    folder: Path | None

    @classmethod
    def parse(cls, text: str, site: Path) -> Destination:
        """Reads what a person gave.

        Args:
            text: a folder, `user@host:path`, `host::module/path` or `rsync://host/module/path`; the name of the site's
                folder at its end may be given or left out.
            site: data folder of the site.

        Raises:
            SyncError: when nothing can be copied to there.
        """
        text = text.strip()
        if not text or text.startswith("-") or "\n" in text or "\0" in text:
            raise SyncError(
                f"{text!r} is no destination: give a folder, user@host:path or rsync://host/module/path"
            )
        if _REMOTE.match(text):
            return cls(re.sub(rf"(?<=[/:]){re.escape(site.name)}/?$", "", text).rstrip("/") or text, None)
        folder = Path(text).expanduser().absolute()
        if folder.name == site.name and folder != site:
            folder = folder.parent
        target = (folder / site.name).resolve()
        source = site.resolve()
        if target == source or target.is_relative_to(source) or source.is_relative_to(target):
            raise SyncError(
                f"{folder} would copy {site} onto itself: choose another folder, best on another disk"
            )
        if not folder.is_dir():
            raise SyncError(
                f"there is no folder {folder}: mount that disk, or make the folder if it is meant"
            )
        return cls(str(folder), folder)

    def target(self) -> str:
        """Returns where rsync copies to."""
        return f"{self.name}/" if not self.name.endswith((":", "/")) else self.name


def check_rsync() -> str:
    """Returns the version of rsync.

    Raises:
        SyncError: when there is none, or it is too old.
    """
    program = shutil.which("rsync")
    if program is None:
        raise SyncError("rsync is not installed, and copies are made with it: apt install rsync")
    text = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=20, check=False
    ).stdout
    match = re.search(r"version v?(\d+)\.(\d+)\.(\d+)", text)
    if match is None or tuple(map(int, match.groups())) < OLDEST:
        raise SyncError(
            f"rsync {'.'.join(map(str, OLDEST))} or newer is needed, this is {text[:40]!r}: update it"
        )
    return match[0].removeprefix("version ")


def check_rate(bwlimit: str) -> str:
    """Returns a rate as rsync takes it, e.g. `20m` (MB/s) or `500k`; empty for no limit.

    Raises:
        SyncError: when it is none.
    """
    if bwlimit and not _RATE.fullmatch(bwlimit):
        raise SyncError(f"{bwlimit!r} is no rate: give kB/s as a number, or e.g. 500k, 20m, 1g per second")
    return bwlimit


class Rsync:
    """Copies files of a site to a destination and compares them.

    Args:
        site: data folder of the site.
        destination: where to.
        bwlimit: largest rate, see `check_rate`.
        progress: is told how far it is.

    Raises:
        SyncError: when rsync is missing or an argument makes no sense.
    """

    def __init__(
        self, site: Path, destination: Destination, bwlimit: str = "", progress: Progress | None = None
    ) -> None:
        check_rsync()
        self._site = site
        self._destination = destination
        self._bwlimit = check_rate(bwlimit)
        self._progress = progress

    def copy(self, paths: Iterable[str], total: int, *, ignore_times: bool = False) -> None:
        """Copies files; a transfer that was cut off is taken up again. Nothing is ever deleted at the destination.

        Args:
            paths: relative to the data folder of the site.
            total: their size [bytes].
            ignore_times: also those whose size and time are the same there.

        Raises:
            SyncError: when not all of them could be copied.
        """
        options = ["--partial-dir=.rsync-partial", "--info=progress2", "--no-inc-recursive"]
        options += [f"--bwlimit={self._bwlimit}"] if self._bwlimit else []
        options += ["--ignore-times"] if ignore_times else []
        self._run(paths, options, total)

    def differing(self, paths: Iterable[str], *, checksum: bool) -> set[str]:
        """Returns the files that are missing at the destination or differ there.

        Args:
            paths: relative to the data folder of the site.
            checksum: compare the content of all, not only the sizes.
        """
        how = "--checksum" if checksum else "--size-only"
        output = self._run(paths, ["--dry-run", how, "--out-format=%i %n"], 0)
        prefix = f"{self._site.name}/"
        found = set()
        for line in output.splitlines():
            what, _, name = line.partition(" ")
            if len(what) >= 2 and what[0] in "<>c" and what[1] == "f":
                name = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), name)
                found.add(name.removeprefix(prefix))
        return found

    def _run(self, paths: Iterable[str], options: Sequence[str], total: int) -> str:
        with tempfile.TemporaryDirectory(prefix="cgse-archive-") as folder:
            listing, errors, output = (Path(folder) / name for name in ("files", "errors", "output"))
            listing.write_bytes(b"".join(os.fsencode(f"{self._site.name}/{path}") + b"\0" for path in paths))
            command = [
                "rsync", "--links", "--perms", "--times", "--chmod=go-w", f"--files-from={listing}", "--from0",
                "--protect-args", f"--timeout={STALLED}", "--outbuf=L", *options, "--", "./", self._destination.target(),
            ]  # fmt: skip
            code = self._watch(command, errors, output, total)
            if code not in (0, _VANISHED):
                said = read_tail(errors, 2000).decode(errors="replace").strip() or f"exit code {code}"
                raise SyncError(f"rsync to {self._destination.name} failed (code {code}): {said}")
            return output.read_text(encoding="utf-8", errors="surrogateescape")

    def _watch(self, command: list[str], errors: Path, output: Path, total: int) -> int:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        environment.setdefault("RSYNC_RSH", "ssh -o BatchMode=yes -o ConnectTimeout=20")
        with (
            errors.open("wb") as stderr,
            output.open("wb") as kept,
            subprocess.Popen(
                command,
                cwd=self._site.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            ) as process,
        ):
            assert process.stdout is not None
            try:
                self._follow(process.stdout.fileno(), kept.fileno(), total)
                return process.wait()
            except BaseException:
                process.terminate()
                raise

    def _follow(self, stdout: int, kept: int, total: int) -> None:
        """Passes the output on, lines of progress to the watcher and all others into a file."""
        rest = b""
        while data := os.read(stdout, 1 << 16):
            *lines, rest = re.split(rb"[\r\n]", rest + data)
            for line in lines:
                if match := _PERCENT.match(line):
                    if self._progress is not None:
                        self._progress("copying", int(match[1].replace(b",", b"")), total)
                elif line:
                    os.write(kept, line + b"\n")
        if rest:
            os.write(kept, rest + b"\n")
