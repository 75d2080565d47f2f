"""What the drivers of all Symetrie hexapods have in common: waiting for a homing, and the proxies."""

from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from egse.clock import Clock, system_clock
from egse.command import CommandDefinition
from egse.declaration import ServerContext
from egse.device import DeviceError, OwnConnectionError
from egse.hexapod import HexapodConnectionError, HexapodError
from egse.hexapod.symetrie.interface import Done, HexapodInterface, Validation
from egse.hexapod.symetrie.kinematics import Mode, Six
from egse.instrument import InstrumentController, Simulated, maker
from egse.proxy import DynamicProxy

LOGGER = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_AGAIN = 0.5
"""A homing or a restart that is waited for is looked at so often [s]."""
LONGEST_WAIT = 300.0
"""A homing or a restart that is waited for may take so long [s]."""


class HexapodController(OwnConnectionError, InstrumentController):
    """Base of the drivers.

    Attributes:
        is_served: it belongs to a control server, where nothing may block: what has to wait is answered later.
    """

    connection_error = HexapodConnectionError
    is_served = False
    _cancelled: threading.Event | None = None

    @abstractmethod
    def is_homing_running(self) -> bool:
        """Returns True during a homing."""

    @abstractmethod
    def _move(self, mode: Mode, position: Six) -> Done:
        """Starts a move."""

    @abstractmethod
    def _check(self, mode: Mode, position: Six) -> Validation:
        """Says whether a move would be feasible."""

    @property
    def clock(self) -> Clock:
        """The clock of a model in this process, or the host's."""
        clock: Clock | None = getattr(self.transport, "clock", None)
        return clock or system_clock()

    # -- moves

    def move_absolute(self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float) -> Done:
        return self._after_homing(lambda: self._move(Mode.ABSOLUTE, (tx, ty, tz, rx, ry, rz)))

    def move_relative_object(self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float) -> Done:
        return self._after_homing(lambda: self._move(Mode.OBJECT_RELATIVE, (tx, ty, tz, rx, ry, rz)))

    def move_relative_user(self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float) -> Done:
        return self._after_homing(lambda: self._move(Mode.USER_RELATIVE, (tx, ty, tz, rx, ry, rz)))

    def check_absolute_movement(
        self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float
    ) -> Validation:
        return self._check(Mode.ABSOLUTE, (tx, ty, tz, rx, ry, rz))

    def check_relative_object_movement(
        self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float
    ) -> Validation:
        return self._check(Mode.OBJECT_RELATIVE, (tx, ty, tz, rx, ry, rz))

    def check_relative_user_movement(
        self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float
    ) -> Validation:
        return self._check(Mode.USER_RELATIVE, (tx, ty, tz, rx, ry, rz))

    # -- waiting

    def _after_homing(self, move: Callable[[], Done]) -> Done:
        """Moves now, or when the homing that runs has ended; `stop` gives it up."""
        if not self.is_homing_running():
            return move()
        LOGGER.info("a move waits for the end of the homing")
        # a future where it is served: these commands are deferred
        return self._later(lambda: not self.is_homing_running(), move, "the end of the homing")  # type: ignore[return-value]

    def _later(self, is_ready: Callable[[], bool], action: Callable[[], T], what: str) -> T | Future[T]:
        """Waits and does something then, in another thread when it belongs to a control server.

        Args:
            is_ready: what is waited for.
            action: is done after that.
            what: name of what is waited for, for messages.

        Raises:
            HexapodError: when `stop` came before it was ready, or it took too long.
        """
        cancelled = self._cancelled = threading.Event()

        def work() -> T:
            clock = self.clock
            deadline = clock.monotonic() + LONGEST_WAIT
            while not is_ready():
                if clock.wait(cancelled, LOOK_AGAIN):
                    raise HexapodError(f"stopped while it waited for {what}")
                if clock.monotonic() >= deadline:
                    raise HexapodError(f"{what} did not come within {LONGEST_WAIT:g} s")
            return action()

        return in_background(work) if self.is_served else work()

    def _give_up_waiting(self) -> None:
        """Gives up what waits for a homing."""
        if self._cancelled is not None:
            self._cancelled.set()

    def disconnect(self) -> None:
        """Disconnects from the controller; what waits for a homing is given up."""
        self._give_up_waiting()
        super().disconnect()

    def _answers(self) -> bool:
        """Returns True when the controller answers a question."""
        try:
            self.transport.connect()
            self.get_speed()  # type: ignore[attr-defined]  # of the interface, which a sub-class has too
        except DeviceError:
            self.transport.disconnect()
            return False
        return True

    def log_positions(self) -> None:
        """Writes all positions to the log."""
        user, machine, lengths = (
            getattr(self, name)()
            for name in ("get_user_positions", "get_machine_positions", "get_actuator_length")
        )
        LOGGER.info("positions: user %s, machine %s, actuators %s", user, machine, lengths)


def values_of(command: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[float]:
    """Returns the arguments of a call in the order in which an interface declares them, checked."""
    definition: CommandDefinition = command.__command__  # type: ignore[attr-defined]
    return list(definition.bind(args, kwargs).values())


def in_background(work: Callable[[], T]) -> Future[T]:
    """Does something in a thread of its own; what it raises is raised by the future."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as exc:  # the client gets it, with its trace
            future.set_exception(exc)

    threading.Thread(target=run, name="hexapod waits", daemon=True).start()
    return future


def hexapod_maker(
    controller: type[HexapodController], simulator: type[Simulated]
) -> Callable[[ServerContext], Any]:
    """Returns what makes the Controller for a control server or a dry run, see `egse.instrument.maker`."""
    make = maker(controller, simulator)

    def make_served(context: ServerContext) -> Any:
        made = make(context)
        made.is_served = context.control_server is not None
        return made

    return make_served


class HexapodProxy(DynamicProxy, HexapodInterface):
    """Client of the control server of a hexapod."""

    def _execute_command(
        self, definition: CommandDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Gives what may wait for a homing the time for it."""
        if definition.name.startswith(("move_", "goto_", "reset")) and self.timeout < LONGEST_WAIT:
            return self.with_timeout(LONGEST_WAIT)._execute_command(definition, args, kwargs)
        return super()._execute_command(definition, args, kwargs)
