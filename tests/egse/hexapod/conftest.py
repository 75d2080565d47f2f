"""What the tests of the hexapods share: models on sockets, and the golden values of the device reference."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from egse.clock import RealClock
from egse.simulator import DeviceModel, SimulatorServer

FRAMES = (-2, -2, -2, -3, -4, -5, 0, 0, 3, 30, 30, 0)
START = [2.162432, 1.909327, 4.967732, 34.010087, 33.658846, 7.221377]
STEPS = [
    ("move_absolute", (1, 3, 4, 35, 25, 10), [1, 3, 4, 35, 25, 10],
     [-0.555058, 1.204306, -1.068915, 1.019529, -8.466485, 2.799323]),
    ("move_relative_object", (-1, -1, -1, 1, 7, -1), [-0.429545, 2.498569, 3.160383, 37.825975, 31.257504, 13.736722],
     [-2.317006, 0.873765, -2.006061, 3.052234, -1.946659, 4.741402]),
    ("move_relative_user", (-2, -2, -2, 1, 7, -1), [-2.429542, 0.498565, 1.160389, 41.372251, 37.323099, 18.140085],
     [-4.710342, -0.977992, -4.017462, 5.310002, 4.496313, 6.918575]),
]  # fmt: skip

Serve = Callable[..., SimulatorServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Puts models on sockets; their time runs 200 times as fast as the wall, or as it is told to."""
    with ExitStack() as stack:

        def start(model: DeviceModel, speed: float = 200.0) -> SimulatorServer:
            server = stack.enter_context(SimulatorServer(model, clock=RealClock(speed), max_clients=4))
            thread = threading.Thread(target=server.serve)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def golden() -> Callable[[Any, Callable[[float], None]], None]:
    """Takes a hexapod that is homed through the moves of section 1.6 of the device reference, to 1e-5.

    The published values of the last step have inherited the errors of those before: 1.2e-5 from exact arithmetic.
    """

    def check(hexapod: Any, wait: Callable[[float], None]) -> None:
        hexapod.configure_coordinates_systems(*FRAMES)
        assert hexapod.get_coordinates_systems() == pytest.approx(FRAMES)
        assert hexapod.get_machine_positions() == pytest.approx([0] * 6, abs=1e-5)
        assert hexapod.get_user_positions() == pytest.approx(START, abs=1e-5)
        for method, arguments, user, machine in STEPS:
            getattr(hexapod, method)(*arguments)
            while not hexapod.is_in_position():
                wait(0.5)
            tolerance = 1.2e-5 if method == "move_relative_user" else 1e-5
            assert hexapod.get_user_positions() == pytest.approx(user, abs=tolerance)
            assert hexapod.get_machine_positions() == pytest.approx(machine, abs=tolerance)

    return check
