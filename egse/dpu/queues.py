"""The three queues between the DPU control server and the DPU Processor: ZeroMQ over ipc, messages in msgpack.

    command queue    server -> processor   commands that go to the FEE, in the next slot
    priority queue   server -> processor   questions about the state and internal parameters, answered at once
    response queue   processor -> server   answers to both, and events in their order (cycle begun, file finished, housekeeping)

The server owns the endpoints (a killed processor leaves nothing behind that its successor could trip over), the processor
connects. What a dead processor had not read is gone with its connection: nothing is executed by its successor.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import zmq

from egse.response import ErrorInfo

COMMAND, PRIORITY, RESPONSE = "command", "priority", "response"
CAPACITY = 10_000
BATCH = "batch"
"""Name of a request on the command queue for several commands: `commands`, a list of maps with `name` and `arguments`."""


class QueueRequest(msgspec.Struct, array_like=True, frozen=True):
    """A command or question.

    Attributes:
        id: number that its answer carries, from 1.
        name: what is asked for.
        args: arguments by name.
    """

    id: int
    name: str
    args: dict[str, Any]


class QueueReply(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The answer to a `QueueRequest`: a value, or an error."""

    id: int
    value: Any = None
    error: ErrorInfo | None = None


class QueueEvent(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Something that happened in the processor."""

    name: str
    values: dict[str, Any]


QueueMessage: TypeAlias = QueueReply | QueueEvent

_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS = msgspec.msgpack.Decoder(QueueRequest)
_MESSAGES = msgspec.msgpack.Decoder(QueueMessage)


def queue_endpoints(folder: Path) -> dict[str, str]:
    """Returns the ipc endpoints of the three queues in a private folder of the server."""
    return {name: f"ipc://{folder / name}" for name in (COMMAND, PRIORITY, RESPONSE)}


class ServerQueues:
    """The server's end. Requests may be sent from any thread; one thread receives.

    Args:
        endpoints: of the three queues, see `queue_endpoints`.
    """

    def __init__(self, endpoints: dict[str, str]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._lock = threading.Lock()
        self._push = {name: self._bind(zmq.PUSH, endpoints[name]) for name in (COMMAND, PRIORITY)}
        self._pull = self._bind(zmq.PULL, endpoints[RESPONSE])

    def _bind(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.hwm = CAPACITY
        socket.bind(endpoint)
        return socket

    def send(self, queue: str, request: QueueRequest) -> None:
        """Puts a request on the command or priority queue.

        Raises:
            ConnectionError: when no processor is connected.
        """
        with self._lock:
            try:
                self._push[queue].send(_ENCODER.encode(request), zmq.NOBLOCK)
            except zmq.Again as exc:
                raise ConnectionError("the DPU Processor is not connected") from exc

    def receive(self, timeout: float) -> QueueMessage | None:
        """Returns the next answer or event, None when none came within `timeout` [s].

        Raises:
            msgspec.MsgspecError: when the message is damaged.
        """
        if not self._pull.poll(int(timeout * 1000), zmq.POLLIN):
            return None
        message: QueueMessage = _MESSAGES.decode(self._pull.recv())
        return message

    def close(self) -> None:
        """Closes the sockets."""
        with self._lock:
            self._context.destroy(linger=0)


class ProcessorQueues:
    """The processor's end; belongs to one thread.

    Args:
        endpoints: of the three queues.
        context: ZeroMQ context of the process.

    Attributes:
        dropped: messages that the server did not take (it is gone or stuck).
    """

    def __init__(self, endpoints: dict[str, str], context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.dropped = 0
        self._pull = {name: self._connect(context, zmq.PULL, endpoints[name]) for name in (COMMAND, PRIORITY)}
        self._push = self._connect(context, zmq.PUSH, endpoints[RESPONSE])

    @staticmethod
    def _connect(context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = context.socket(kind)
        socket.linger = 200
        socket.hwm = CAPACITY
        socket.connect(endpoint)
        return socket

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """Sockets that have input when a request came, to wait for them."""
        return list(self._pull.values())

    def receive(self, queue: str) -> QueueRequest | None:
        """Returns the next request of a queue, None when it is empty.

        Raises:
            msgspec.MsgspecError: when the message is damaged.
        """
        try:
            return _REQUESTS.decode(self._pull[queue].recv(zmq.NOBLOCK))
        except zmq.Again:
            return None

    def send(self, message: QueueMessage) -> None:
        """Sends an answer or event; drops and counts it when the server does not take it."""
        try:
            self._push.send(_ENCODER.encode(message), zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1

    def close(self) -> None:
        """Closes the sockets; what was sent last may still go out."""
        for socket in (*self._pull.values(), self._push):
            socket.close()
