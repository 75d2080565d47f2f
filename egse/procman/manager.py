"""What executes the commands of the process manager."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from egse.clock import Clock, system_clock
from egse.control import ControlServer
from egse.process import LaunchError, ProgramStatus, State
from egse.procman.interface import (
    CORE,
    DEVICE,
    PROGRAM,
    DeviceEntry,
    ProcessManagerError,
    ServerState,
    ServerStatus,
)
from egse.procman.inventory import Inventory, kind_of
from egse.procman.shortcuts import ProgramCommands
from egse.procman.watch import Look, Watch
from egse.site.keepers import Keeper
from egse.site.layout import SiteError
from egse.site.programs import Entry
from egse.storage.loaded_setup import LoadedSetup, SetupFollower

logger = logging.getLogger(__name__)

T = TypeVar("T")

COMING_UP = 30.0
"""A process that has not answered yet is called starting for so long [s], then not responding."""
SILENCE = 3.0
"""One that has answered may be silent for so long, e.g. on a busy machine, before it is called not responding [s]."""

_STATES = {
    State.WAITING: ServerState.STARTING,
    State.STARTING: ServerState.STARTING,
    State.BLOCKED: ServerState.CRASHED,
    State.BACKOFF: ServerState.CRASHED,
    State.FATAL: ServerState.CRASHED,
    State.ENDED: ServerState.STOPPED,
    State.STOPPING: ServerState.STOPPING,
    State.STOPPED: ServerState.STOPPED,
}


class _Answer(NamedTuple):
    """The last answer of a server: of which process, when (monotonic) [s], and what it said."""

    pid: int | None
    at: float
    look: Look


class ProcessManagerController(SetupFollower, ProgramCommands):
    """Starts and stops servers by way of a keeper, and tells how they are.

    Args:
        keeper: keeps them running.
        own_name: name of the server that this belongs to, which need not be asked how it is.
        control_server: the server, for tasks outside a command.
        clock: the host's clock by default.
    """

    def __init__(
        self,
        keeper: Keeper,
        own_name: str = "pm_cs",
        control_server: ControlServer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.keeper = keeper
        self.inventory = Inventory()
        self.loaded_setup = LoadedSetup(on_fetched=self.inventory.take)
        self.latest: dict[str, ServerStatus] = {}
        self._own_name = own_name
        self._control_server = control_server
        self._clock = clock or system_clock()
        self._watch = Watch()
        self._answered: dict[str, _Answer] = {}
        self._told = threading.Lock()

    # -- starting and stopping -----------------------------------------------------------------------------------

    def start_cs(self, name: str, sim_mode: bool = False) -> ServerStatus:
        self._start(self.inventory.startable(name), sim_mode)
        return self.get_status(name)

    def shut_down_cs(self, name: str) -> ServerStatus:
        entry = self.inventory.startable(name)
        self._stop([entry])
        return self._states([entry])[entry.name]

    def start_egse(self, sim_mode: bool = False) -> dict[str, ServerStatus]:
        self.inventory.wait()
        if self.inventory.setup is None:
            raise ProcessManagerError("no Setup is loaded; load one with `cm_cs load-setup ID`")
        entries = [self.inventory.startable(name) for name in self.inventory.device_servers()]
        statuses = self._states(entries)
        for entry in entries:
            if not statuses[entry.name].up:
                self._start(entry, sim_mode, statuses[entry.name])
        return self._states(entries)

    def shut_down_egse(self) -> dict[str, ServerStatus]:
        devices = [entry for entry in self.inventory.entries() if kind_of(entry) == DEVICE]
        statuses = self._states(devices)
        running = [e for e in devices if statuses[e.name].state is not ServerState.STOPPED]
        self._stop(running, statuses)
        return self._states(running)

    def _start(self, entry: Entry, simulator: bool, status: ServerStatus | None = None) -> None:
        """Has a server started unless it runs.

        Raises:
            ProcessManagerError: when it is not installed, or runs in the other mode.
        """
        status = status or self._states([entry])[entry.name]
        if status.state in (ServerState.RUNNING, ServerState.NOT_RESPONDING, ServerState.STARTING):
            if status.simulator is not None and status.simulator != simulator:
                mode = "with the simulator" if status.simulator else "without the simulator"
                raise ProcessManagerError(f"{entry.name} runs already, {mode}: shut it down first")
            return
        _translated(lambda: self.keeper.start(entry, simulator=simulator))
        logger.info("%s is started%s", entry.name, " with the simulator" if simulator else "")

    def _stop(self, entries: list[Entry], statuses: dict[str, ServerStatus] | None = None) -> None:
        """Has servers stopped; those that were started by hand are asked to end."""
        statuses = statuses or self._states(entries)
        by_hand = [e for e in entries if statuses[e.name].up and not statuses[e.name].keeper]
        kept = [entry.name for entry in entries if entry not in by_hand]
        if kept:
            logger.info("to be stopped: %s", ", ".join(kept))
            _translated(lambda: self.keeper.stop(kept))
        for entry in by_hand:
            logger.info("%s, which was started by hand, is asked to end", entry.name)
            try:
                self._watch.quit(entry.name, entry.settings)
            except (ConnectionError, TimeoutError) as exc:
                logger.warning("%s did not answer when it was asked to end: %s", entry.name, exc)

    # -- looking -------------------------------------------------------------------------------------------------

    def get_devices(self) -> list[DeviceEntry]:
        self.inventory.wait()
        return self.inventory.devices()

    def get_core(self) -> list[str]:
        return [entry.name for entry in self.inventory.entries() if kind_of(entry) == CORE]

    def get_setup_id(self) -> str | None:
        return self.inventory.setup_id

    def get_status(self, name: str) -> ServerStatus:
        entry = self.inventory.entry(name)
        return self._states([entry])[entry.name]

    def get_all_status(self) -> dict[str, ServerStatus]:
        statuses = self._states(self.inventory.entries())
        wanted = set(self.inventory.device_servers())
        shown = {
            name: status
            for name, status in statuses.items()
            if status.kind in (CORE, PROGRAM) or name in wanted or status.state is not ServerState.STOPPED
        }
        self._note_changes(shown)
        return shown

    def _states(self, entries: Iterable[Entry]) -> dict[str, ServerStatus]:
        """Returns how these servers are, now."""
        chosen = list(entries)
        processes = _translated(lambda: self.keeper.states(chosen))
        looks = self._watch.look(
            (entry.name, entry.settings, _is_there(processes.get(entry.name)))
            for entry in chosen
            if entry.settings and entry.name != self._own_name
        )
        looks[self._own_name] = Look(answers=True, pid=os.getpid())
        return {e.name: self._judge(e, processes.get(e.name), looks.get(e.name)) for e in chosen}

    def _judge(self, entry: Entry, process: ProgramStatus | None, look: Look | None) -> ServerStatus:
        """Puts together what the keeper knows of a process and what the server says itself."""
        process = process or ProgramStatus(state=State.STOPPED)
        look = look or Look()
        if look.answers:
            self._answered[entry.name] = _Answer(process.pid, self._clock.monotonic(), look)
        elif process.state is State.RUNNING:
            look = self._last_words(entry.name, process.pid) or look
        state = _STATES.get(process.state, ServerState.RUNNING)
        if look.answers and state is not ServerState.STOPPING:
            by_hand = process.state is not State.RUNNING and process.pid is None
            state = ServerState.RUNNING
        else:
            by_hand = False
            if state is ServerState.RUNNING and entry.settings:
                state = self._silent(entry.name, process)
        reason, *stderr = process.reason.splitlines() or [""]
        started = process.since if process.pid is not None and process.since else None
        simulator = look.simulator if look.answers else self.keeper.is_simulator(entry.name)
        return ServerStatus(
            name=entry.name,
            title=entry.title,
            kind=kind_of(entry),
            state=state,
            simulator=simulator if kind_of(entry) == DEVICE else None,
            connected=look.connected,
            settled=process.settled or by_hand,
            pid=process.pid or look.pid,
            uptime=max(0.0, self._clock.now() - started) if started else look.uptime,
            endpoint=look.endpoint or (process.endpoints[0] if process.endpoints else ""),
            restarts=process.restarts,
            reason=reason.removesuffix(":") if not by_hand else "",
            stderr=tuple(stderr) if not by_hand else (),
            keeper="" if by_hand or process.state is State.STOPPED else self.keeper.name,
            places=self.inventory.places(entry.name),
        )

    def _last_words(self, name: str, pid: int | None) -> Look | None:
        """Returns what this process said, when that is not long ago."""
        last = self._answered.get(name)
        if last is None or last.pid != pid or self._clock.monotonic() - last.at > SILENCE:
            return None
        return last.look

    def _silent(self, name: str, process: ProgramStatus) -> ServerState:
        """Returns whether a process that does not answer is on its way up or has ceased to respond."""
        young = process.since > 0 and self._clock.now() - process.since < COMING_UP
        never = name not in self._answered or self._answered[name].pid != process.pid
        return ServerState.STARTING if young and never else ServerState.NOT_RESPONDING

    def _note_changes(self, statuses: dict[str, ServerStatus]) -> None:
        """Logs what has changed since the last look."""
        with self._told:
            for name, status in statuses.items():
                former = self.latest.get(name)
                if former is None or (former.state, former.reason) != (status.state, status.reason):
                    bad = status.state in (ServerState.CRASHED, ServerState.NOT_RESPONDING)
                    logger.log(logging.ERROR if bad else logging.INFO, "%s", status)
            self.latest = statuses

    # -- Setups --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the background work; what was started keeps running."""
        self.loaded_setup.close()
        self.inventory.close()
        self._watch.close()


def _is_there(process: ProgramStatus | None) -> bool:
    return process is not None and process.state is State.RUNNING


def _translated(action: Callable[[], T]) -> T:
    try:
        return action()
    except (LaunchError, SiteError) as exc:
        raise ProcessManagerError(str(exc)) from exc
