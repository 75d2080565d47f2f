"""Encrypted and authenticated sockets (CURVE), and the gate-keeper that says which keys may connect (ZAP).

What is protected:

- an address that is not on the loopback interface always: without keys a server does not start there, and a client does
  not connect;
- the loopback interface when the Settings say `SITE: CURVE: required`.

A server hands its sockets to a `Guard` before it binds them; a client calls `secure_client` before it connects.
"""

from __future__ import annotations

import ipaddress
import itertools
import logging
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq
from zmq.utils import z85

from egse.security.keys import SERVER, Authorized, KeyFolder, KeyPair, KeysError, is_required, keys_location
from egse.security.roles import ANYBODY, Caller

logger = logging.getLogger(__name__)

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
ZAP_DOMAIN = "egse"
HANDSHAKE_LIMIT = 3000
"""How long a peer may take for the handshake [ms]."""

_FAILURES = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_CUT_OFF_LIMIT = 3
"""So many connections in a row cut off during the handshake are no accident of a server that was just ending."""
_SLICE = 100
_REPORT_DELAY = 10.0
"""A rejection that repeats itself is logged again after this long [s]."""


class HandshakeError(ConnectionError):
    """Server and client do not accept each other's keys."""


def is_loopback(endpoint: str) -> bool:
    """Says whether an endpoint can be reached from this machine only; a host name other than localhost does not count."""
    protocol, _, address = endpoint.partition("://")
    if protocol in ("ipc", "inproc"):
        return True
    host = address.partition(";")[2] or address  # tcp://source:port;host:port
    host = host.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_protected(endpoint: str) -> bool:
    """Says whether connections at an endpoint need keys."""
    return not endpoint.startswith("inproc:") and (not is_loopback(endpoint) or is_required("CURVE"))


# -- client ------------------------------------------------------------------------------------------------------------

_own_name: str | None = None
_numbers = itertools.count()


def act_as(name: str | None) -> None:
    """Sets whose key this process uses for its own connections to servers; None for the user's. Servers use theirs."""
    global _own_name
    _own_name = name


def secure_client(sock: zmq.Socket[Any], endpoint: str) -> bool:
    """Makes a socket, not yet connected, ready for the protection of an endpoint.

    Returns:
        True when it is protected, False when the endpoint needs no keys.

    Raises:
        HandshakeError: when keys are needed and there are none.
    """
    if not is_protected(endpoint):
        return False
    try:
        folder = KeyFolder.of_site()
        pair = folder.pair(_own_name or folder.client_name())
        server = folder.public(SERVER)
    except KeysError as exc:
        raise HandshakeError(f"{endpoint} asks for keys: {exc}") from exc
    sock.curve_publickey = pair.public
    sock.curve_secretkey = pair.secret
    sock.curve_serverkey = server
    return True


@contextmanager
def watch_connection(sock: zmq.Socket[Any]) -> Iterator[zmq.Socket[Any]]:
    """Gives a monitor socket for a client socket, for a while: it is readable when the connection breaks or is refused.

    Not for longer than somebody reads it: libzmq waits for a monitor that is full, or was closed before its socket, and in that
    time no connection of the whole process moves.
    """
    monitor: zmq.Socket[Any] = sock.context.socket(zmq.PAIR)
    try:
        # An address of its own: pyzmq's is made of the file descriptor, which may be in use again before it is free.
        address = f"inproc://watch-{next(_numbers)}"
        monitor.linger = 0
        monitor.connect(address)  # before the first event
        sock.monitor(address, zmq.EVENT_DISCONNECTED | _FAILURES)
        yield monitor
    finally:
        if not sock.closed:
            sock.monitor(None, 0)
        monitor.close(0)


def is_connected(sock: zmq.Socket[Any]) -> bool:
    """Returns True when a client socket with the option IMMEDIATE can send: somebody is there and has accepted it."""
    return bool(int(sock.getsockopt(zmq.EVENTS)) & zmq.POLLOUT)


