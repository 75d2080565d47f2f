"""What kernels tell while no browser is connected, or one that does not keep up, in bounds.

A Jupyter server keeps all of it, so that no output is lost: for a browser that is away until it comes back, for one behind a slow
line until it has read it. Live panels go on telling their state, several times a second, and images: of that only the newest
is kept here, in the place of all before.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

DELIMITER = b"<IDS|MSG>"
"""What separates addresses from the message on Jupyter's wire; signature, header, parent, metadata and content follow."""
UPDATES = ("update", "echo_update")
"""Methods of widgets that replace a state by a newer one."""

ON_ITS_WAY = 1 << 20
"""A browser that has more than this still to read is told the newest state only [bytes]; an image of a CCD has 0.85 MB."""

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

    def popleft(self) -> Message:
        """Takes out the oldest message."""
        return self._messages.pop(next(iter(self._messages)))

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


class _KeepingUp:
    """A connection to a browser that is told no more than it can read; mixed into that of the Jupyter server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unread = 0
        self._held = OfflineBuffer()

    @property
    def write_message(self) -> Callable[..., Any]:
        write = super().write_message  # type: ignore[misc]

        def counted(data: Any, binary: bool = False) -> Any:
            written = write(data, binary=binary)
            size = len(data)
            self._unread += size
            written.add_done_callback(lambda future: self._was_written(size, future))
            return written

        return counted

    def handle_outgoing_message(self, stream: Any, outgoing_msg: Sequence[Any]) -> None:
        if self._held or self._unread > ON_ITS_WAY:
            self._held.append((stream if isinstance(stream, str) else stream.channel, outgoing_msg))
        else:
            super().handle_outgoing_message(stream, outgoing_msg)  # type: ignore[misc]

    def _was_written(self, size: int, future: Any) -> None:
        self._unread -= size
        if future.cancelled() or future.exception() is not None:  # it has gone; `disconnect` follows
            return
        while self._held and self._unread <= ON_ITS_WAY:
            super().handle_outgoing_message(*self._held.popleft())  # type: ignore[misc]

    def disconnect(self) -> Any:
        """Hands what was held to what is kept for the time when the browser is back."""
        ended = super().disconnect()  # type: ignore[misc]
        kept = getattr(self.multi_kernel_manager, "_kernel_buffers", {}).get(self.kernel_id)  # type: ignore[attr-defined]
        if kept is not None and kept["session_key"] == self.session_key:  # type: ignore[attr-defined]
            for message in self._held:
                kept["buffer"].append(message)
        self._held = OfflineBuffer()
        return ended


def keep_up(settings: dict[str, Any]) -> bool:
    """Has the connections of a Jupyter server tell a browser no more than it can read.

    Args:
        settings: of its web application.

    Returns:
        False for connections that work otherwise; they stay as they are.
    """
    from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

    found = settings.get("kernel_websocket_connection_class")
    if not (isinstance(found, type) and issubclass(found, ZMQChannelsWebsocketConnection)):
        return False
    settings["kernel_websocket_connection_class"] = type(found.__name__, (_KeepingUp, found), {})
    return True
