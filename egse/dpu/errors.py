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


@register_error
class SlotOverrunError(RMAPError):
    """The command slot was too short, so that a command could not be sent in one; what was written was put back."""


@register_error
class DPUBatchError(RuntimeError):
    """A batch of commands was used in a way that makes no sense; nothing was sent."""


@register_error
class FEERestartedError(ConnectionError):
    """The FEE was restarted before a command took effect: its registers are not those that were written."""


for _error in (
    RegisterMapError,
    RMAPError,
    RMAPAddressError,
    RMAPTimeoutError,
    SpaceWireError,
    SpaceWireLinkError,
):
    register_error(_error)
