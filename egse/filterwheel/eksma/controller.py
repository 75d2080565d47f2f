"""What the drivers of both kinds of filter wheels have in common: the axis, motions of several steps, levels.

A motion of several steps (find the reference, make it 0, turn back, turn forward) is not waited for: the next step is taken
whenever somebody looks, which the housekeeping of the control server does every second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from egse.device import DeviceTransport
from egse.filterwheel.eksma.axis import LIBRARY, Axis, FilterWheelError, LibraryAxis, axis_of
from egse.filterwheel.eksma.wheels import WHEEL_1, WHEEL_2, Wheels
from egse.filterwheel.eksma.ximc import AxisStatus
from egse.instrument import InstrumentController
from egse.settings import Settings


class WheelController(InstrumentController):
    """Talks to filter wheels, at a port or through the manufacturer's library (`DEVICE_RESOURCE: ximc:URI`)."""

    identity = ("XIMC",)

    def way_to(self, settings: str) -> DeviceTransport | None:
        """Returns the library's way to the axis of a settings block, None when it is not to be used."""
        resource = str(Settings.load(settings).get("DEVICE_RESOURCE") or "")
        return LibraryAxis(resource.removeprefix(LIBRARY)) if resource.startswith(LIBRARY) else None

    def _way(self, hostname: str | None, port: int | None) -> DeviceTransport:
        library = self.way_to(self.network.wire.block()) if hostname is None and port is None else None
        return library or super()._way(hostname, port)

    @property
    def axis(self) -> Axis:
        """The (first) axis."""
        return axis_of(self.transport)

    def identify(self) -> str:
        """Asks the controller what it is."""
        return self.axis.identity()


class MotionPlan:
    """Steps of a motion, each taken when the axes have come to rest.

    Args:
        axes: those that are looked at.
    """

    def __init__(self, axes: Callable[[], Iterable[Axis]]) -> None:
        self._axes = axes
        self._steps: deque[Callable[[], None]] = deque()
        self.trouble = ""

    def start(self, steps: Iterable[Callable[[], None]]) -> None:
        """Forgets what was to come, and begins with these steps."""
        self._steps = deque(steps)
        self.trouble = ""
        self.advance()

    def stop(self) -> None:
        """Forgets what was to come."""
        self._steps.clear()

    @property
    def pending(self) -> bool:
        """True while steps are to come."""
        return bool(self._steps)

    def advance(self) -> list[AxisStatus]:
        """Takes the next steps when nothing moves; returns the states of the axes."""
        states = [axis.status() for axis in self._axes()]
        while not any(state.moving for state in states):
            if any(state.failed for state in states) and not self.trouble:
                self.trouble = "a motion failed: is the controller in alarm, or a wheel blocked? Home it"
                self._steps.clear()
            if not self._steps:
                break
            self._steps.popleft()()
            states = [axis.status() for axis in self._axes()]
        return states

    def check(self) -> None:
        """Raises FilterWheelError when the last motion has failed."""
        if self.trouble:
            raise FilterWheelError(self.trouble)


def load_tables(settings: str) -> Wheels:
    """Returns the wheels as the settings block describes them (`WHEEL_1`, `WHEEL_2`), the default ones without."""
    block = Settings.load(settings)
    tables: list[Sequence[object]] = [block.get("WHEEL_1") or WHEEL_1, block.get("WHEEL_2") or WHEEL_2]
    return Wheels(*tables)


def full_well(settings: str, factor: float) -> float:
    """Returns the fraction of the full well that a transmission gives: times `FWC_FACTOR` of the settings block, 1 without."""
    return factor * float(Settings.load(settings).get("FWC_FACTOR", 1.0))
