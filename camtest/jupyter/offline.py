"""What kernels tell while no browser is connected, in bounds.

A Jupyter server keeps all of it until the browser comes back, so that no output is lost. Live panels go on telling their state,
several times a second, for as long as their tab is closed: of that only the newest is kept here, in the place of all before.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

DELIMITER = b"<IDS|MSG>"
"""What separates addresses from the message on Jupyter's wire; signature, header, parent, metadata and content follow."""
UPDATES = ("update", "echo_update")
"""Methods of widgets that replace a state by a newer one."""

Message = tuple[str, Sequence[Any]]


def replaced_by_newer(parts: Sequence[Any]) -> Hashable | None:
    """Returns what a message tells the state of; None for one that has to be kept, whatever comes after it.

    Args:
        parts: frames of the message as a kernel has sent them.
    """
    begin = next((n for n, part in enumerate(parts) if bytes(part) == DELIMITER), len(parts))
    try:
        kind = json.loads(bytes(parts[begin + 2]))["msg_type"]
        if kind == "comm_msg":
            content = json.loads(bytes(parts[begin + 5]))
            data = content["data"]
            if data["method"] in UPDATES:
                return data["method"], content["comm_id"], tuple(sorted(data["state"]))
        elif kind == "update_display_data":
            return kind, json.loads(bytes(parts[begin + 5]))["transient"]["display_id"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return None


class OfflineBuffer:
    """Takes the place of the list in which a Jupyter server keeps messages."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._messages: dict[int, Message] = {}
        self._newest: dict[Hashable, int] = {}

    def append(self, message: Message) -> None:
        """Keeps a message; one that it replaces is dropped."""
        number = next(self._numbers)
        channel, parts = message
        key = replaced_by_newer(parts) if channel == "iopub" else None
        if key is not None:
            self._messages.pop(self._newest.get(key, -1), None)
            self._newest[key] = number
        self._messages[number] = message

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(list(self._messages.values()))


def keep_in_bounds(manager: Any) -> bool:
    """Has the kernel manager of a Jupyter server keep messages in an `OfflineBuffer`.

    Returns:
        False for a manager that does it otherwise; it stays as it is.
    """
    start = getattr(manager, "start_buffering", None)
    if start is None or not hasattr(manager, "_kernel_buffers"):
        return False

    def start_buffering(kernel_id: str, session_key: str, channels: Any) -> None:
        start(kernel_id, session_key, channels)
        found = manager._kernel_buffers.get(kernel_id)
        if found is not None and found["buffer"] == []:
            found["buffer"] = OfflineBuffer()

    manager.start_buffering = start_buffering
    return True
