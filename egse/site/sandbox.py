"""The sandbox: a private site in one folder, with core services, simulators and device servers.

It is what `make demo`, the tests and the sandboxed kernel work in; a real site differs in its settings only.

Example:
    ::

        with Sandbox("/tmp/bench", speed=20) as sandbox:
            subprocess.run(["camtest", "obs", "list"], env=sandbox.environ())
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from egse.files import write_atomically
from egse.mode import SIMULATOR
from egse.process import LaunchError, Program, ProgramStatus, Supervision
from egse.process.program import read_json
from egse.site.confrepo import check_camera, create_conf_repository
from egse.site.layout import SiteError, SiteLayout, check_site_id, format_exports, merged_environment
from egse.site.localsettings import number_of_ports, read_local_settings, remap_ports, write_local_settings
from egse.site.ports import UNIT, PortBlock, busy_ports, claim_block, release_block
from egse.site.programs import Entry, programs_of, sandbox_entries
from egse.site.supervise import START_TIMEOUT, Row, require_all, rows_of, start_programs
from egse.storage.naming import LAST_SETUP_ID

DEFAULT_SITE = "LAB"
DEFAULT_CAMERA = "achel"


SEEN_BY_THE_CAMERA = {"ogse": "ogse_sim", "stages": "smc9300_sim", "hexapod": "puna_sim"}
"""Options of the camera's simulator that name the side channel of another one, and which one."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a sandbox was made with, kept in its `sandbox.json`.

    Attributes:
        site_id: the site.
        camera: name of the camera in Setup 1.
        speed: how much faster than the wall its time runs.
        seed: of the random parts of the simulators; None for theirs.
        scene: FITS file that the camera looks at; None for artificial stars.
        first_port: start of its block of ports.
        ports: size of the block.
        aeu: the camera gets power and sync pulses from an AEU simulator.
        optics: the camera sees the light of the OGSE simulator, dark while its lamp is off; otherwise stars, always. With
            `equipment` it sees a spot where the stages point the source, as sharp as the hexapod has it.
        equipment: all other instruments of the test houses too.
        monitor: the limit monitor too.
    """

    site_id: str = DEFAULT_SITE
    camera: str = DEFAULT_CAMERA
    speed: float = 1.0
    seed: int | None = None
    scene: str | None = None
    first_port: int | None = None
    ports: int = UNIT
    aeu: bool = False
    optics: bool = False
    equipment: bool = False
    monitor: bool = False

    def options(self) -> dict[str, str]:
        """Returns the options that the simulators are started with; `NAME:OPTION` is for one of them."""
        values: dict[str, object] = {"speed": f"{self.speed:g}", "seed": self.seed, "scene": self.scene}
        for number, (option, simulator) in enumerate(SEEN_BY_THE_CAMERA.items(), start=1):
            is_seen = self.optics and (option == "ogse" or self.equipment)
            if is_seen and self.first_port is not None:
                side_channel = self.first_port + self.ports - number  # `_claim_ports` leaves room for them
                values |= {f"{simulator}:admin-port": side_channel, option: f"127.0.0.1:{side_channel}"}
        return {name: str(value) for name, value in values.items() if value is not None}


class Sandbox:
    """A private site in a folder of its own.

    What is None is as it was when the sandbox was used last, or the default. As a context manager it is started at
    the beginning of the block and stopped, with all its processes, at the end (also when this process is killed).

    Args:
        directory: the folder; made, for this user only, when it does not exist.
        site_id: the site, `LAB` by default.
        speed: how much faster than the wall time runs, 1 by default.
        seed: of the random parts of the simulators.
        scene: FITS file that the simulated camera looks at.
        camera: name of the camera in Setup 1, `achel` by default.
        aeu: with AEU simulator and its control servers: the camera is off until it is switched on.
        optics: the camera sees the light of the OGSE simulator.
        equipment: with all other instruments of the test houses, mechanisms for example.
        monitor: with the limit monitor, which raises alarms.
        only_core: start the core services only.
        owned: its processes end with this process.
        programs: start these instead of those of the table.

    Raises:
        SiteError: when an argument makes no sense, or differs from what the folder was made with.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        site_id: str | None = None,
        speed: float | None = None,
        seed: int | None = None,
        scene: Path | str | None = None,
        camera: str | None = None,
        aeu: bool | None = None,
        optics: bool | None = None,
        equipment: bool | None = None,
        monitor: bool | None = None,
        only_core: bool = False,
        owned: bool = True,
        programs: Sequence[Program] | None = None,
    ) -> None:
        self.directory = Path(directory).expanduser().resolve()
        self._stored = read_json(self.directory / "sandbox.json", Profile)
        self.profile = _merge(
            self.directory,
            self._stored,
            {
                "site_id": site_id,
                "camera": camera,
                "speed": speed,
                "seed": seed,
                "scene": _scene(scene),
                "aeu": aeu,
                "optics": optics,
                "equipment": equipment,
                "monitor": monitor,
            },
        )
        self.layout = SiteLayout(self.directory, self.profile.site_id)
        extras = [name for name in ("aeu", "equipment", "monitor") if getattr(self.profile, name)]
        self._entries: list[Entry] = [] if programs is not None else sandbox_entries(only_core, extras)
        self._programs = programs
        self._owned = owned
        self._supervision: Supervision | None = None

    def __enter__(self) -> Sandbox:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def exists(self) -> bool:
        """True when the folder holds a sandbox."""
        return (self.directory / "sandbox.json").exists()

    @property
    def env(self) -> dict[str, str]:
        """The variables by which another process joins this sandbox."""
        return self.layout.environment

    def environ(self) -> dict[str, str]:
        """Returns the environment of this process with the variables of this sandbox in it."""
        return merged_environment(self.env)

    def exports(self, shell: str = "bash") -> str:
        """Returns the commands by which a shell (`bash` or `fish`) joins this sandbox."""
        return format_exports(self.env, shell)

    @contextmanager
    def joined(self) -> Iterator[Sandbox]:
        """Makes this very process a member of the sandbox, for the length of a `with` block."""
        before = {name: os.environ.get(name) for name in self.env}
        os.environ.update(self.env)
        try:
            yield self
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def create(self, *, new_ports: bool = False) -> SiteLayout:
        """Makes folders, settings and configuration repository; what is there already is kept.

        Args:
            new_ports: take another block of ports, because someone else uses the one it has.

        Raises:
            SiteError: when the folder holds something else, or git fails.
            PortClaimError: when no ports are free.
        """
        if not self.exists and self.directory.is_dir() and any(self.directory.iterdir()):
            raise SiteError(
                f"{self.directory} holds other things and no sandbox: choose a new or an empty folder"
            )
        self.layout.make_folders()
        if new_ports:
            release_block(self.directory)
        self._claim_ports(None if new_ports else self.profile.first_port)
        setup = create_conf_repository(self.layout, self.profile.camera)
        self._load_first_setup(setup)
        (self.directory / "env").write_text(self.exports() + "\n", encoding="utf-8")
        write_atomically(self.directory / "sandbox.json", msgspec.json.encode(self.profile), 0o600)
        self._stored = self.profile
        return self.layout

    def start(self, timeout: float = START_TIMEOUT, *, new_ports: bool = False) -> list[Row]:
        """Starts what does not run yet and waits until everything can be used.

        Args:
            timeout: how long it may take [s].
            new_ports: take another block of ports first.

        Returns:
            One line for each program.

        Raises:
            SiteError: when it runs with other options, or its ports are taken.
            LaunchError: when a program does not come up; the text says which and why.
        """
        running = self.supervision.launcher.status() if self.exists else {}
        if running and self._stored is not None and self.profile != self._stored:
            raise SiteError(
                f"the sandbox in {self.directory} runs with other options ({_describe(self._stored)}): "
                f"stop it first (cgse sandbox stop --dir {self.directory})"
            )
        if not running:
            self.create(new_ports=new_ports)
            self._check_ports_free()
        started = start_programs(self.supervision, self.programs(), timeout=timeout)
        return require_all(started)

    def stop(self) -> list[str]:
        """Stops everything that runs for this sandbox.

        Returns:
            The names of the programs that were running.
        """
        return self.supervision.shut_down() if self.layout.run.is_dir() else []

    def status(self) -> dict[str, ProgramStatus]:
        """Returns the state of each program, by name."""
        return self.supervision.status() if self.layout.run.is_dir() else {}

    def rows(self) -> list[Row]:
        """Returns one line for each program that runs or shall run."""
        return rows_of(self.supervision, self.status()) if self.layout.run.is_dir() else []

    def kill(self, name: str, signum: signal.Signals = signal.SIGKILL) -> int:
        """Sends a signal to a program, as a test of what then happens; its crashes do not add up.

        Returns:
            The process id that was hit.

        Raises:
            LaunchError: when it does not run.
        """
        return self.supervision.kill(name, signum)

    def restart(
        self, name: str, *, once_env: Mapping[str, str] | None = None, timeout: float = START_TIMEOUT
    ) -> ProgramStatus:
        """Stops and starts one program.

        Args:
            name: the program.
            once_env: variables for this one start only, e.g. `{"CGSE_FAIL_POINT": "..."}`.
            timeout: how long it may take [s].

        Raises:
            LaunchError: when it does not come up again.
        """
        self.supervision.restart(name, once_env=once_env)
        return self.wait_for(name, timeout)

    def wait_for(self, name: str, timeout: float = START_TIMEOUT) -> ProgramStatus:
        """Waits until a program runs, e.g. after it was killed.

        Raises:
            LaunchError: when it is given up, or does not come up in `timeout` [s].
        """
        status = self.supervision.wait([name], timeout)[name]
        if status.state != "running":
            raise LaunchError(f"{name} is {status.state}: {status.reason}")
        return status

    def endpoint(self, name: str) -> str:
        """Returns where a program listens (the commanding endpoint of a control server).

        Raises:
            LaunchError: when it does not run.
        """
        status = self.status().get(name)
        if status is None or not status.endpoints:
            raise LaunchError(f"{name} does not run in the sandbox {self.directory}")
        return status.endpoints[0]

    def programs(self) -> list[Program]:
        """Returns what this sandbox starts."""
        if self._programs is not None:
            return list(self._programs)
        return programs_of(self._entries, self.profile.options())

    @property
    def supervision(self) -> Supervision:
        """The supervisor's side of this sandbox."""
        if self._supervision is None:
            self._supervision = Supervision(
                self.layout.run, self.layout.log, env=self.environ(), owned=self._owned
            )
        return self._supervision

    def _claim_ports(self, preferred: int | None) -> None:
        size = -(-(number_of_ports() + len(SEEN_BY_THE_CAMERA)) // UNIT) * UNIT
        block = claim_block(self.directory, size=size, preferred=preferred)
        settings: dict[str, Any] = remap_ports(block, read_local_settings(self.layout.settings))
        site = {"ID": self.profile.site_id, "SPEED": self.profile.speed, "MODE": SIMULATOR}
        settings = {"SITE": {**settings.pop("SITE", {}), **site}, **settings}
        settings["N-FEE SIMULATOR"] = {**settings.get("N-FEE SIMULATOR", {}), "AEU": self.profile.aeu}
        write_local_settings(self.layout.settings, settings)
        self.profile = msgspec.structs.replace(self.profile, first_port=block.first, ports=block.size)

    def _load_first_setup(self, setup: Path) -> None:
        """Has the configuration manager start with the first Setup, unless another one was loaded before."""
        loaded = self.layout.data / LAST_SETUP_ID
        if not loaded.exists():
            number = int(setup.name.split("_")[2])
            write_atomically(loaded, f"{number}\n".encode(), 0o644)

    def _check_ports_free(self) -> None:
        assert self.profile.first_port is not None
        busy = busy_ports(PortBlock(self.profile.first_port, self.profile.ports).ports)
        if busy:
            raise SiteError(
                f"ports {', '.join(map(str, busy))} of this sandbox are used by other programs: end those, "
                f"or let it take other ports (cgse sandbox start --dir {self.directory} --new-ports)"
            )


def _scene(scene: Path | str | None) -> str | None:
    if scene is None:
        return None
    path = Path(scene).expanduser().resolve()
    if not path.is_file():
        raise SiteError(f"there is no file {path} to be used as the scene")
    return str(path)


def _merge(directory: Path, stored: Profile | None, wanted: dict[str, Any]) -> Profile:
    """Returns the profile of a sandbox: what was stored, with what is wanted now in its place."""
    chosen = {name: value for name, value in wanted.items() if value is not None}
    check_site_id(chosen.get("site_id", DEFAULT_SITE))
    check_camera(chosen.get("camera", DEFAULT_CAMERA))
    if not chosen.get("speed", 1.0) > 0:
        raise SiteError(f"the speed must be larger than 0, not {chosen['speed']}")
    if stored is None:
        return Profile(**chosen)
    for name in ("site_id", "camera"):
        if name in chosen and chosen[name] != getattr(stored, name):
            raise SiteError(
                f"the sandbox in {directory} was made with {name} {getattr(stored, name)}, not {chosen[name]}: "
                f"use another folder, or remove this one"
            )
    return msgspec.structs.replace(stored, **chosen)


def _describe(profile: Profile) -> str:
    options = profile.options() | ({"with": "the AEU"} if profile.aeu else {})
    options = {
        name: value for name, value in options.items() if ":" not in name and name not in SEEN_BY_THE_CAMERA
    }
    options |= {"and": "the light of the OGSE"} if profile.optics else {}
    return ", ".join(f"{name} {value}" for name, value in options.items())