def await_connection(sock: zmq.Socket[Any], endpoint: str, timeout: float, address: str = "") -> bool:
    """Waits until a client socket can send.

    Args:
        sock: a socket with the option IMMEDIATE.
        endpoint: for messages.
        timeout: how long [s].
        address: where to connect to first. A refusal is told once, and libzmq then gives up: who begins to look after it
            has come cannot tell it from silence.

    Returns:
        False when nobody is there.

    Raises:
        HandshakeError: as soon as it is clear that somebody is there and the keys do not match.
    """
    if not address and is_connected(sock):
        return True
    deadline = time.monotonic() + timeout
    cut_off = 0
    with watch_connection(sock) as monitor:
        if address:
            sock.connect(address)
        poller = zmq.Poller()
        poller.register(sock, zmq.POLLOUT)
        poller.register(monitor, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(max(0, round((deadline - time.monotonic()) * 1000))))
            if ready.get(sock):
                return True
            if monitor in ready:
                event, _ = _next_event(monitor)
                has_key = sock.getsockopt(zmq.MECHANISM) == zmq.CURVE
                cut_off = _look_at_handshake(event, has_key, endpoint, cut_off)
            elif time.monotonic() >= deadline:
                return False


def _next_event(monitor: zmq.Socket[Any]) -> tuple[int, int]:
    """Returns id and value of the next event; the function of pyzmq for this brings in asyncio, which takes 40 ms."""
    event, value = struct.unpack("=hi", monitor.recv_multipart()[0])
    return event, value


def _look_at_handshake(event: int, has_key: bool, endpoint: str, cut_off: int) -> int:
    """Raises HandshakeError when the event settles it; returns how many connections were cut off by now."""
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        raise HandshakeError(
            f"the control server at {endpoint} does not accept this key: it is not authorised there, or was revoked. "
            "Ask for `cgse keys authorize` on the server's machine"
        )
    if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL and cut_off + 1 < _CUT_OFF_LIMIT:
        return cut_off + 1
    if not event & _FAILURES:
        return cut_off
    # Which of the two sides gave up first is chance, so that more than this cannot be told apart.
    if has_key:
        raise HandshakeError(
            f"the peer at {endpoint} breaks off the handshake: `{SERVER}.key` in {keys_location()} is not its key, or "
            "it takes no keys at all (SITE: CURVE in the settings that it was started with)"
        )
    raise HandshakeError(
        f"the peer at {endpoint} breaks off the handshake: it asks for a key and this client uses none (SITE: CURVE: "
        "required in its settings), or it is no control server"
    )


# -- server ------------------------------------------------------------------------------------------------------------


class Guard:
    """Protects the sockets of one server.

    Args:
        name: name of the server, for messages.
        context: the context of its sockets.
    """

    def __init__(self, name: str, context: zmq.Context[Any]) -> None:
        self.name = name
        self.rejections = 0
        self._context = context
        self._pair: KeyPair | None = None
        self._authorized: Authorized | None = None
        self._gatekeeper: _Gatekeeper | None = None

    @property
    def active(self) -> bool:
        """True when at least one socket is protected; messages then tell who sent them."""
        return self._authorized is not None

    def secure(self, sock: zmq.Socket[Any], endpoint: str) -> bool:
        """Makes a socket, not yet bound, ready for the protection of an endpoint.

        Returns:
            True when it is protected, False when the endpoint needs no keys.

        Raises:
            KeysError: when keys are needed and there are none: the server must not start.
        """
        if not is_protected(endpoint):
            return False
        if self._pair is None:
            self._begin(endpoint)
        assert self._pair is not None
        assert self._gatekeeper is not None
        sock.curve_server = True
        sock.curve_secretkey = self._pair.secret
        sock.curve_publickey = self._pair.public
        sock.setsockopt_string(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        sock.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # no gate-keeper, no connection
        sock.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_LIMIT)
        self._gatekeeper.watch(sock)
        return True

    def _begin(self, endpoint: str) -> None:
        where = (
            "is not on the loopback interface"
            if not is_loopback(endpoint)
            else "is protected by the settings"
        )
        try:
            folder = KeyFolder.of_site()
            pair = folder.pair(SERVER)
            folder.entries()
        except KeysError as exc:
            raise KeysError(
                f"{self.name} does not start: {endpoint} {where}, which needs keys (docs/security.md): {exc}"
            ) from exc
        self._pair = pair
        self._authorized = Authorized(folder, pair.public)
        self._gatekeeper = _Gatekeeper(self, self._context, self._authorized)
        self._gatekeeper.start()
        act_as(SERVER)

    def caller(self, frame: zmq.Frame) -> Caller | None:
        """Returns who sent a message; None when the key is not authorised (any more): the message is to be dropped.

        Args:
            frame: any frame of the message, received with `copy=False`.
        """
        if self._authorized is None:
            return ANYBODY
        try:
            key = str(frame.get("User-Id"))
        except zmq.ZMQError:
            return None  # no handshake stands behind it
        caller = self._authorized.find(key)
        if caller is None:
            self.report(str(frame.get("Peer-Address")), f"a command under a key that was revoked ({key})")
        return caller

    def receive(self, sock: zmq.Socket[bytes]) -> tuple[bytes, bytes, Caller | None]:
        """Returns client identity, message and caller (None for a message to be dropped) of the next request.

        An empty message stands for one with a wrong number of frames, as in an unprotected server.
        """
        client = sock.recv()
        frame = sock.recv(copy=False)
        caller = self.caller(frame)
        data = frame.bytes
        while sock.getsockopt(zmq.RCVMORE):
            sock.recv()
            data = b""
        return client, data, caller

    def report(self, address: str, reason: str) -> None:
        """Counts and logs a rejection."""
        self.rejections += 1
        gatekeeper = self._gatekeeper
        if gatekeeper is None or gatekeeper.is_news(address, reason):
            logger.warning("%s rejected %s: %s", self.name, address, reason)

    def close(self) -> None:
        """Ends the gate-keeper; to be called before the context is destroyed."""
        if self._gatekeeper is not None:
            self._gatekeeper.end()
            self._gatekeeper = None


