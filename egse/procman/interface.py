"""Commands of the process manager, what they return, and the proxy that sends them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

import msgspec

from egse.clock import system_clock
from egse.command import dynamic_interface
from egse.event import EventInterface
from egse.proxy import DynamicProxy
from egse.response import register_error
from egse.security.roles import needs_control, observe

CORE = "core"
"""Kind of the core services: they run all the time and are not started or stopped here."""
DEVICE = "device"
"""Kind of the device servers."""
PROGRAM = "program"
"""Kind of the programs that make files: `fitsgen`, `fov_hk`, `n_fee_hk`."""

START_TIMEOUT = 60.0
"""How long a server may take to come up [s]."""
STOP_TIMEOUT = 20.0
"""How long a server may take to end [s]; it is killed before."""
POLL = 0.1
"""How often a proxy looks whether a server is up [s]."""


@register_error
class ProcessManagerError(RuntimeError):
    """A server cannot be started or stopped; the text says why, with its last lines on standard error."""


class ServerState(enum.StrEnum):
    """How a server is."""

    RUNNING = "running"
    """It answers."""
    NOT_RESPONDING = "not responding"
    """Its process is there, but it does not answer."""
    STARTING = "starting"
    """It is on its way up."""
    STOPPING = "stopping"
    """It was told to end."""
    STOPPED = "stopped"
    """It does not run, because nobody wants it to, or because it was told to end."""
    CRASHED = "crashed"
    """It ended by itself; see `settled` for whether it is tried again."""


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is told about a server.

    Attributes:
        name: its name, `ogse_cs`.
        title: what it is, for people.
        kind: `core`, `device` or `program`.
        state: how it is.
        simulator: it talks to a model of its device; None when that is not known.
        connected: it is connected to its device; None when it has none, or does not say.
        settled: nothing more happens by itself. A crashed server that is not settled is started again.
        pid: its process id.
        uptime: since the start of its process [s].
        endpoint: where it takes commands.
        restarts: how often it was started again after a crash.
        reason: why it does not run, or why it was restarted last: how it ended, in one line.
        stderr: its last lines on standard error before it ended.
        keeper: who restarts it: `supervisor`, `systemd`; empty when it was started by hand.
        places: where the Setup names it, `gse.ogse`; empty when it does not.
    """

    name: str
    title: str
    kind: str
    state: ServerState
    simulator: bool | None = None
    connected: bool | None = None
    settled: bool = True
    pid: int | None = None
    uptime: float | None = None
    endpoint: str = ""
    restarts: int = 0
    reason: str = ""
    stderr: tuple[str, ...] = ()
    keeper: str = ""
    places: tuple[str, ...] = ()

    @property
    def up(self) -> bool:
        """True when it can be used."""
        return self.state is ServerState.RUNNING

    def __str__(self) -> str:
        model = " (simulator)" if self.simulator else ""
        return f"{self.name} is {self.state}{model}" + (f": {self.explanation}" if self.explanation else "")

    @property
    def explanation(self) -> str:
        """The reason with the last lines on standard error below it."""
        return "\n".join(text for text in (self.reason, *self.stderr) if text)


class DeviceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the active Setup.

    Attributes:
        place: key path in the Setup, `gse.aeu.psu2`.
        label: `device_name` of the Setup, or the place.
        device: what the Setup says, `class//...` or `factory//...`.
        server: name of its control server, for `start_cs`; empty when none was found.
        title: what the server is, for people.
        settings: name of the server's block in the Settings: hostname and ports.
        problem: why there is no server, or why it cannot be imported.
    """

    place: str
    label: str
    device: str
    server: str = ""
    title: str = ""
    settings: str = ""
    problem: str = ""


class ProcessManagerInterface(EventInterface):
    """Commands of the process manager.

    A name may be given with or without `_cs`. Commands that start or stop return when that is under way: look at the
    state, or use a `ProcessManagerProxy`, which waits.
    """

    @needs_control
    @dynamic_interface
    def start_cs(self, name: str, sim_mode: bool = False) -> ServerStatus:
        """Starts a control server and keeps it running: it is restarted when it crashes, with growing delays.

        Args:
            name: a device server that is installed, in the active Setup or not; one that runs is left alone.
            sim_mode: with a model of the device instead of the instrument.

        Returns:
            How it is; a ProcessManagerProxy waits until it answers.

        Raises:
            ProcessManagerError: when it is not installed, is a core service, or runs in the other mode. From a proxy
                also when it ends before it answers: with the reason and its last lines on standard error.
        """

    @needs_control
    @dynamic_interface
    def shut_down_cs(self, name: str) -> ServerStatus:
        """Stops a control server, also one that was started by hand; nothing happens when it does not run.

        Args:
            name: a device server.

        Returns:
            How it is; a ProcessManagerProxy waits until it has ended.

        Raises:
            ProcessManagerError: when there is none of this name, or it is a core service.
        """

    @needs_control
    @dynamic_interface
    def start_egse(self, sim_mode: bool = False) -> dict[str, ServerStatus]:
        """Starts the control servers of all devices of the active Setup that do not run.

        Args:
            sim_mode: with models of the devices instead of the instruments.

        Returns:
            How they are, by name; a ProcessManagerProxy waits until each one answers or has failed. One that fails
            stops nobody: look at the states.

        Raises:
            ProcessManagerError: when no Setup is loaded.
        """

    @needs_control
    @dynamic_interface
    def shut_down_egse(self) -> dict[str, ServerStatus]:
        """Stops all device servers that run, in the Setup or not; core services and programs keep running.

        Returns:
            How they are, by name; a ProcessManagerProxy waits until they have ended.
        """

    @dynamic_interface
    def start_fitsgen(self) -> ServerStatus:
        """Starts the FITS generation; returns and raises as `start_cs`."""

    @dynamic_interface
    def stop_fitsgen(self) -> ServerStatus:
        """Stops the FITS generation; returns as `shut_down_cs`."""

    @dynamic_interface
    def start_fov_hk(self) -> ServerStatus:
        """Starts the housekeeping of the field of view; returns and raises as `start_cs`."""

    @dynamic_interface
    def stop_fov_hk(self) -> ServerStatus:
        """Stops the housekeeping of the field of view; returns as `shut_down_cs`."""

    @dynamic_interface
    def start_n_fee_hk(self) -> ServerStatus:
        """Starts the housekeeping of the N-FEE; returns and raises as `start_cs`."""

    @dynamic_interface
    def stop_n_fee_hk(self) -> ServerStatus:
        """Stops the housekeeping of the N-FEE; returns as `shut_down_cs`."""

    @observe
    @dynamic_interface
    def get_devices(self) -> list[DeviceEntry]:
        """Returns the devices of the active Setup (everything below `gse` and `camera.dpu`) and their servers.

        Empty when no Setup is loaded.

        Raises:
            ProcessManagerError: when the Setup has only just been loaded and is still being looked at.
        """

    @observe
    @dynamic_interface
    def get_core(self) -> list[str]:
        """Returns the names of the core services."""

    @observe
    @dynamic_interface
    def get_setup_id(self) -> str | None:
        """Returns the id of the Setup that the devices are taken from, five digits; None when there is none."""

    @observe
    @dynamic_interface
    def get_status(self, name: str) -> ServerStatus:
        """Returns how a server is, now.

        Args:
            name: a core service, a device server or a program.

        Raises:
            ProcessManagerError: when there is none of this name.
        """

    @observe
    @dynamic_interface
    def get_all_status(self) -> dict[str, ServerStatus]:
        """Returns how all are, now: core services, devices of the Setup, programs, and what else runs, by name."""


class ProcessManagerProxy(DynamicProxy, ProcessManagerInterface):
    """Client of the process manager; what it starts and stops it waits for."""

    settings_name = "Process Manager Control Server"
    server_name = "pm_cs"

    def start_cs(self, name: str, sim_mode: bool = False) -> ServerStatus:
        """See `ProcessManagerInterface.start_cs`; waits until the server answers."""
        return self._wait_up(super().start_cs(name, sim_mode))

    def shut_down_cs(self, name: str) -> ServerStatus:
        """See `ProcessManagerInterface.shut_down_cs`; waits until the server has ended."""
        return self._wait_down(super().shut_down_cs(name))

    def start_egse(self, sim_mode: bool = False) -> dict[str, ServerStatus]:
        """See `ProcessManagerInterface.start_egse`; waits until each server answers or has failed."""
        return self._wait(super().start_egse(sim_mode), _is_decided, START_TIMEOUT)

    def shut_down_egse(self) -> dict[str, ServerStatus]:
        """See `ProcessManagerInterface.shut_down_egse`; waits until all have ended."""
        return self._wait(super().shut_down_egse(), _is_down, STOP_TIMEOUT)

    def start_fitsgen(self) -> ServerStatus:
        """See `ProcessManagerInterface.start_fitsgen`."""
        return self._wait_up(super().start_fitsgen())

    def stop_fitsgen(self) -> ServerStatus:
        """See `ProcessManagerInterface.stop_fitsgen`."""
        return self._wait_down(super().stop_fitsgen())

    def start_fov_hk(self) -> ServerStatus:
        """See `ProcessManagerInterface.start_fov_hk`."""
        return self._wait_up(super().start_fov_hk())

    def stop_fov_hk(self) -> ServerStatus:
        """See `ProcessManagerInterface.stop_fov_hk`."""
        return self._wait_down(super().stop_fov_hk())

    def start_n_fee_hk(self) -> ServerStatus:
        """See `ProcessManagerInterface.start_n_fee_hk`."""
        return self._wait_up(super().start_n_fee_hk())

    def stop_n_fee_hk(self) -> ServerStatus:
        """See `ProcessManagerInterface.stop_n_fee_hk`."""
        return self._wait_down(super().stop_n_fee_hk())

    def _wait_up(self, status: ServerStatus) -> ServerStatus:
        status = self._wait({status.name: status}, _is_decided, START_TIMEOUT)[status.name]
        if not status.up:
            raise ProcessManagerError(str(status))
        return status

    def _wait_down(self, status: ServerStatus) -> ServerStatus:
        status = self._wait({status.name: status}, _is_down, STOP_TIMEOUT)[status.name]
        if not _is_down(status):
            raise ProcessManagerError(f"{status.name} did not end within {STOP_TIMEOUT:g} s")
        return status

    def _wait(
        self, statuses: dict[str, ServerStatus], done: Callable[[ServerStatus], bool], timeout: float
    ) -> dict[str, ServerStatus]:
        """Looks until all are done or the time is over; returns how they are then."""
        clock = system_clock()
        deadline = clock.monotonic() + timeout
        statuses = dict(statuses)
        while (waiting := _not(done, statuses.values())) and clock.monotonic() < deadline:
            clock.sleep(POLL)
            statuses.update({name: self.get_status(name) for name in waiting})
        return statuses


def _not(done: Callable[[ServerStatus], bool], statuses: Iterable[ServerStatus]) -> list[str]:
    return [status.name for status in statuses if not done(status)]


def _is_decided(status: ServerStatus) -> bool:
    """Says whether a start has succeeded or failed."""
    if status.state is ServerState.NOT_RESPONDING:
        return False
    return status.up or status.settled


def _is_down(status: ServerStatus) -> bool:
    return status.state is ServerState.STOPPED
