"""Driver of Eksma filter wheels with a Standa 8SMC5 each: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

import math
from typing import Any

from egse.clock import Clock, system_clock
from egse.device import DeviceTransport
from egse.filterwheel.eksma.axis import Axis, FilterWheelError, axis_of
from egse.filterwheel.eksma.axis_model import SERIAL_NUMBER, XimcAxisModel
from egse.filterwheel.eksma.controller import MotionPlan, WheelController, load_tables
from egse.filterwheel.eksma.fw8smc5_interface import FilterWheel8SMC5Interface
from egse.filterwheel.eksma.wheels import POSITIONS, Wheels
from egse.filterwheel.eksma.ximc import AxisStatus, reply_length
from egse.instrument import NetworkInterface, Simulated, Wire, maker
from egse.proxy import DynamicProxy
from egse.settings import Settings

SETTINGS, SECOND_WHEEL = "FW8SMC5 Control Server", "FW8SMC5 WHEEL 2"
PORT_1, PORT_2 = 1821, 1822
"""TCP ports of the simulators when the settings name none."""
STEPS_PER_TURN = 600
STEPS_PER_POSITION = STEPS_PER_TURN // POSITIONS


class FilterWheel8SMC5EthernetInterface(NetworkInterface):
    """The network port of the controller of wheel 1, or of its simulator."""

    wire = Wire(SETTINGS, PORT_1, command_end=b"", reply_length=reply_length)


class SecondWheelEthernetInterface(NetworkInterface):
    """The network port of the controller of wheel 2, or of its simulator."""

    wire = Wire(SECOND_WHEEL, PORT_2, command_end=b"", reply_length=reply_length)


class FilterWheel8SMC5Controller(WheelController, FilterWheel8SMC5Interface):
    """Talks to two filter wheels.

    Args:
        hostname, port, transport, unit: of wheel 1, see `InstrumentController`.
        second: way to wheel 2; from the settings when None.
    """

    network = FilterWheel8SMC5EthernetInterface
    proxy_class = "egse.filterwheel.eksma.fw8smc5:FilterWheel8SMC5Proxy"

    def __init__(self, *args: Any, second: DeviceTransport | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.second = second or self._way_to_second()
        self._wheels = load_tables(SETTINGS)
        self._plan = MotionPlan(lambda: self.axes)
        offsets = Settings.load(SETTINGS).get("OFFSETS") or [0, 0]
        self._offsets = [int(offset) for offset in offsets]

    def _way_to_second(self) -> DeviceTransport:
        resource = Settings.load(SECOND_WHEEL).get("DEVICE_RESOURCE")
        library = self.way_to(SECOND_WHEEL)
        if library is None and resource:
            return SecondWheelEthernetInterface.wire.to_resource(str(resource))
        return library or SecondWheelEthernetInterface()

    @property
    def axes(self) -> list[Axis]:
        """Both axes."""
        return [axis_of(self.transport), axis_of(self.second)]

    def connect(self) -> None:
        """Connects to both controllers."""
        super().connect()
        self.second.connect()

    def disconnect(self) -> None:
        """Disconnects from both controllers."""
        self.transport.disconnect()
        self.second.disconnect()

    def is_connected(self) -> bool:
        """Returns True while both are connected."""
        return self.transport.is_connected() and self.second.is_connected()

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return f" {SERIAL_NUMBER} " in self.get_idn()

    def get_idn(self) -> str:
        return "; ".join(axis.identity() for axis in self.axes)

    def get_error_flags(self) -> list[int]:
        return [state.errors for state in self._look()]

    def home(self) -> None:
        with self.transport.lock:
            self._plan.start([self._find_references, self._take_references])

    def _find_references(self) -> None:
        for axis in self.axes:
            axis.home()

    def _take_references(self) -> None:
        for axis in self.axes:
            axis.zero()

    def is_moving(self) -> bool:
        moving = self.in_motion()
        self._plan.check()
        return moving

    def in_motion(self) -> bool:
        """Returns True until both wheels have arrived, or failed to."""
        states = self._look()
        return self._plan.pending or any(state.moving for state in states)

    def stop(self) -> None:
        with self.transport.lock:
            self._plan.stop()
            for axis in self.axes:
                axis.stop()

    def get_position_steps(self, id: int) -> float:
        return self._look()[id - 1].position

    def set_position_steps(self, id: int, position: int) -> None:
        with self.transport.lock:
            self._plan.start([])
            self.axes[id - 1].move(position)

    def get_position_wheels(self) -> list[int]:
        states = self._look()
        return [-1, -1] if self._plan.pending else [self._position(n, states[n]) for n in (0, 1)]

    def set_position_wheels(self, wheel1: int, wheel2: int) -> None:
        self.set_position_wheel(1, wheel1)
        self.set_position_wheel(2, wheel2)

    def set_position_wheel(self, id: int, position: int) -> None:
        with self.transport.lock:
            if self._plan.pending or not self._look()[id - 1].homed:
                raise FilterWheelError(f"wheel {id} has not found its reference: call home() and wait for it")
            target = (position * STEPS_PER_POSITION + self._offsets[id - 1]) % STEPS_PER_TURN
            self._plan.start([])
            self.axes[id - 1].move(target)

    def wheel_factors(self) -> list[Any]:
        return [level.factor for level in self._wheels.levels]

    def get_position_index(self) -> int:
        positions = self.get_position_wheels()
        return -1 if -1 in positions else self._wheels.index(positions)

    def set_position_index(self, index: int) -> None:
        levels = self._wheels.levels
        if not 0 <= index < len(levels):
            raise FilterWheelError(f"there is no level {index}: they go from 0 to {len(levels) - 1}")
        self.set_position_wheels(*levels[index].positions)

    def get_relative_intensity(self) -> float:
        positions = self.get_position_wheels()
        return math.nan if -1 in positions else self._wheels.factor(positions)

    def set_relative_intensity(self, factor: float) -> None:
        self.set_position_index(self._wheels.closest(factor))

    def intensity_level_up(self) -> None:
        self._go_beside(1)

    def intensity_level_down(self) -> None:
        self._go_beside(-1)

    def _go_beside(self, step: int) -> None:
        index = self.get_position_index()
        wanted = self._wheels.beside(index, step)
        if wanted != index:
            self.set_position_index(wanted)

    def _look(self) -> list[AxisStatus]:
        with self.transport.lock:
            return self._plan.advance()

    def _position(self, wheel: int, state: AxisStatus) -> int:
        steps = round(state.position) - self._offsets[wheel]
        known = state.homed and not state.moving and steps % STEPS_PER_POSITION == 0
        return steps // STEPS_PER_POSITION % POSITIONS if known else -1


class FilterWheel8SMC5Simulator(Simulated, FilterWheel8SMC5Controller):
    """The driver joined with models of both controllers in the same process; replaces the Controller.

    Args:
        clock, seed, unit: see `Simulated`.
    """

    model_type = XimcAxisModel

    def __init__(self, clock: Clock | None = None, seed: int = 0, *, unit: Any = None) -> None:
        clock = clock or system_clock()
        first, second = wheel_model(seed), wheel_model(seed + 1)
        FilterWheel8SMC5Controller.__init__(
            self,
            transport=self.network.wire.to_model(first, clock),
            second=self.network.wire.to_model(second, clock),
            unit=unit,
        )
        self.model = WheelPair(first, second)


class WheelPair:
    """Models of both wheels.

    Args:
        first, second: the wheels, without offsets.
    """

    def __init__(self, first: XimcAxisModel, second: XimcAxisModel) -> None:
        self.first = first
        self.second = second
        self._wheels = Wheels()

    def transmission(self, now: float) -> float:
        """Returns what passes, with the default filters; nothing between two positions."""
        steps = [round(wheel.angle(now), 6) for wheel in (self.first, self.second)]
        if any(step % STEPS_PER_POSITION for step in steps):
            return 0.0
        return self._wheels.factor([int(step // STEPS_PER_POSITION) % POSITIONS for step in steps])


def wheel_model(seed: int = 0) -> XimcAxisModel:
    """Returns one wheel on its controller."""
    return XimcAxisModel(seed, STEPS_PER_TURN, "8SMC5")


class FilterWheel8SMC5Proxy(DynamicProxy, FilterWheel8SMC5Interface):
    """Client of the filter wheels' control server."""

    settings_name = SETTINGS
    server_name = "fw8smc5_cs"


make_controller = maker(FilterWheel8SMC5Controller, FilterWheel8SMC5Simulator)