class _Gatekeeper(threading.Thread):
    """Answers for each new connection whether its key is authorised (ZAP, RFC 27), and reports failed handshakes."""

    def __init__(self, guard: Guard, context: zmq.Context[Any], authorized: Authorized) -> None:
        super().__init__(name=f"{guard.name}-keys", daemon=True)
        self._guard = guard
        self._authorized = authorized
        self._context = context
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(ZAP_ENDPOINT)
        self._lock = threading.Lock()
        self._monitors: list[tuple[zmq.Socket[Any], zmq.Socket[Any]]] = []
        self._new: list[zmq.Socket[Any]] = []
        self._ending = threading.Event()
        self._reported: dict[tuple[str, str], float] = {}

    def watch(self, sock: zmq.Socket[Any]) -> None:
        """Reports the failed handshakes of this socket too."""
        monitor = sock.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        with self._lock:
            self._monitors.append((sock, monitor))
            self._new.append(monitor)

    def is_news(self, address: str, reason: str) -> bool:
        """Says whether a rejection has to be logged, or was a moment ago."""
        now = time.monotonic()
        with self._lock:
            if len(self._reported) > 1000:
                self._reported.clear()
            if now < self._reported.get((address, reason), 0.0):
                return False
            self._reported[address, reason] = now + _REPORT_DELAY
        return True

    def end(self) -> None:
        """Ends the thread and closes its sockets."""
        self._ending.set()
        self.join(timeout=2.0)
        for sock, monitor in self._monitors:
            if not sock.closed:
                sock.disable_monitor()
            monitor.close(0)

    def run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        try:
            while not self._ending.is_set():
                with self._lock:
                    new, self._new = self._new, []
                for monitor in new:
                    poller.register(monitor, zmq.POLLIN)
                for sock, _ in poller.poll(_SLICE):
                    if sock is self._socket:
                        self._decide(self._socket.recv_multipart())
                    else:
                        self._report_failure(sock)
        except zmq.ZMQError as exc:
            if not self._ending.is_set():
                logger.error("%s accepts no new connections any more: %s", self._guard.name, exc)
        finally:
            self._socket.close(0)

    def _decide(self, frames: list[bytes]) -> None:
        if len(frames) < 8:
            return
        client, empty, version, request, domain, address, _, mechanism, *credentials = frames
        caller, key = None, ""
        if mechanism == b"CURVE" and len(credentials) == 1 and domain == ZAP_DOMAIN.encode():
            key = z85.encode(credentials[0]).decode()
            caller = self._authorized.find(key, fresh=True)
        if caller is None:
            self._guard.report(address.decode(errors="replace"), f"the key {key} is not authorised")
            answer = [b"400", b"not authorised", b"", b""]
        else:
            answer = [b"200", b"OK", key.encode(), b""]
        self._socket.send_multipart([client, empty, version, request, *answer])

    def _report_failure(self, monitor: zmq.Socket[Any]) -> None:
        event, value = _next_event(monitor)
        if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            reason = "it broke off the handshake: it uses no key, or has the wrong key of this server"
        elif value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            reason = "it uses no key"
        elif value == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
            reason = "it has the wrong key of this server"
        else:
            reason = f"the handshake failed (protocol error {value:#x})"
        self._guard.report("a peer", reason)
