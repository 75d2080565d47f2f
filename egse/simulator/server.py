"""The TCP shell of a simulator: one thread, real sockets, the device's real protocol.

The loop serves the device port, the administrative side channel and the model's own time. Nothing in it blocks, so a
client that stops reading, vanishes or sends rubbish never disturbs another one.
"""

from __future__ import annotations

import enum
import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from egse.clock import Clock, system_clock
from egse.simulator.admin import DeviceConsole
from egse.simulator.faults import Action, LineFaults
from egse.simulator.line import Outbox
from egse.simulator.model import DeviceModel
from egse.simulator.session import Session
from egse.simulator.sidechannel import AdminServer

LOGGER = logging.getLogger("egse.simulator")

RECEIVE_SIZE = 65536
SHORTEST_STEP = 0.02
"""Shortest time on the wall between two steps of the model [s], however fast the clock runs."""


class Busy(enum.Enum):
    """What happens to a client that comes when the device has as many as it takes."""

    QUEUE = "queue"  # connected but not served before a place is free, as a server that accepts one at a time
    REFUSE = "refuse"  # disconnected at once


class _Client:
    """A client of the device port."""

    def __init__(self, server: SimulatorServer, sock: socket.socket) -> None:
        self.server = server
        self.socket = sock
        self.outbox = Outbox(sock)
        self._session = Session(server.model, server.faults)
        self._finished_reading = False

    def start(self) -> None:
        self._put(self._session.open(self.server.clock.monotonic()))

    def handle(self, events: int) -> None:
        """Serves the socket as the selector reported it."""
        try:
            if events & selectors.EVENT_READ:
                self._receive()
            self.flush()
        except OSError as exc:
            LOGGER.info("connection lost: %s", exc)
            self.close()
        except Exception:
            LOGGER.exception("the simulator failed on a command; its connection is closed")
            self.close()

    def push(self, now: float) -> None:
        """Sends what the device tells without having been asked."""
        actions = self._session.push(now)
        if actions:
            self._put(actions)

    def flush(self) -> None:
        if self.socket.fileno() < 0:
            return
        try:
            alive = self.outbox.flush(self.server.clock.monotonic())
        except OSError:
            alive = False
        if not alive or (self._finished_reading and self.outbox.empty and not self._session.pushes):
            self.close()
            return
        self.server.watch(self.socket, self._wanted_events(), self.handle)

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            self._session.close(self.server.clock.monotonic())
            self.server.forget(self)
            self.socket.close()

    def _wanted_events(self) -> int:
        events = 0 if self._finished_reading else selectors.EVENT_READ
        return events | (selectors.EVENT_WRITE if self.outbox.blocked else 0)

    def _receive(self) -> None:
        try:
            data = self.socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        if data:
            self._put(self._session.feed(data, self.server.clock.monotonic()))
        else:  # the client has sent all it had; it may still be reading
            self._finished_reading = True

    def _put(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self.outbox.put(action, self.server.clock.monotonic())
        self.flush()


class SimulatorServer:
    """Serves one model on TCP.

    Args:
        model: the device.
        host: address to listen on; loopback unless the simulator stands in for an instrument on a network.
        port: port of the device; 0 lets the system choose.
        clock: clock of the simulation; the default is the host's clock at true speed.
        max_clients: how many clients the device takes at a time.
        busy: what happens to one more.
        admin_port: port of the administrative side channel (always on loopback); 0 lets the system choose, None: no
            side channel.
        seed: of the random parts of faults.
        selector: of a loop that serves several devices, see `serve_together`; one of its own when None.

    Raises:
        OSError: (from `open`) when a port cannot be had.
    """

    def __init__(
        self,
        model: DeviceModel,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        max_clients: int = 1,
        busy: Busy = Busy.QUEUE,
        admin_port: int | None = None,
        seed: int = 0,
        selector: selectors.BaseSelector | None = None,
    ) -> None:
        self.model = model
        self.clock = clock or system_clock()
        self.faults = LineFaults(seed)
        self._console = DeviceConsole(model, self.faults, self._drop_clients, self.clock)
        self._wanted = (host, port, admin_port)
        self._max_clients = max_clients
        self._busy = busy
        self._selector = selector or selectors.DefaultSelector()
        self._owns_selector = selector is None
        self._listener: socket.socket | None = None
        self._admin: AdminServer | None = None
        self._clients: set[_Client] = set()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._stopping = threading.Event()
        self._signals: deque[None] = deque()
        self._next_step = 0.0

    @property
    def wanted_port(self) -> int:
        """The port that was asked for, 0 for any."""
        return self._wanted[1]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the device."""
        return _address(self._listener)

    @property
    def admin_address(self) -> tuple[str, int]:
        """Host and port of the administrative side channel."""
        if self._admin is None:
            raise RuntimeError("the simulator has not opened this port")
        return self._admin.address

    def open(self) -> None:
        """Binds the ports; clients that connect from now on are served by `serve`."""
        host, port, admin_port = self._wanted
        self._listener = _listen(host, port)
        if admin_port is not None:
            self._admin = AdminServer(self._console, admin_port, self._watch_admin, self._forget_admin)
        self.watch(self._listener, selectors.EVENT_READ, self._accept_client)
        self.watch(self._wake_out, selectors.EVENT_READ, self._drain_wake_up)

    def serve(self) -> None:
        """Serves until `stop` is called, from this or another thread or from a signal handler."""
        serve_together([self])

    def stop(self) -> None:
        """Ends `serve` at once; may be called from a signal handler."""
        self._stopping.set()
        self._wake_up()

    def user_signal(self) -> None:
        """Passes a user signal to the model; may be called from a signal handler."""
        self._signals.append(None)
        self._wake_up()

    def close(self) -> None:
        """Closes all sockets."""
        for client in list(self._clients):
            client.close()
        if self._admin is not None:
            self._admin.close()
        for sock in (self._listener, self._wake_in, self._wake_out):
            if sock is not None:
                if not self._owns_selector and sock.fileno() >= 0:
                    self.watch(sock, 0, self._accept_client)
                sock.close()
        if self._owns_selector:
            self._selector.close()

    def __enter__(self) -> SimulatorServer:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def watch(self, sock: socket.socket, events: int, handler: Callable[[int], None]) -> None:
        """Calls `handler(events)` from the loop when the socket is ready; no events: stop watching."""
        known = sock in self._selector.get_map()
        if not events:
            if known:
                self._selector.unregister(sock)
        elif known:
            self._selector.modify(sock, events, handler)
        else:
            self._selector.register(sock, events, handler)

    def _watch_admin(self, sock: socket.socket) -> None:
        self.watch(sock, selectors.EVENT_READ, self._serve_admin)

    def _forget_admin(self, sock: socket.socket) -> None:
        self.watch(sock, 0, self._serve_admin)

    def _serve_admin(self, _: int) -> None:
        if self._admin is not None:
            self._admin.serve()

    def forget(self, client: _Client) -> None:
        """A connection is about to be closed."""
        self.watch(client.socket, 0, client.handle)
        self._clients.discard(client)
        if self._listener is not None and self._listener.fileno() >= 0:
            self.watch(self._listener, selectors.EVENT_READ, self._accept_client)

    def _accept_client(self, _: int) -> None:
        sock = _accept(self._listener)
        if sock is None:
            return
        if len(self._clients) >= self._max_clients:
            LOGGER.info("a client was refused: %d are connected", len(self._clients))
            sock.close()
            return
        client = _Client(self, sock)
        self._clients.add(client)
        client.start()
        if (
            self._listener is not None
            and self._busy is Busy.QUEUE
            and len(self._clients) >= self._max_clients
        ):
            self.watch(self._listener, 0, self._accept_client)

    def _drop_clients(self) -> int:
        dropped = len(self._clients)
        for client in list(self._clients):
            client.close()
        return dropped

    def _drain_wake_up(self, _: int) -> None:
        try:
            self._wake_out.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return

    def _wake_up(self) -> None:
        try:
            self._wake_in.send(b".")
        except OSError:  # full (then the loop wakes up anyway) or closed already
            return

    def _time_to_wait(self) -> float:
        due = [client.outbox.next_due for client in self._clients]
        first = min([self._next_step, *(time for time in due if time is not None)])
        return max(0.0, first - self.clock.monotonic()) / self.clock.speed

    def _tick(self) -> None:
        now = self.clock.monotonic()
        while self._signals:
            self._signals.popleft()
            self.model.step(now)
            self.model.user_signal(now)
        for client in list(self._clients):
            if client.outbox.next_due is not None:
                client.flush()
        if now >= self._next_step:
            self.model.step(now)
            for client in list(self._clients):
                client.push(now)
            self._next_step = now + max(self.model.step_interval, SHORTEST_STEP * self.clock.speed)


def serve_together(servers: Sequence[SimulatorServer]) -> None:
    """Serves devices whose models know each other, in one thread; until one of them is stopped.

    Args:
        servers: open, and with one selector for all of them.
    """
    selector = servers[0]._selector
    for server in servers:
        server.model.step(server.clock.monotonic())
    while not any(server._stopping.is_set() for server in servers):
        for key, events in selector.select(min(server._time_to_wait() for server in servers)):
            key.data(events)
        for server in servers:
            server._tick()


def _listen(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(16)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _accept(listener: socket.socket | None) -> socket.socket | None:
    if listener is None:
        return None
    try:
        sock, _ = listener.accept()
    except OSError:  # gone again before it was accepted
        return None
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def _address(listener: socket.socket | None) -> tuple[str, int]:
    if listener is None:
        raise RuntimeError("the simulator has not opened this port")
    host, port = listener.getsockname()[:2]
    return str(host), int(port)
