"""The sockets of a control server: bound, secured, and the one way in which requests come in and answers go out."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import zmq

from egse.frames import NOBLOCK, SNDMORE, receive_frame, send_frame
from egse.localsocket import local_path, sweep
from egse.ports import PortInUseError
from egse.proxy import endpoint_from_settings
from egse.security.curve import Guard
from egse.security.keys import KeysError
from egse.security.roles import ANYBODY, Caller
from egse.turns import patient_threads
from egse.wire import DECODING_ERRORS, MAX_MESSAGE_SIZE, Request, WireError, decode_request_bare

logger = logging.getLogger(__name__)

IDLE_SLICE = 100
"""How long the threads wait for a message before they look at the stop flag and at scheduled tasks [ms]."""
HEARTBEAT_INTERVAL, HEARTBEAT_LIMIT = 1000, 5000
"""How often a silent client is asked for a sign of life, and how long it may take to give one [ms]."""
LAST_WORDS = 200
"""How long the end of a server waits for its last answers to be taken [ms]."""
FIRST_FRAME = NOBLOCK | SNDMORE

ROLES = {"commanding": "COMMANDING_PORT", "service": "SERVICE_PORT", "monitoring": "MONITORING_PORT"}
"""The ports of a server by what they are for, with their names in the settings."""

Waiting = tuple[bytes, Request, Caller]
"""A request with the identity of its client's connection and its caller."""


class ServerSockets:
    """Two ROUTER sockets for commands and services, one PUB socket for monitoring.

    Args:
        name: of the server.
        settings: name of its block in the Settings.

    Raises:
        PortInUseError: a port is taken; the message says by whom.
        KeysError: the endpoints need keys that are not there.

    Attributes:
        endpoints: `tcp://host:port` by role.
        guard: who may connect.
        malformed: messages that were no requests.
    """

    def __init__(self, name: str, settings: str) -> None:
        self.name = name
        self.endpoints = {role: endpoint_from_settings(settings, port) for role, port in ROLES.items()}
        self.malformed = 0
        self._local: list[Path] = []
        self._publishing = threading.Lock()
        self._context = zmq.Context()
        with patient_threads():  # the first socket of a context starts its threads
            self.guard = Guard(name, self._context)
            self.commanding = self._open(zmq.ROUTER, "commanding")
        self.service = self._open(zmq.ROUTER, "service")
        self.monitoring = self._open(zmq.PUB, "monitoring")

    def _open(self, kind: int, role: str) -> zmq.Socket[bytes]:
        sock = self._context.socket(kind)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_SIZE)
        if kind == zmq.ROUTER:
            sock.setsockopt(zmq.RCVTIMEO, IDLE_SLICE)
            # Clients that vanish without a word are noticed, and sending to one that has gone is an error.
            sock.setsockopt(zmq.ROUTER_MANDATORY, 1)
            sock.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
            sock.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_LIMIT)
        try:
            self.guard.secure(sock, self.endpoints[role])
            sock.bind(self.endpoints[role])
            if kind == zmq.ROUTER:
                self._bind_locally(sock, role)
        except (zmq.ZMQError, KeysError) as exc:
            self.guard.close()
            sock.close(0)
            self._context.destroy(linger=0)
            if isinstance(exc, KeysError):
                raise
            raise PortInUseError(self.name, role, self.endpoints[role]) from exc
        return sock

    def _bind_locally(self, sock: zmq.Socket[bytes], role: str) -> None:
        """Offers clients of the same user the short way, see `egse.localsocket`; they manage without."""
        path = local_path(self.endpoints[role])
        if path is None:
            return
        try:
            sweep(path.parent)
            sock.bind(f"ipc://{path}")
            self._local.append(path)
        except zmq.ZMQError as exc:
            logger.debug("%s has no local socket for its %s port: %s", self.name, role, exc)

    def receive(self, sock: zmq.Socket[bytes]) -> Waiting:
        """Returns client identity, request and caller of the next message.

        Raises:
            WireError: for one to be dropped.
            zmq.Again: when none comes within `IDLE_SLICE`.
        """
        caller = ANYBODY
        if self.guard.active:
            client, data, known = self.guard.receive(sock)
            if known is None:
                raise WireError("not authorised")
            caller = known
        else:
            # A ROUTER delivers at least two frames. Two calls cost less than `recv_multipart`, and a Frame knows whether
            # more frames follow, which is dear to ask of the socket.
            client = receive_frame(sock)
            frame = receive_frame(sock, 0, False)
            data = _skip_message(sock) if frame.more else frame.bytes
        try:
            return client, decode_request_bare(data), caller
        except DECODING_ERRORS as exc:
            self.malformed += 1
            raise WireError(f"not a request: {exc}") from exc

    def answer(
        self,
        sock: zmq.Socket[bytes],
        client: bytes,
        request: Request,
        data: bytes,
        *,
        is_addressed: bool = False,
    ) -> None:
        """Sends the answer to a request; one that its client does not take any more is only logged.

        Args:
            sock: where the request came in.
            client: identity of its connection.
            request: the request.
            data: the encoded reply.
            is_addressed: the address has been sent already.
        """
        try:
            if not is_addressed:
                send_frame(sock, client, FIRST_FRAME)
            send_frame(sock, data, NOBLOCK)
        except zmq.ZMQError as exc:
            gone = exc.errno == zmq.EHOSTUNREACH  # the journal tells how the command ended
            logger.log(
                logging.INFO if gone else logging.WARNING,
                "the answer to %s could not be sent to %s: %s",
                request.name,
                request.context.origin,
                "it has gone" if gone else exc,
            )

    def publish(self, topic: str, data: bytes) -> None:
        """Publishes on the monitoring port, from any thread; nothing once the sockets are closed."""
        with self._publishing:
            if not self.monitoring.closed:
                self.monitoring.send_multipart((topic.encode(), data), zmq.NOBLOCK)

    def forget_local(self) -> None:
        """Removes the files of the local sockets, for an end without `close`."""
        for path in self._local:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes everything; the last answers get a moment to be taken."""
        self.guard.close()
        self.commanding.close(LAST_WORDS)
        self._context.destroy(linger=0)


def _skip_message(sock: zmq.Socket[bytes]) -> bytes:
    """Reads a message with too many frames to its end; returns an empty one in its place."""
    while sock.getsockopt(zmq.RCVMORE):
        sock.recv()
    return b""
