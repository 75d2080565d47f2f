"""What can be asked on the side channel of a device's simulator (JSON lines, see `egse.simulator.sidechannel`).

It is how tests and trainers break things; a driver never sees it.

    {"do": "faults"}                                          what can be injected
    {"do": "inject", "fault": "delay", "seconds": 2}          on the line, for the next reply (count: n for n replies)
    {"do": "inject", "fault": "sensor_open", "input": "A"}    in the device, until something else is injected
    {"do": "clear"}                                           disarm the faults of the line
    {"do": "drop"}                                            cut all clients off now
    {"do": "signal"}                                          same as SIGUSR1
    {"do": "state"}                                           the true state of the device
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from egse.clock import Clock
from egse.simulator.faults import LINE_FAULTS, LineFaults
from egse.simulator.model import DeviceModel, FaultError
from egse.simulator.sidechannel import AdminConsole


class DeviceConsole(AdminConsole):
    """Executes requests of the side channel.

    Args:
        model: the device.
        faults: faults of the line.
        drop_clients: cuts all clients of the device off and returns how many there were.
        clock: time of the model.
    """

    def __init__(
        self, model: DeviceModel, faults: LineFaults, drop_clients: Callable[[], int], clock: Clock
    ) -> None:
        self._model = model
        self._faults = faults
        self._drop_clients = drop_clients
        self._clock = clock
        self._requests: dict[str, Callable[[dict[str, Any], float], Any]] = {
            "faults": self._list_faults,
            "inject": self._inject,
            "clear": lambda arguments, now: self._faults.clear(),
            "drop": lambda arguments, now: self._drop_clients(),
            "signal": lambda arguments, now: self._model.user_signal(now),
            "state": lambda arguments, now: self._model.describe(),
        }

    def dispatch(self, request: dict[str, Any]) -> Any:
        """Executes one request and returns its result."""
        if request.get("do") not in self._requests:
            raise FaultError(f'a request is {{"do": one of {", ".join(self._requests)}, ...}}')
        now = self._clock.monotonic()
        self._model.step(now)
        return self._requests[request.pop("do")](request, now)

    def _list_faults(self, _: Mapping[str, Any], now: float) -> dict[str, Any]:
        line = {name: text for name, (text, _) in LINE_FAULTS.items()}
        return {"line": line, "device": dict(self._model.faults), "armed": self._faults.armed()}

    def _inject(self, arguments: dict[str, Any], now: float) -> None:
        name = arguments.pop("fault", None)
        if name in LINE_FAULTS:
            self._faults.arm(name, arguments)
        else:
            self._model.inject(str(name), arguments, now)
