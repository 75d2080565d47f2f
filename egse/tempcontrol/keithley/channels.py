"""Channel lists of a Keithley DAQ6510: `(@101:103,201)`."""

from __future__ import annotations

from collections.abc import Iterable

CARDS = {1: range(101, 121), 2: range(201, 221)}
"""Channels of the two multiplexer cards."""
CHANNELS = tuple(channel for card in CARDS.values() for channel in card)


def get_channel_names(channel_list: str) -> list[str]:
    """Returns the channels of a list: `(@101:103)` gives 101, 102, 103.

    Raises:
        ValueError: when it is no channel list, or has a channel that does not exist.
    """
    text = channel_list.replace(" ", "")
    if not (text.startswith("(@") and text.endswith(")") and len(text) > 3):
        raise ValueError(f"{channel_list!r} is no channel list: it looks like (@101:103,201)")
    names: list[str] = []
    for part in text[2:-1].split(","):
        first, colon, last = part.partition(":")
        if not first.isdigit() or (colon and not last.isdigit()):
            raise ValueError(f"{channel_list!r} is no channel list: {part!r} is no channel")
        wanted = range(int(first), int(last or first) + 1)
        found = [channel for channel in CHANNELS if channel in wanted]
        if wanted.start not in CHANNELS or wanted.stop - 1 not in CHANNELS or not found:
            raise ValueError(f"there is no channel {part} (101 to 120, 201 to 220)")
        names += map(str, found)
    return names


def count_number_of_channels(channel_list: str) -> int:
    """Returns how many channels a list has."""
    return len(get_channel_names(channel_list))


def create_channel_list(*channels: int | str | Iterable[int | str]) -> str:
    """Returns the list of some channels: `create_channel_list(101, (103, 105))` gives `(@101,103:105)`.

    Args:
        channels: a channel, or first and last of a range.
    """
    parts = [
        str(channel) if isinstance(channel, int | str) else ":".join(map(str, channel))
        for channel in channels
    ]
    channel_list = f"(@{','.join(parts)})"
    get_channel_names(channel_list)
    return channel_list
