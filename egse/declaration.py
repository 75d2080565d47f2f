"""What makes a control server: its declaration, and what the maker of its Controller gets to know."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from egse.clock import Clock, RealClock
from egse.protocol import Protocol
from egse.settings import Settings

if TYPE_CHECKING:
    import click

    from egse.server import ControlServer


GROUP = "egse.control_server"
"""Entry points of installed control servers: name of the server and where it is declared, `module:OBJECT`."""
SEED = "seed"
"""Key of the seed among what the Controllers of a dry run share."""


@dataclass
class ServerContext:
    """What the maker of a Controller gets to know.

    Attributes:
        name: name of the control server, `lsci336_cs`.
        settings: the block of the server in the Settings.
        clock: all times of drivers and models.
        simulator: use the device's model in this process instead of the instrument.
        dry_run: no process, no socket: everything in the calling thread on a virtual clock; implies `simulator`.
        control_server: the server, None in a dry run.
        shared: common to all Controllers of one dry run, for models that look at each other.
        device_args: which of several identical units it is, see `ServerDeclaration.unit`.
    """

    name: str
    settings: Any
    clock: Clock
    simulator: bool = False
    dry_run: bool = False
    control_server: ControlServer | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    device_args: tuple[Any, ...] = ()

    @property
    def seed(self) -> int:
        """Seed of noise and durations of models in this process; a dry run shares it as `shared["seed"]`."""
        return int(self.shared.get(SEED, 0))


@dataclass(frozen=True)
class ServerDeclaration:
    """What makes a control server.

    Attributes:
        name: name of the process, `lsci336_cs`.
        settings: name of its block in the Settings.
        title: what it is, for people.
        interface: class that declares the commands.
        controller: makes the object that executes them.
        protocol: housekeeping and status.
        proxy: `module:Class` of the client.
        device: True for a device server (journals its commands, takes `--simulator`), False for a core service.
        commands: further click commands of the command line.
        status_lines: makes the text of `status` from the status dictionary; None for the generic one.
        device_args: which of several identical units it serves, as in the Setup (section 6.1.1 of the manual).
    """

    name: str
    settings: str
    title: str
    interface: type
    controller: Callable[[ServerContext], Any]
    protocol: type[Protocol] = Protocol
    proxy: str = ""
    device: bool = True
    commands: Sequence[click.Command] = ()
    status_lines: Callable[[dict[str, Any], bool], list[str]] | None = None
    device_args: tuple[Any, ...] = ()

    def unit(self, number: int) -> Self:
        """Returns the declaration of one of several identical units, each with a server of its own.

        `{unit}` in `name`, `settings` and `title` becomes the number; the Controller's maker finds it in
        `context.device_args`, and the Setup gives it to the Proxy as `device_args: [2]`.
        """
        texts = {name: getattr(self, name).format(unit=number) for name in ("name", "settings", "title")}
        return replace(self, **texts, device_args=(number,))

    def find_module(self) -> str:
        """Returns the name of the module in which the control server is declared.

        That is the module of its entry point. For a server that is not installed it is the program that runs (`python -m
        newdev.newdev_cs`, `python newdev_cs.py`), when that declares it, or else the module of what makes its Controller.
        """
        from importlib.metadata import entry_points  # takes as long as a tenth of the start of a server

        for point in entry_points(group=GROUP, name=self.name):
            return point.module
        main = sys.modules["__main__"]
        if any(value is self for value in vars(main).values()):
            program = Path(getattr(main, "__file__", None) or "")
            if main.__spec__ is not None:
                return main.__spec__.name
            if program.suffix == ".py":  # others are console scripts, which import it
                return program.stem
        return self.controller.__module__

    def context(
        self,
        *,
        clock: Clock | None = None,
        simulator: bool = False,
        dry_run: bool = False,
        shared: dict[str, Any] | None = None,
    ) -> ServerContext:
        """Returns the context in which this server's Controller is made."""
        return ServerContext(
            self.name,
            Settings.load(self.settings),
            clock or site_clock(),
            simulator or dry_run,
            dry_run,
            None,
            {} if shared is None else shared,
            self.device_args,
        )

    def make_dry_controller(self, clock: Clock, shared: dict[str, Any]) -> Any:
        """Returns a Controller joined with its model in this thread, for a dry run."""
        return self.controller(self.context(clock=clock, dry_run=True, shared=shared))


def site_clock() -> RealClock:
    """Returns the clock of this site: true speed, or that of the sandbox (Settings `SITE: SPEED`)."""
    return RealClock(float(Settings.load("SITE").get("SPEED", 1.0)))
