"""Errors of the DPU, and those of the link below that reach its clients by name."""

from __future__ import annotations

from egse.reg import RegisterMapError
from egse.response import register_error
from egse.rmap import RMAPAddressError, RMAPError, RMAPTimeoutError
from egse.spw import SpaceWireError, SpaceWireLinkError


@register_error
class FEEModeError(ValueError):
    """The FEE has no direct transition from the mode in effect to the one asked for; nothing was sent."""


@register_error
class DPUProcessorError(ConnectionError):
    """The DPU Processor is not there, or ended before it answered: then it is unknown whether the command was sent."""


for _error in (
    RegisterMapError,
    RMAPError,
    RMAPAddressError,
    RMAPTimeoutError,
    SpaceWireError,
    SpaceWireLinkError,
):
    register_error(_error)
