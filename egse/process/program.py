"""What is to run: a program, its place in the order of start and stop, and the wishes of the operator."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Program(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One program as a launcher or a supervisor runs it.

    Attributes:
        name: unique in its run directory; names the log files.
        command: the program and its arguments; never passed through a shell.
        needs: names of programs that must be ready before this one is started.
        stage: programs are stopped stage by stage, the highest first.
        env: variables added to the environment of the launcher.
        cwd: working directory; empty for that of the launcher.
        says_ready: it prints `READY ...` on its standard output when it can be used. Otherwise it counts as ready as
            soon as it runs.
        ready_timeout: it must be ready within this time [s].
        stop_timeout: it must end within this time [s] after SIGTERM, otherwise it is killed.
        tries: a supervisor gives up after this many crashes in a row (after 3 when it was never ready); 0: once it was
            ready it is never given up.
    """

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    stage: int = 0
    env: dict[str, str] = {}
    cwd: str = ""
    says_ready: bool = True
    ready_timeout: float = 30.0
    stop_timeout: float = 5.0
    tries: int = 8


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A program that shall run, as written in `programs.json` of the run directory.

    Attributes:
        program: what shall run.
        generation: raised by one to ask for a restart.
        forgiven: raised by one to start counting the crashes afresh.
        once_env: variables for the first start of this generation only, e.g. a fail point.
    """

    program: Program
    generation: int = 0
    forgiven: int = 0
    once_env: dict[str, str] = {}


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """All programs that shall run in one run directory, in the order of their declaration.

    Attributes:
        version: raised by one whenever the file is written, so that one can see who has read it.
        programs: the wishes.
    """

    version: int = 0
    programs: tuple[Wish, ...] = ()

    def named(self, name: str) -> Wish | None:
        """Returns the wish for program `name`, None when it shall not run."""
        return next((wish for wish in self.programs if wish.program.name == name), None)

    def with_wish(self, wish: Wish) -> Wishes:
        """Returns a copy in which `wish` is added, or replaces the one of the same name."""
        name = wish.program.name
        if self.named(name) is None:
            return self._with((*self.programs, wish))
        return self._with(tuple(wish if w.program.name == name else w for w in self.programs))

    def without(self, names: set[str]) -> Wishes:
        """Returns a copy without these programs."""
        return self._with(tuple(w for w in self.programs if w.program.name not in names))

    def _with(self, programs: tuple[Wish, ...]) -> Wishes:
        return msgspec.structs.replace(self, programs=programs)


def read_json(path: Path, kind: type[T]) -> T | None:
    """Returns the content of a state file, None when it does not exist or is not what it should be."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on `path`, waiting for whoever has it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
