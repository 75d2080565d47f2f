"""The run registry: which processes run for a run directory, as seen by everyone who can read it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from egse.files import write_atomically
from egse.process.identity import is_same_process
from egse.process.program import read_json


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One started process.

    Attributes:
        name: name of the program.
        pid: process id.
        identity: what distinguishes it from a later process with the same id (`process_identity`).
        command: the command line it was started with.
        started: when it was started, UTC as Unix time [s].
        ready: it has announced that it can be used.
        endpoints: where it listens, as it announced itself.
        stdout: path of the file with its standard output.
        stderr: path of the file with its standard error.
        stdout_start: where the output of this process starts in `stdout` [bytes].
        stderr_start: where the output of this process starts in `stderr` [bytes].
        generation: the generation of the operator's wish that it fulfils.
    """

    name: str
    pid: int
    identity: str
    command: tuple[str, ...]
    started: float
    ready: bool = False
    endpoints: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""
    stdout_start: int = 0
    stderr_start: int = 0
    generation: int = 0

    @property
    def alive(self) -> bool:
        """True while this very process exists."""
        return is_same_process(self.pid, self.identity)


class RunRegistry:
    """The records of one run directory, one file each, written atomically.

    Args:
        run_dir: the run directory; `registry/` below it is made when needed.
    """

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / "registry"

    def write(self, record: ProcessRecord) -> None:
        """Adds or replaces the record of a program."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(
            self._folder / f"{record.name}.json", msgspec.json.encode(record), 0o600, durable=False
        )

    def read(self, name: str) -> ProcessRecord | None:
        """Returns the record of program `name`, dead or alive; None when there is none."""
        return read_json(self._folder / f"{name}.json", ProcessRecord)

    def remove(self, name: str) -> None:
        """Forgets program `name`."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def running(self, name: str) -> ProcessRecord | None:
        """Returns the record of program `name` when its process is alive."""
        record = self.read(name)
        return record if record is not None and record.alive else None

    def all_running(self) -> dict[str, ProcessRecord]:
        """Returns the records of all living processes by name; stale ones are left out."""
        names = sorted(path.stem for path in self._folder.glob("*.json"))
        records = ((name, self.running(name)) for name in names)
        return {name: record for name, record in records if record is not None}
