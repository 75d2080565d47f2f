"""A transport without a wire: joins a driver and the model of its device in one thread.

Control servers started with `--simulator` and dry runs use it, so that the driver under test is the driver that flies.
Framing and faults of the line are those of the TCP shell. On a virtual clock nothing waits.
"""

from __future__ import annotations

from collections import deque

from egse.clock import Clock
from egse.device import (
    DeviceConnectionError,
    DeviceTimeoutError,
    DeviceTransport,
    ReplyLength,
    ends_with,
)
from egse.simulator.faults import Action, Close, LineFaults
from egse.simulator.model import DeviceModel
from egse.simulator.session import Session


class MemoryTransport(DeviceTransport):
    """Behaves towards a driver as `TCPTransport` does.

    Args:
        model: the device.
        clock: time of model and driver.
        timeout: for each reply [s of the clock].
        command_terminator: appended to a command that does not end with it.
        reply_terminator: end of a reply.
        reply_length: finds the end of a reply instead.
        banner: the device sends one line on connect, which is read and kept in `banner_text`.
    """

    reaches_hardware = False

    def __init__(
        self,
        model: DeviceModel,
        clock: Clock,
        *,
        timeout: float = 5.0,
        command_terminator: bytes = b"\n",
        reply_terminator: bytes = b"\n",
        reply_length: ReplyLength | None = None,
        banner: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.clock = clock
        self.timeout = timeout
        self.command_terminator = command_terminator
        self.reply_length = reply_length or ends_with(reply_terminator)
        self.banner = banner
        self.banner_text = b""
        self.faults = LineFaults()
        self._session: Session | None = None
        self._actions: deque[Action] = deque()
        self._buffer = b""

    def connect(self) -> None:
        with self.lock:
            if self._session is not None:
                return
            self._session = Session(self.model, self.faults)
            self._actions.clear()
            self._buffer = b""
            self.tap.connected()
            self._actions.extend(self._session.open(self.clock.monotonic()))
            if self.banner:
                self.banner_text = self.read()

    def disconnect(self) -> None:
        with self.lock:
            if self._session is not None:
                self._session.close(self.clock.monotonic())
                self._session = None

    def is_connected(self) -> bool:
        return self._session is not None

    def write(self, command: bytes | str) -> None:
        data = command.encode() if isinstance(command, str) else command
        if not data.endswith(self.command_terminator):
            data += self.command_terminator
        with self.lock:
            session = self._open_session()
            self._actions.clear()
            self._buffer = b""
            self.tap.sent(data)
            self._actions.extend(session.feed(data, self.clock.monotonic()))
            if self._actions and isinstance(self._actions[-1], Close):
                self.disconnect()

    def read(self) -> bytes:
        with self.lock:
            if self._session is None and not self._actions:
                raise DeviceConnectionError(f"not connected to {self._name}")
            deadline = self.clock.monotonic() + self.timeout
            while (length := self.reply_length(self._buffer)) is None:
                self._receive(deadline)
            reply, self._buffer = self._buffer[:length], self._buffer[length:]
            return reply

    def collect(self, wait: float) -> bytes:
        """Returns what the device sends within `wait` [s]."""
        with self.lock:
            deadline = self.clock.monotonic() + wait
            while self._actions and not isinstance(self._actions[0], Close):
                if self._actions[0].delay > deadline - self.clock.monotonic():
                    break
                self._receive(deadline)
            answer, self._buffer = self._buffer, b""
            return answer

    @property
    def _name(self) -> str:
        return type(self.model).__name__

    def _open_session(self) -> Session:
        if self._session is None:
            self.connect()
        if self._session is None:
            raise DeviceConnectionError(f"not connected to {self._name}")
        return self._session

    def _receive(self, deadline: float) -> None:
        """Moves one action of the device into the buffer, when the clock reaches it."""
        action = self._actions.popleft() if self._actions else None
        now = self.clock.monotonic()
        left = deadline - now
        if isinstance(action, Close):
            self.disconnect()
            raise DeviceConnectionError(f"{self._name} closed the connection")
        delay = 0.0 if action is None else max(action.due - now, 0.0) + action.delay
        if action is None or delay > left:
            self.clock.sleep(left)
            self.disconnect()
            raise DeviceTimeoutError(f"no reply from {self._name} within {self.timeout:g} s")
        self.clock.sleep(delay)
        self.tap.received(action.data)
        self._buffer += action.data
