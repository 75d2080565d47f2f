"""What can be asked on the side channel of the N-FEE simulator (JSON lines, see `egse.simulator.sidechannel`).

{"do": "state"}                                          mode, counters, configuration in effect, link
{"do": "set", "light_level": 0.1}                        light from outside, 0..1
{"do": "set", "cycle_time": 50}                          image cycle time of the AEU [s], from the next cycle on
{"do": "set", "source_position": [4.0, 45.0]}            theta, phi of the source [deg]
{"do": "set", "focus": 0.1}                              position of the detector along the optical axis [mm]
{"do": "set", "hk": {"NFEE_TSENSEA": 30000}}            analogue housekeeping, raw
{"do": "aeu", "voltages": [34.7, ...], "train": {...}}   what the AEU simulator gives (`egse.fee.feed.CameraFeed`)
{"do": "faults"}                                         what can be injected
{"do": "inject", "fault": "flip", "packet": 0, "byte": 10}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from egse.fee.faults import FAULTS, FaultyFEE
from egse.fee.feed import CameraFeed
from egse.simulator.sidechannel import AdminConsole


class FEEConsole(AdminConsole):
    """Executes requests of the side channel.

    Args:
        fee: the FEE and its faults.
        link_state: returns counters of the link.
        now: returns the time of the model [s].
    """

    def __init__(
        self, fee: FaultyFEE, link_state: Callable[[], dict[str, Any]], now: Callable[[], float]
    ) -> None:
        self._fee = fee
        self._model = fee.model
        self._link_state = link_state
        self._now = now

    def dispatch(self, request: dict[str, Any]) -> Any:
        """Executes one request and returns its result."""
        match request:
            case {"do": "state"}:
                return self._state()
            case {"do": "aeu", **values}:
                now = self._now()
                return self._model.feed(CameraFeed.from_json(values, now), now)
            case {"do": "faults"}:
                return FAULTS
            case {"do": "set", **values}:
                return self._set(values)
            case {"do": "inject", "fault": fault, **arguments}:
                return self._fee.inject(str(fault), **arguments)
        raise ValueError(f"unknown request {request!r}; see the description of egse.fee.admin")

    def _set(self, values: dict[str, Any]) -> None:
        unknown = set(values) - {"light_level", "cycle_time", "hk", "source_position", "focus"}
        if unknown:
            raise ValueError(f"cannot set {sorted(unknown)}")
        hk = {str(name): int(value) for name, value in values.get("hk", {}).items()}
        self._model.hk_map.encode(hk)
        if "light_level" in values:
            level = float(values["light_level"])
            if not 0 <= level <= 1:
                raise ValueError(f"light_level is a number from 0 to 1, got {level}")
            self._model.light_level = level
        if "cycle_time" in values:
            self._model.sync.cycle_time = float(values["cycle_time"])
        if "source_position" in values:
            theta, phi = values["source_position"]
            self._model.point_source_at(float(theta), float(phi))
        if "focus" in values:
            self._model.focus_at(float(values["focus"]))
        self._model.hk_values.update(hk)

    def _state(self) -> dict[str, Any]:
        model = self._model
        return {
            "powered": model.powered,
            "mode": model.mode.name,
            "timecode": model.timecode,
            "frame_counter": model.frame_counter,
            "frame_number": model.frame_number,
            "error_flags": model.error_flags,
            "light_level": model.light_level,
            "source": None if model.source is None else asdict(model.source),
            "swallowed": self._fee.swallowed,
            "cycle_time": model.sync.cycle_time,
            "refused": model.refused,
            "overruns": model.overruns,
            "rmap": model.rmap_counters,
            "active": asdict(model.active),
            "link": self._link_state(),
        }
