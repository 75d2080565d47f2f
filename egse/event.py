"""Events: what a control server tells others that have registered as its listeners (chapter 7 of the manual).

A server that listens inherits `EventInterface` in its interface (so in Controller and Proxy) and implements
`handle_event` in its Controller. `egse.listener` holds the registrations and sends the events out.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import msgspec

from egse.command import CommandDefinition, commands_of, dynamic_interface
from egse.security.roles import always_allowed


class EVENT_ID(enum.StrEnum):
    """What a listener registers for; the values travel."""

    ALL = "all"
    """Every event of the producer."""
    SETUP = "setup"
    """Another Setup is loaded: event type "new_setup", context `setup_id`."""


class Event(msgspec.Struct, frozen=True):
    """A change that listeners are told about.

    Attributes:
        event_id: what kind of change.
        context: what a listener needs to know to act, plain values; `event_type` is one of them.
        source: name of the control server that sent it.
        timestamp: when it was sent, UTC text.
        number: counts the events of this life of the producer, from 1.
    """

    event_id: EVENT_ID
    context: dict[str, Any] = {}
    source: str = ""
    timestamp: str = ""
    number: int = 0

    @property
    def type(self) -> str:
        """The event type, `new_setup`; the event identifier when the context names none."""
        return str(self.context.get("event_type", self.event_id.value))


class EventInterface:
    """What a control server offers that listens to others."""

    @always_allowed  # the producer holds no control of the site, and a notice commands nothing
    @dynamic_interface
    def handle_event(self, event: Event) -> Any:
        """Takes notice of an event, for other control servers only.

        The producer waits for the answer, which acknowledges the event and is not looked at: schedule a task or start a
        thread for anything that takes time or asks the producer for something. An event whose acknowledgement came
        too late is sent again, so the same event may arrive twice.

        Args:
            event: what has happened.
        """


def add_event_command(
    controller: Any,
    table: dict[str, tuple[CommandDefinition, Callable[..., Any]]],
    note: Callable[[Event], object],
) -> None:
    """Puts `handle_event` into the commands of a server that listens.

    That is one whose Controller has `EventInterface`, or that must know the Setup of its commands.

    Args:
        controller: any Controller.
        table: definition and method of every command.
        note: told of every event before, and for a Controller that does not listen instead of, the Controller.
    """
    listens = isinstance(controller, EventInterface)
    if not listens and not any(definition.needs_setup for definition, _ in table.values()):
        return

    def handle_event(event: Event) -> Any:
        note(event)
        return controller.handle_event(event) if listens else None

    table["handle_event"] = (commands_of(EventInterface)["handle_event"], handle_event)
