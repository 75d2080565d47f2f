"""One connection to a model: bytes in, actions on the line out. Used by the TCP shell and the memory transport."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from egse.simulator.faults import Action, Close, LineFaults, Send
from egse.simulator.model import DeviceModel, HangUpError, LateReply


class Session:
    """Frames what one client sends and hands complete commands to the model, in order.

    Args:
        model: the device.
        faults: faults of the line; shared by all connections to the device.
    """

    def __init__(self, model: DeviceModel, faults: LineFaults | None = None) -> None:
        self._model = model
        self._faults = faults or LineFaults()
        self._framer = model.framer()
        self._stream = model.stream()

    @property
    def pushes(self) -> bool:
        """True when the device also sends without having been asked."""
        return self._stream is not None

    def open(self, now: float) -> list[Action]:
        """The client is connected; returns the banner to send, if the device has one."""
        self._model.step(now)
        banner = self._model.connect(now)
        return [Send(banner)] if banner else []

    def feed(self, data: bytes, now: float) -> Iterator[Action]:
        """Takes bytes from the client and yields what happens on the line; nothing follows a `Close`."""
        for command in self._framer.feed(data):
            self._model.step(now)
            try:
                reply = self._model.handle(command, now)
            except HangUpError as exc:
                if exc.reply:
                    yield Send(exc.reply)
                yield Close()
                return
            due = reply.due if isinstance(reply, LateReply) else 0.0
            for action in self._faults.apply(reply):
                yield replace(action, due=due) if due and isinstance(action, Send) else action
                if isinstance(action, Close):
                    return

    def push(self, now: float) -> list[Action]:
        """Returns what the device sends now without having been asked."""
        data = self._stream(now) if self._stream is not None else b""
        return self._faults.apply(data) if data else []

    def close(self, now: float) -> None:
        """The connection is gone."""
        self._model.disconnect(now)
