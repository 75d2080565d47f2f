"""What people are told of alarms, in which words, and how far a route has come with telling them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from egse.files import make_folder, write_atomically
from egse.monitor.alarms import PRIORITIES, AlarmEvent
from egse.system import format_datetime, from_unix_time

LOGGER = logging.getLogger(__name__)

LISTED = 20
"""So many events stand in a text at most."""
CALLING = ("raised", "escalated", "cleared", "acknowledged", "unshelved")
"""The events for which somebody is called."""
BAD_NEWS = ("raised", "escalated", "unshelved")
"""Those of them that tell what is wrong and what to do next."""


def concerns(event: AlarmEvent, priority: str = PRIORITIES[0]) -> bool:
    """Says whether anybody is called for an event."""
    if event.event not in CALLING or event.shelved or (event.event == "unshelved" and not event.active):
        return False
    return PRIORITIES.index(event.priority) >= PRIORITIES.index(priority)


def still_to_tell(events: Iterable[AlarmEvent], priority: str = PRIORITIES[0]) -> list[AlarmEvent]:
    """Returns what is still worth telling of events that nobody was told of in time, oldest first.

    That is the last one of each kind for each alarm, and nothing from before it was raised last, acknowledged or shelved.
    """
    found: list[AlarmEvent] = []
    seen: set[tuple[str, str]] = set()
    settled: set[str] = set()
    for event in sorted(events, key=lambda event: event.number, reverse=True):
        kind = (event.name, event.event)
        is_told = event.name not in settled and kind not in seen and concerns(event, priority)
        if is_told:
            seen.add(kind)
            found.append(event)
        if event.event in ("acknowledged", "shelved") or (is_told and event.event == "raised"):
            settled.add(event.name)
    return found[::-1]


def as_text(events: Sequence[AlarmEvent], site: str) -> str:
    """Returns events as a text for people, one line each with what to do next."""
    lines = [f"{site}: {len(events)} events" if len(events) > 1 else site]
    for event in events[:LISTED]:
        at = format_datetime(from_unix_time(event.time))[11:19]
        what = f"{at} {event.priority.upper()} {event.event}: {event.name}"
        if event.event in BAD_NEWS:
            value = f"{event.value:g}" if isinstance(event.value, float) else str(event.value)
            what += (
                f" = {value} {event.unit}".rstrip()
                + f", {event.limit}. Cause: {event.cause}. Next: {event.action}"
            )
        elif event.by:
            what += f" by {event.by}" + (f": {event.comment}" if event.comment else "")
        lines.append(what)
    if len(events) > LISTED:
        lines.append(f"... and {len(events) - LISTED} more: `cgse alarm list`")
    return "\n".join(lines)


class Mark(msgspec.Struct, frozen=True):
    """How far a route has come.

    Attributes:
        number: of the last event that was delivered or dropped.
    """

    number: int


def read_mark(path: Path) -> int | None:
    """Returns how far a route has come, None for a new one; 0 for a damaged file: told twice is better than never."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark).number
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as exc:
        LOGGER.warning("%s cannot be read, some alarms may be told again: %s", path, exc)
        return 0


def write_mark(path: Path, number: int) -> None:
    """Notes down how far a route has come; when that is not possible, some alarms may be told again."""
    try:
        make_folder(path.parent, 0o700)
        write_atomically(path, msgspec.json.encode(Mark(number)), 0o600)
    except OSError as exc:
        LOGGER.error("%s cannot be written, some alarms may be told again: %s", path, exc)
