"""`das NAME --interval 10`: processes that acquire data from a device at regular intervals and store them.

A device package declares an `Acquisition` under the entry point group `egse.das`; its name is the name of the command. A
row that cannot be had is missed and logged, and the process goes on: what it reads, and through whom, is up to its source.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

import click

from egse.clock import Clock
from egse.declaration import site_clock
from egse.logger.handler import close_all_zmq_handlers, setup_logging
from egse.mode import current_mode
from egse.security.curve import act_as
from egse.security.keys import SERVER
from egse.signals import on_signals
from egse.telemetry import HousekeepingStore

LOGGER = logging.getLogger(__name__)
GROUP = "egse.das"
MESSAGES_AFTER = 60
"""A failure that goes on is logged again every so many rows."""


class Source(Protocol):
    """Where the rows of an acquisition come from."""

    def read(self) -> dict[str, Any]:
        """Returns one row; whatever it raises, the row is missed and the next one is tried."""

    def close(self) -> None:
        """Closes connections."""


class Store(Protocol):
    """Where the rows go; a `HousekeepingStore`."""

    def save(self, row: dict[str, Any], /) -> None:
        """Takes one row."""


@dataclass(frozen=True)
class Acquisition:
    """One acquisition process.

    Attributes:
        name: of its command: `das NAME`.
        title: what it acquires, for people.
        mnemonic: storage mnemonic of its rows.
        source: makes the source.
        interval: between two rows, by default [s].
    """

    name: str
    title: str
    mnemonic: str
    source: Callable[[], Source]
    interval: float = 10.0

    def acquire(
        self,
        source: Source,
        store: Store,
        stop: threading.Event,
        *,
        interval: float,
        clock: Clock,
        count: int = 0,
    ) -> tuple[int, int]:
        """Stores rows until it is stopped.

        Args:
            source, store: from where, and where to.
            stop: ends it.
            interval: from one row to the next [s of the clock].
            clock: time.
            count: ends after so many tries; 0: only when it is stopped.

        Returns:
            How many rows were stored, and how many missed.
        """
        rows = missed = failing = 0
        due = clock.monotonic()
        while not stop.is_set():
            try:
                store.save(source.read())
            except Exception as exc:
                # Whatever the device or its server does, the next row is tried.
                missed += 1
                failing += 1
                if failing % MESSAGES_AFTER == 1:
                    LOGGER.warning("%s: no row, missed %d: %s", self.name, missed, exc, exc_info=True)
            else:
                if failing:
                    LOGGER.info("%s: rows again, after %d that were missed", self.name, failing)
                rows, failing = rows + 1, 0
            if count and rows + missed >= count:
                break
            due = max(due + interval, clock.monotonic())
            clock.wait(stop, due - clock.monotonic())
        return rows, missed

    def run(self, interval: float, count: int = 0) -> None:
        """Runs as a process, in the main thread, until a signal ends it."""
        act_as(SERVER)
        setup_logging(f"das_{self.name}", mode=current_mode())
        stop = threading.Event()
        source = self.source()
        store = HousekeepingStore(self.mnemonic)
        try:
            with on_signals(stop.set):
                click.echo(f"READY das {self.name}")
                rows, missed = self.acquire(
                    source, store, stop, interval=interval, clock=site_clock(), count=count
                )
            LOGGER.info("das %s ends: %d rows, %d missed", self.name, rows, missed)
        finally:
            source.close()
            store.close()
            close_all_zmq_handlers()


class _Commands(click.Group):
    """The acquisitions of all packages that are installed; one is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(entry.name for entry in entry_points(group=GROUP))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = next(iter(entry_points(group=GROUP, name=cmd_name)), None)
        return None if found is None else _command(found.load())


def _command(acquisition: Acquisition) -> click.Command:
    @click.command(
        name=acquisition.name,
        help=f"{acquisition.title}; rows go to {acquisition.mnemonic}. Ctrl-C ends it.",
    )
    @click.option(
        "--interval",
        type=click.FloatRange(0.1, 86_400),
        default=acquisition.interval,
        show_default=True,
        help="Seconds from one row to the next.",
    )
    @click.option("--count", type=click.IntRange(0), default=0, help="End after so many rows; 0: never.")
    def command(interval: float, count: int) -> None:
        acquisition.run(interval, count)

    return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Acquire data from a device at regular intervals and store them.

    Example: das daq6510 --interval 10
    """


if __name__ == "__main__":
    main()
