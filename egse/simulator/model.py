"""What a simulated device is: a plain object without I/O.

A model is told what came in and what time it is, and returns what the device would answer. It never sees a socket,
never sleeps and never asks for the time, so hours pass in milliseconds in a test and the same object stands behind a
TCP port, a control server started with `--simulator`, and a dry run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from egse.simulator.framing import Framer, LineFramer

Stream = Callable[[float], bytes]
"""What one client is told without having asked: called with `now`, returns what is to be sent, empty for nothing."""


class HangUpError(Exception):
    """Raised by a model when the device closes this connection by itself.

    Args:
        reply: what is still sent before closing.
    """

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__("the device closes the connection")
        self.reply = reply


class LateReply(bytes):
    """A reply that the device takes its time for; what it answers meanwhile is sent together with it.

    Attributes:
        due: not before this time [s of the simulation's clock].
    """

    due: float

    def __new__(cls, reply: bytes, *, due: float) -> Self:
        made = super().__new__(cls, reply)
        made.due = due
        return made


class FaultError(ValueError):
    """A fault that the simulator does not know, or with arguments that make no sense."""


class DeviceModel(ABC):
    """Base class of all simulated devices.

    The argument `now` is always the monotonic time of the simulation's clock [s]. State belongs to the device, not to
    a connection: it survives a reconnect.
    """

    step_interval: float = 0.1
    """Longest time between two calls of `step` while the simulator is alone [s]."""

    faults: ClassVar[Mapping[str, str]] = {}
    """Faults of this device: name -> what it does and which arguments it takes."""

    def framer(self) -> Framer:
        """Returns a new framer for one connection."""
        return LineFramer()

    def stream(self) -> Stream | None:
        """Returns the stream of one connection, for a device that pushes; it is asked after each `step`."""
        return None

    def connect(self, now: float) -> bytes:
        """A client connected; returns the banner, empty for a device that keeps silent."""
        return b""

    def disconnect(self, now: float) -> None:
        """A client went away."""
        return

    @abstractmethod
    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one complete command.

        Args:
            command: one command as cut by the framer, not empty.
            now: monotonic time [s]; `step(now)` has been called with it.

        Returns:
            The complete reply including its terminator, empty when the device keeps silent, a `LateReply` when it takes
            its time.

        Raises:
            HangUpError: when the device closes the connection.
        """

    def step(self, now: float) -> None:
        """Brings the state of the device up to `now`; a call with an unchanged `now` changes nothing."""
        return

    def user_signal(self, now: float) -> None:
        """The simulator process got SIGUSR1: the hand of somebody standing at the device."""
        return

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        """Brings about one of the device's `faults`.

        Raises:
            FaultError: when the fault is unknown or its arguments make no sense.
        """
        known = ", ".join(self.faults) or "none"
        raise FaultError(f"{type(self).__name__} has no fault {fault!r}; known: {known}")

    def describe(self) -> dict[str, Any]:
        """Returns the true state of the device for the administrative side channel, JSON values only."""
        return {}
