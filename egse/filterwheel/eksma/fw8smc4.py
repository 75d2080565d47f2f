"""Driver of Eksma filter wheels on one motor with a Standa 8SMC4: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

import math
from typing import Any

from egse.filterwheel.eksma.axis import FilterWheelError
from egse.filterwheel.eksma.axis_model import PORT, SERIAL_NUMBER
from egse.filterwheel.eksma.controller import MotionPlan, WheelController, load_tables
from egse.filterwheel.eksma.fw8smc4_interface import FilterWheel8SMC4Interface
from egse.filterwheel.eksma.two_wheels import TwoWheelModel, moves_to
from egse.filterwheel.eksma.ximc import reply_length
from egse.instrument import NetworkInterface, Simulated, Wire, maker
from egse.proxy import DynamicProxy

SETTINGS = "FW8SMC4 Control Server"


class FilterWheel8SMC4EthernetInterface(NetworkInterface):
    """The network port of the controller, or of its simulator."""

    wire = Wire(SETTINGS, PORT, command_end=b"", reply_length=reply_length)


class FilterWheel8SMC4Controller(WheelController, FilterWheel8SMC4Interface):
    """Talks to filter wheels on one motor."""

    network = FilterWheel8SMC4EthernetInterface
    proxy_class = "egse.filterwheel.eksma.fw8smc4:FilterWheel8SMC4Proxy"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wheels = load_tables(SETTINGS)
        self._plan = MotionPlan(lambda: [self.axis])
        self._positions: tuple[int, int] | None = None

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return f" {SERIAL_NUMBER} " in self.get_id()

    def get_id(self) -> str:
        return self.axis.identity()

    def load_wheels(self) -> dict[str, list[Any]]:
        self._wheels = load_tables(SETTINGS)
        return {"wheel1": list(self._wheels.tables[0]), "wheel2": list(self._wheels.tables[1])}

    def wheel_factors(self) -> list[Any]:
        return [level.factor for level in self._wheels.levels]

    def set_position(self, wheel1: int, wheel2: int) -> None:
        with self.transport.lock:
            self._positions = None
            self.axis.stop()
            targets = moves_to(wheel1, wheel2)
            moves = [lambda steps=steps: self.axis.move(steps) for steps in targets]
            self._plan.start([self.axis.home, self.axis.zero, *moves])
            self._positions = (wheel1, wheel2)

    def get_position(self) -> list[int]:
        with self.transport.lock:
            self._plan.advance()
            known = None if self._plan.trouble else self._positions
            return [-1, -1] if known is None else list(known)

    def homing(self) -> None:
        self._leave([self.axis.home, self.axis.zero])

    def is_moving(self) -> bool:
        with self.transport.lock:
            (state,) = self._plan.advance()
            self._plan.check()
            return state.moving or self._plan.pending

    def stop(self) -> None:
        with self.transport.lock:
            self._plan.stop()
            self._positions = None
            self.axis.stop()

    def get_status(self) -> list[Any]:
        with self.transport.lock:
            (state,) = self._plan.advance()
        return [
            state.position,
            state.speed,
            state.temperature,
            state.current,
            state.voltage,
            hex(state.flags),
        ]

    def get_speed(self) -> float:
        return float(self.get_status()[1])

    def move_wheel(self, steps: int) -> None:
        self._leave([lambda: self.axis.move(steps)])

    def command_zero(self) -> None:
        self._leave([self.axis.zero])

    def att_status(self) -> str:
        with self.transport.lock:
            (state,) = self._plan.advance()
            return "att: ERROR" if state.errors or self._plan.trouble else "att: OK"

    def att_get_level(self) -> dict[str, Any]:
        with self.transport.lock:
            (state,) = self._plan.advance()
            known = None if self._plan.trouble else self._positions
            return {
                "att_moving": state.moving or self._plan.pending,
                "att_factor": math.nan if known is None else self._wheels.factor(known),
                "att_index": -1 if known is None else self._wheels.index(known),
            }

    def att_set_level_factor(self, factor: float) -> None:
        self.att_set_level_index(self._wheels.closest(factor))

    def att_set_level_index(self, index: int) -> None:
        levels = self._wheels.levels
        if not 0 <= index < len(levels):
            raise FilterWheelError(f"there is no level {index}: they go from 0 to {len(levels) - 1}")
        self.set_position(*levels[index].positions)

    def att_set_level_position(self, wheel1: int, wheel2: int) -> None:
        self.set_position(wheel1, wheel2)

    def att_level_up(self) -> None:
        self._go_beside(1)

    def att_level_down(self) -> None:
        self._go_beside(-1)

    def _go_beside(self, step: int) -> None:
        index = self.att_get_level()["att_index"]
        wanted = self._wheels.beside(index, step)
        if wanted != index:
            self.att_set_level_index(wanted)

    def _leave(self, steps: Any) -> None:
        """Moves the motor to where the wheels' positions are not known any more."""
        with self.transport.lock:
            self._positions = None
            self._plan.start(steps)


class FilterWheel8SMC4Simulator(Simulated, FilterWheel8SMC4Controller):
    """The driver joined with a model of the wheels in the same process; replaces the Controller."""

    model_type = TwoWheelModel


class FilterWheel8SMC4Proxy(DynamicProxy, FilterWheel8SMC4Interface):
    """Client of the filter wheels' control server."""

    settings_name = SETTINGS
    server_name = "fw8smc4_cs"


make_controller = maker(FilterWheel8SMC4Controller, FilterWheel8SMC4Simulator)
