"""What a FEE simulator learns from other simulators: light from the OGSE, temperatures from the LakeShore,
the source's position from the stages.

The other simulator is asked on its side channel (`--admin-port`, JSON lines) for its true state, once per second of real
time, by a thread of its own; while it is away the last values hold. Nothing of this exists for a real camera.

- OGSE: `flux`, 0..1, becomes the light level.
- Temperatures: the true temperature at the inputs A to D becomes raw housekeeping, by the assumed calibration below (the
  real ones are not public). A: TOU sensors; B: CCDs; C: platinum sensors of the FEE; D: its boards.

- Stages: where they truly are, also when one of them has slipped and does not know it, becomes the position of the source and the part of
  the pupil that its beam fills.
- Hexapod: z of the object in its user frame becomes the focus.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from egse.coordinates.pointing import StagePositions, StagesGeometry
from egse.fee.model import NFEEModel

LOGGER = logging.getLogger("egse.fee.follow")

PERIOD: Final = 1.0
"""Time between two questions [s, real time]."""

TIMEOUT: Final = 2.0
"""Longest time to wait for an answer [s]."""

COUNTS_PER_KELVIN: Final = 100.0
ZERO: Final = 0x8000
"""Assumed calibration of temperatures: raw = 0x8000 + 100 * degC."""

TEMPERATURES: Final[dict[str, tuple[str, ...]]] = {
    "A": tuple(f"NFEE_TOU_SENSE_{n}" for n in range(1, 7)),
    "B": tuple(f"NFEE_CCD{n}_TS" for n in range(1, 5)),
    "C": tuple(f"NFEE_PRT{n}" for n in range(1, 6)),
    "D": ("NFEE_TSENSEA", "NFEE_TSENSEB"),
}
"""Which housekeeping follows which input of the temperature controller (assumption)."""


def temperature_to_raw(kelvin: float) -> int:
    """Returns the raw housekeeping for a temperature [K] by the assumed calibration; 0..65535."""
    return min(0xFFFF, max(0, round(ZERO + COUNTS_PER_KELVIN * (kelvin - 273.15))))


def follow_ogse(model: NFEEModel, state: Mapping[str, Any]) -> None:
    """Takes over the light of an OGSE simulator from its state."""
    model.light_level = min(1.0, max(0.0, float(state["flux"])))


def follow_temperatures(model: NFEEModel, state: Mapping[str, Any]) -> None:
    """Takes over the temperatures of a temperature controller's simulator from its state."""
    for name, values in state["inputs"].items():
        raw = temperature_to_raw(float(values["temperature"]))
        for hk_name in TEMPERATURES.get(name, ()):
            model.hk_values[hk_name] = raw


def follow_stages(model: NFEEModel, geometry: StagesGeometry, state: Mapping[str, Any]) -> None:
    """Takes over the position of the source from the state of an SMC9300 simulator.

    Args:
        model: the camera.
        geometry: calibration of the stages.
        state: of the simulator.
    """
    positions = StagePositions(*(float(state["axes"][str(axis)]["place"]) for axis in geometry.axes))
    model.point_source_at(*geometry.angles(positions), geometry.illumination(positions))


def follow_hexapod(model: NFEEModel, state: Mapping[str, Any]) -> None:
    """Takes over the position of the focal plane along the optical axis from the state of a hexapod's simulator."""
    model.focus_at(float(state["user"][2]))


class Follower:
    """Asks another simulator for its state, again and again; use as a context manager.

    Args:
        address: HOST:PORT of its side channel.
        take: called with each state, in a thread of its own.
        period: time between two questions [s, real time].

    Raises:
        ValueError: when the address is none.
    """

    def __init__(
        self, address: str, take: Callable[[Mapping[str, Any]], None], period: float = PERIOD
    ) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"{address!r} is no HOST:PORT of a side channel")
        self._address = (host, int(port))
        self._take = take
        self._period = period
        self._stop = threading.Event()
        self._reachable = True
        self._thread = threading.Thread(target=self._run, name=f"follow {address}", daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(2 * TIMEOUT)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection(self._address, TIMEOUT) as sock, sock.makefile("rwb") as file:
                    self._tell(reachable=True)
                    while not self._stop.is_set():
                        self._take(_ask_state(file))
                        self._stop.wait(self._period)
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._tell(reachable=False, error=error)
                self._stop.wait(self._period)

    def _tell(self, *, reachable: bool, error: Exception | None = None) -> None:
        """Logs a change, once."""
        if reachable is not self._reachable:
            self._reachable = reachable
            if reachable:
                LOGGER.info("the simulator at %s:%d is followed again", *self._address)
            else:
                LOGGER.warning(
                    "the simulator at %s:%d tells nothing (%r); the last values hold", *self._address, error
                )


def _ask_state(file: Any) -> Mapping[str, Any]:
    file.write(b'{"do": "state"}\n')
    file.flush()
    answer = json.loads(file.readline() or b"{}")
    if not answer.get("ok"):
        raise ValueError(f"no state: {answer.get('error', 'the connection was closed')}")
    result: Mapping[str, Any] = answer["result"]
    return result
