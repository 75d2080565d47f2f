"""How the control servers and the dry run get their Controllers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from egse.aeu.driver import (
    AWGController,
    AWGSimulator,
    CRIOController,
    CRIOSimulator,
    PSUController,
    PSUSimulator,
)
from egse.aeu.rack import AEUModel
from egse.declaration import ServerContext
from egse.dpu.dpu_cs import FEE_MODEL
from egse.fee.feed import CameraFeed
from egse.fee.model import NFEEModel
from egse.fee.numbering import camera_model

RACK = "aeu"
"""Where the models of a dry run find the AEU."""


def make_crio(context: ServerContext) -> CRIOController:
    """Returns the Controller of the cRIO for a control server or a dry run."""
    if context.simulator:
        return CRIOSimulator(context.clock, shared_rack(context))
    return CRIOController(*_address(context))


def make_psu(context: ServerContext) -> PSUController:
    """Returns the Controller of a power supply for a control server or a dry run."""
    (device_id,) = context.device_args
    if context.simulator:
        return PSUSimulator(device_id, context.clock, shared_rack(context))
    return PSUController(device_id, *_address(context))


def make_awg(context: ServerContext) -> AWGController:
    """Returns the Controller of a generator for a control server or a dry run."""
    (device_id,) = context.device_args
    if context.simulator:
        return AWGSimulator(device_id, context.clock, shared_rack(context))
    return AWGController(device_id, *_address(context))


def _address(context: ServerContext) -> tuple[Any, Any]:
    return context.settings.get("DEVICE_HOSTNAME"), context.settings.get("DEVICE_PORT")


def shared_rack(context: ServerContext) -> AEUModel:
    """Returns the rack that all units of a dry run share, in `context.shared["aeu"]`.

    In a dry run it feeds the N-FEE from the first moment that it gives something; a procedure that leaves the AEU alone
    finds a camera that is on.
    """
    rack = context.shared.get(RACK)
    if not isinstance(rack, AEUModel):
        rack = context.shared[RACK] = AEUModel()
        if context.dry_run:
            rack.on_feed = _feeder(context)
    return rack


def _feeder(context: ServerContext) -> Callable[[CameraFeed], None]:
    shared, clock = context.shared, context.clock

    def give(feed: CameraFeed) -> None:
        fee = shared.get(FEE_MODEL)
        now = clock.monotonic()
        if not isinstance(fee, NFEEModel):
            fee = shared[FEE_MODEL] = NFEEModel(camera_model(), start=now, pixels=False, seed=context.seed)
        fee.feed(feed, now)

    return give
