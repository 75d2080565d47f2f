"""Status registers of the LakeShore 336: standard events, operation status, service request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag


class Event(IntFlag):
    """Bits of the standard event status register (IEEE 488.2)."""

    OPERATION_COMPLETE = 1
    QUERY_ERROR = 4
    EXECUTION_ERROR = 16
    COMMAND_ERROR = 32
    POWER_ON = 128


class Operation(IntFlag):
    """Bits of the operation status register [from general knowledge of the manual]."""

    ALARM = 1
    SENSOR_OVERLOAD = 2
    RAMP_2_DONE = 4
    RAMP_1_DONE = 8
    NEW_READING = 16
    AUTOTUNE_DONE = 32


EVENT_SUMMARY = 32
MASTER_SUMMARY = 64
OPERATION_SUMMARY = 128


@dataclass
class StatusRegisters:
    """Event registers and their masks.

    The power-on event is not set: a client would take it for an error of its first command.
    """

    events: int = 0
    event_mask: int = 0
    request_mask: int = 0
    operation_events: int = 0
    operation_mask: int = 0

    def set(self, event: Event) -> None:
        """Sets a bit of the standard event register."""
        self.events |= event

    def take_events(self) -> int:
        """Returns the standard event register and clears it, as `*ESR?` does."""
        events, self.events = self.events, 0
        return events

    def take_operation_events(self) -> int:
        """Returns the operation event register and clears it, as `OPSTR?` does."""
        events, self.operation_events = self.operation_events, 0
        return events

    def clear(self) -> None:
        """Clears both event registers, not the masks (`*CLS`)."""
        self.events = self.operation_events = 0

    @property
    def byte(self) -> int:
        """The status byte."""
        byte = EVENT_SUMMARY if self.events & self.event_mask else 0
        byte |= OPERATION_SUMMARY if self.operation_events & self.operation_mask else 0
        return byte | (MASTER_SUMMARY if byte & self.request_mask else 0)
