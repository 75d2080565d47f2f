"""Driver of the HUBER SMC9300: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from egse.clock import Clock, system_clock
from egse.command import CommandError
from egse.coordinates.avoidance import StageLimits
from egse.declaration import ServerContext
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.proxy import DynamicProxy
from egse.setupwatch import SetupSource
from egse.stages.huber.smc9300.interface import LONGEST_MOTION, HuberSMC9300Interface
from egse.stages.huber.smc9300.messages import (
    DONE,
    HuberError,
    decode_axis_float,
    decode_error,
    decode_parameter,
    decoded,
    number_or_text,
    raise_error,
    read_lines,
)
from egse.stages.huber.smc9300.model import PORT, SMC9300Model
from egse.timing import wait_until

SETTINGS = "SMC9300 Control Server"
AXES = (1, 2, 3)
POLL_INTERVAL = 0.2
"""Time between two questions whether the axes stand still [s]."""
SLICE = 1.0
"""A control server is kept from other commands for so long at a time while somebody waits for an axis [s]."""


def settle(stages: HuberSMC9300Interface, axis: int) -> None:
    """Waits for the end of a motion.

    Raises:
        DeviceTimeoutError: when the axis still moves after `LONGEST_MOTION`.
        HuberError: when it has an error then.
    """
    if not stages.wait_until_axis_ready(axis):
        raise DeviceTimeoutError(f"axis {axis} of the SMC9300 still moves after {LONGEST_MOTION:g} s")
    raise_error(axis, stages.get_error(axis))


class HuberSMC9300EthernetInterface(NetworkInterface):
    """The network port of the controller, which greets with its version."""

    wire = Wire(SETTINGS, PORT, command_end=b"\r\n", reply_end=b"\r\n", banner=True)


class HuberSMC9300Controller(InstrumentController, HuberSMC9300Interface):
    """Talks to an SMC9300.

    Attributes:
        clock: what is waited with.
        find_setup: returns the Setup that says where the hard stop is; None: as at CSL.
        slew_speeds: of the three axes, as they were when the driver connected.
    """

    network = HuberSMC9300EthernetInterface
    identity = ("smc 1.",)
    clock: Clock = system_clock()
    find_setup: Callable[[], Mapping[str, Any] | None] = staticmethod(lambda: None)
    slew_speeds: tuple[int, ...] = ()

    def identify(self) -> str:
        """Asks for the version."""
        return self.get_version()

    def connect(self) -> None:
        """Connects, and asks for the slew speeds of the three axes."""
        if not self.transport.is_connected():
            super().connect()
            self.slew_speeds = tuple(self.get_slew_speed(axis) for axis in AXES)

    def disconnect(self) -> None:
        """Clears the errors of the axes and disconnects."""
        try:
            if self.transport.is_connected():
                for axis in AXES:
                    self.clear_error(axis)
        except DeviceConnectionError:
            pass  # there is nobody to take leave of
        super().disconnect()

    def is_simulator(self) -> bool:
        """Returns True when the controller calls itself one."""
        return "simulator" in self.info().lower()

    @property
    def limits(self) -> StageLimits:
        """How far the big rotation stage may turn, by the loaded Setup."""
        return StageLimits.from_setup(self.find_setup())

    # -- motions

    def goto(self, axis: int, position: float, wait: bool = True) -> None:
        limits = self.limits
        limits.check(axis, position)
        if axis == limits.axis:  # by a distance: it must not take the short way through the hard stop
            self.move_direct(axis, position - self.get_current_position(axis))
        else:
            self.goto_direct(axis, position)
        if wait:
            settle(self, axis)

    def move(self, axis: int, distance: float, wait: bool = True) -> None:
        self.limits.check(axis, self.get_current_position(axis) + distance)
        self.move_direct(axis, distance)
        if wait:
            settle(self, axis)

    def wait_until_axis_ready(self, axis: int, timeout: float = LONGEST_MOTION) -> bool:
        return not wait_until(
            self.is_in_position, axis, timeout=timeout, interval=POLL_INTERVAL, clock=self.clock
        )

    def is_in_position(self, axis: int) -> bool:
        return self.get_state(axis) & DONE == DONE

    # -- answers of several lines

    def info(self) -> str:
        return "\n".join(read_lines(self.transport, "?"))

    def get_parameter(self, axis: int, name: str) -> Any:
        if not (name.isascii() and name.isalpha() and name.islower()):
            raise CommandError(f"the name of a parameter is a word of small letters, got {name!r}")
        lines = read_lines(self.transport, f"?{name}{axis}")
        if len(lines) != 1:
            raise HuberError(f"axis {axis} has no parameter {name!r}: it answered {lines!r}")
        return decode_parameter(lines[0].encode())

    def get_configuration(self, axis: int) -> dict[str, Any]:
        configuration = {}
        for line in read_lines(self.transport, f"?conf{axis}"):
            name, _, value = line.partition(":")
            if name.endswith(str(axis)):
                configuration[name.removesuffix(str(axis))] = number_or_text(value)
        return configuration

    def get_conf_value(self, axis: int, name: str) -> Any:
        configuration = self.get_configuration(axis)
        if name not in configuration:
            known = ", ".join(configuration) or "none"
            raise HuberError(f"axis {axis} has no parameter {name!r}; those of its configuration: {known}")
        return configuration[name]

    def get_overview(self) -> list[dict[str, Any]]:
        lines = read_lines(self.transport, "?p\r\n?e\r\n?s\r\n?err")
        if len(lines) != 3 + len(AXES):
            raise HuberError(f"the SMC9300 answered {lines!r}; expected {3 + len(AXES)} lines")
        columns = [[one for one in line.split(";") if one] for line in lines[:3]]
        return [
            {
                "position": decode_axis_float(position.encode()),
                "encoder": decode_axis_float(encoder.encode()),
                "state": decoded(state.encode(), int, state.partition(":")[2]),
                "error": decode_error(error.encode())["number"],
            }
            for position, encoder, state, error in zip(*columns, lines[3:], strict=True)
        ]


class HuberSMC9300Simulator(Simulated, HuberSMC9300Controller):
    """The driver joined with a model of the controller in the same process; replaces the Controller."""

    model_type = SMC9300Model

    def __init__(self, clock: Clock | None = None, seed: int = 0, **options: Any) -> None:
        super().__init__(clock, seed, **options)
        self.clock = clock or system_clock()


class HuberSMC9300Proxy(DynamicProxy, HuberSMC9300Interface):
    """Client of the SMC9300 control server.

    It is the client that waits: the server is free for other commands while an axis moves, for `quit` above all.
    """

    settings_name = SETTINGS
    server_name = "smc9300_cs"

    def goto(self, axis: int, position: float, wait: bool = True) -> None:
        """See `HuberSMC9300Interface.goto`."""
        super().goto(axis, position, False)
        if wait:
            settle(self, axis)

    def move(self, axis: int, distance: float, wait: bool = True) -> None:
        """See `HuberSMC9300Interface.move`."""
        super().move(axis, distance, False)
        if wait:
            settle(self, axis)

    def wait_until_axis_ready(self, axis: int, timeout: float = LONGEST_MOTION) -> bool:
        """See `HuberSMC9300Interface.wait_until_axis_ready`; `timeout` is in seconds of the server's clock."""
        left = timeout
        while not super().wait_until_axis_ready(axis, min(left, SLICE)):
            left -= SLICE
            if left <= 0:
                return False
        return True


_make = maker(HuberSMC9300Controller, HuberSMC9300Simulator)


def make_controller(context: ServerContext) -> HuberSMC9300Controller:
    """Makes the Controller; where the hard stop is, is what the loaded Setup says."""
    controller: HuberSMC9300Controller = _make(context)
    controller.clock = context.clock
    server = context.control_server
    if server is not None:
        controller.find_setup = SetupSource(lambda: server.setup_watch.loaded)
    elif context.dry_run:
        controller.find_setup = SetupSource()
    return controller
