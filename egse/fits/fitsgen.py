"""The FITS generator: `fitsgen start | stop | status | for-obsid OBSID [--location ROOT]`."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import click

from egse.archive import Observation
from egse.channel import OutcomeUnknownError
from egse.clock import Clock, RealClock
from egse.control import ControlServerApp, ServerContext
from egse.dpu.proxy import DPUProxy
from egse.env import EnvError, get_data_storage_location
from egse.fits.build import deliver_offline, make_cubes
from egse.fits.follower import Follower
from egse.fits.interface import SETTINGS, FITSGenInterface
from egse.fits.plan import MAX_CYCLES
from egse.fits.queue import DONE, FAILED, PROCESSING, STATES, WAITING
from egse.mixin import DynamicCommandMixin
from egse.protocol import Protocol
from egse.storage import StorageError, StorageProxy

LOGGER = logging.getLogger(__name__)

WORKERS = 2
"""How many cubes are written at the same time unless the Settings say otherwise."""

RAW_FILE_TIMEOUT = 60.0
"""How long to wait for raw files that are being written [s]."""


def deliver(observation: Observation, name: str, staged: Path) -> Path:
    """Moves a cube into an observation through the storage manager."""
    with StorageProxy(timeout=30.0) as storage:
        return Path(storage.adopt_file(obsid=observation.obsid, name=name, path=str(staged)))


def wait_for_raw_files(clock: Clock, timeout: float = RAW_FILE_TIMEOUT) -> bool:
    """Waits until the DPU has written the files of all cycles that have ended.

    Args:
        clock: at true speed.
        timeout: how long to wait [s].

    Returns:
        False when it has not done so in time; True also when there is no DPU to wait for.
    """
    dpu = DPUProxy(timeout=5.0)
    deadline = clock.monotonic() + timeout
    try:
        while dpu.get_unfinished_files() > 0:
            if clock.monotonic() > deadline:
                LOGGER.error(
                    "raw files are still being written after %g s; cubes are made without them", timeout
                )
                return False
            clock.sleep(0.1)
    except (ConnectionError, OutcomeUnknownError) as exc:
        LOGGER.debug("not waiting for raw files: %s", exc)
    finally:
        dpu.close()
    return True


class FITSGenController(FITSGenInterface, DynamicCommandMixin):
    """Makes cubes.

    Args:
        dry_run: make none.
        max_cycles: largest number of cycles in a cube.
        workers: how many cubes are written at the same time.
        automatic: data folder of the site whose observations get their cubes without being asked for; None: only on demand.
    """

    def __init__(
        self,
        dry_run: bool = False,
        max_cycles: int = MAX_CYCLES,
        workers: int = WORKERS,
        automatic: Path | None = None,
    ) -> None:
        self.cubes = 0
        self._workers = workers
        self._ending = threading.Event()
        self._follower = None if automatic is None or dry_run else Follower(automatic, self._make)
        self._dry_run = dry_run
        self._max_cycles = max_cycles
        self._clock = RealClock()

    def make_cubes(self, obsid: str) -> list[str]:
        if self._dry_run:
            return []
        wait_for_raw_files(self._clock)
        return [str(path) for path in self._make(Observation(obsid))]

    def _make(self, observation: Observation) -> list[Path]:
        paths = make_cubes(observation, deliver, self._max_cycles, self._workers, self._ending.is_set)
        self.cubes += len(paths)
        return paths

    def start(self) -> None:
        """Begins to follow the raw files of the site."""
        if self._follower is not None:
            self._follower.start()

    def stop(self) -> None:
        """Ends following, and gives up cubes that are being written."""
        self._ending.set()
        if self._follower is not None:
            self._follower.close()

    def queue(self) -> dict[str, int]:
        """Returns the number of raw files by state; zeros when cubes are made on demand only."""
        return dict.fromkeys(STATES, 0) if self._follower is None else self._follower.counts()


class FITSGenProtocol(Protocol):
    """One housekeeping row: cubes reported since start, and the queue of raw files."""

    controller: FITSGenController

    def start(self) -> None:
        """Begins to follow the raw files of the site."""
        self.controller.start()

    def quit(self) -> None:
        """Ends following."""
        self.controller.stop()

    def get_status(self) -> dict[str, Any]:
        """Returns the queue of raw files."""
        return {"queue": self.controller.queue()}

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        queue = self.controller.queue()
        return {
            "GFITS_CUBES": self.controller.cubes,
            "GFITS_QUEUE_WAITING": queue[WAITING] + queue[PROCESSING],
            "GFITS_QUEUE_DONE": queue[DONE],
            "GFITS_QUEUE_FAILED": queue[FAILED],
        }


def make_controller(context: ServerContext) -> FITSGenController:
    """Makes the controller of the server, or of a dry run."""
    settings = context.settings
    automatic = bool(settings.get("AUTOMATIC", True)) and not context.dry_run
    return FITSGenController(
        context.dry_run,
        int(settings.get("MAX_CYCLES", MAX_CYCLES)),
        int(settings.get("WORKERS", WORKERS)),
        Path(get_data_storage_location()) if automatic else None,
    )


def site_folder(location: Path | None) -> Path:
    """Returns the data folder of the site.

    Args:
        location: a data folder of a site, or a folder with one such folder in it; that of this environment when None.

    Raises:
        click.ClickException: when it cannot be found.
    """
    try:
        root = location or Path(get_data_storage_location())
    except EnvError as exc:
        raise click.ClickException(f"{exc} (or use --location)") from exc
    candidates = [path for path in (root, *sorted(root.glob("*"))) if (path / "obs").is_dir()]
    if not candidates or (len(candidates) > 1 and candidates[0] != root):
        raise click.ClickException(f"{root} is no data folder of a site: it needs folders obs and daily")
    return candidates[0]


@click.command("for-obsid", help="Makes the FITS cubes of one observation. Example: fitsgen for-obsid 1151")
@click.argument("obsid")
@click.option(
    "--location",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Data folder of the site; default: that of this environment.",
)
def for_obsid(obsid: str, location: Path | None) -> None:
    """Makes cubes from files alone; no server is needed for an observation that is sealed."""
    folder = site_folder(location.absolute() if location is not None else None)
    try:
        observation = Observation(obsid, folder)
        paths = make_cubes(observation, deliver if _is_open(observation) else deliver_offline)
    except (LookupError, ValueError, StorageError, OSError) as exc:
        raise click.ClickException(str(exc.args[0] if exc.args else exc)) from exc
    for path in paths:
        click.echo(str(path))
    if not paths:
        click.echo(f"observation {observation.obsid} has no image data", err=True)


def _is_open(observation: Observation) -> bool:
    return observation.manifest is None and observation.info is not None


APP = ControlServerApp(
    name="fitsgen",
    settings=SETTINGS,
    title="FITS generator",
    interface=FITSGenInterface,
    controller=make_controller,
    protocol=FITSGenProtocol,
    proxy="egse.fits:FITSGenProxy",
    device=False,
    commands=(for_obsid,),
)
main = APP.main

if __name__ == "__main__":
    main()
