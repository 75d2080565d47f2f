"""SpaceWire over ZeroMQ: the link between the DPU and a simulator or replayer.

One end binds (the simulator, a ROUTER socket), the other connects (the DPU, a DEALER socket). Both are given the same
identity, the name of the link: it lets the binding end address the other one at once, also after either was killed and
restarted, and a newer end with the same identity takes the place of an older one. A plain PAIR socket would go on
serving a dead peer.

A message has two frames, apart from the identity: one byte with the kind of what follows (upper half: 0 packet,
1 timecode) and its flags (lower half: 0 EOP, 1 EEP), and the bytes of the packet.

Nothing is queued for a peer that is away, and at most `high_water_mark` packets for one that does not read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import zmq

from egse.hardwarelock import refuse_hardware
from egse.rmap import AddressRules
from egse.rmap.constants import RMAP_TIMEOUT
from egse.spw.errors import SpaceWireBufferFullError, SpaceWireLinkError
from egse.spw.interface import EEP, EOP, Pollable, RMAPLink
from egse.spw.packets import TimecodePacket, is_timecode

DEFAULT_IDENTITY: Final = "N-FEE"
"""Identity of the link between the DPU and the N-FEE simulator."""

_KIND_PACKET: Final = 0x00
_KIND_TIMECODE: Final = 0x10
_HEADS: Final = {EOP: b"\x00", EEP: b"\x01"}
_LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "::1")

HIGH_WATER_MARK: Final = 3000
"""Packets queued at each end: two frames of both sides and some more, about 100 MB."""


class SpaceWireOverZeroMQ(RMAPLink):
    """A SpaceWire link over a ZeroMQ socket.

    Args:
        endpoint: such as "tcp://localhost:5555"; port 0 (or `*`) lets the system choose when binding.
        identity: name of the link, the same at both ends.
        bind: True for the end that owns the endpoint (the simulator).
        high_water_mark: packets queued at this end before new ones are refused.
        allow_remote: allow endpoints other than the loopback interface and ipc; such a link is not protected.
        rules: address rules for RMAP.
        rmap_timeout: time to wait for an RMAP reply [s].

    Attributes:
        unknown: messages that were no packets of this link and were dropped.

    Raises:
        ValueError: when the endpoint is not local and `allow_remote` is not set.
    """

    def __init__(
        self,
        endpoint: str,
        identity: str = DEFAULT_IDENTITY,
        bind: bool = False,
        *,
        high_water_mark: int = HIGH_WATER_MARK,
        allow_remote: bool = False,
        rules: AddressRules | None = None,
        rmap_timeout: float = RMAP_TIMEOUT,
    ) -> None:
        super().__init__(rules, rmap_timeout)
        self.unknown = 0
        self._endpoint = _checked_endpoint(endpoint, allow_remote)
        self._identity = identity.encode()
        self._bind = bind
        self._high_water_mark = high_water_mark
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._poller: zmq.Poller | None = None
        self._polled: tuple[Pollable, ...] = ()

    @property
    def endpoint(self) -> str:
        """The endpoint; with the port that the system chose once the link is open."""
        return self._endpoint

    @property
    def is_connected(self) -> bool:
        """True when this end is open (the other one may be away)."""
        return self._socket is not None

    def __str__(self) -> str:
        state = "open" if self.is_connected else "not open"
        return f"SpaceWire over ZeroMQ at {self._endpoint}, link {self._identity.decode()!r}, {state}"

    def connect(self) -> None:
        if self._socket is not None:
            return
        if not self._bind:
            refuse_hardware(f"SpaceWire link at {self._endpoint}")
        self._context = zmq.Context()
        sock = self._context.socket(zmq.ROUTER if self._bind else zmq.DEALER)
        try:
            self._set_options(sock)
            if self._bind:
                sock.bind(self._endpoint)
                self._endpoint = sock.getsockopt_string(zmq.LAST_ENDPOINT)
            else:
                sock.connect(self._endpoint)
        except zmq.ZMQError as error:
            sock.close(0)
            self._context.term()
            raise SpaceWireLinkError(
                f"cannot open the SpaceWire link at {self._endpoint}: {error}"
            ) from error
        self._socket = sock

    def _set_options(self, sock: zmq.Socket[bytes]) -> None:
        sock.linger = 0
        sock.sndhwm = sock.rcvhwm = self._high_water_mark
        sock.setsockopt(zmq.RECONNECT_IVL, 50)
        sock.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        sock.setsockopt(zmq.MAXMSGSIZE, 1 << 24)
        if self._bind:
            sock.setsockopt(zmq.ROUTER_MANDATORY, 1)
            sock.setsockopt(zmq.ROUTER_HANDOVER, 1)
        else:
            sock.setsockopt(zmq.ROUTING_ID, self._identity)
            sock.setsockopt(zmq.IMMEDIATE, 1)

    def disconnect(self) -> None:
        sock, context = self._socket, self._context
        self._socket = self._context = self._poller = None
        self._pending.clear()
        if sock is not None:
            sock.close(0)
        if context is not None:
            context.term()

    def configure(self) -> None:
        """There is nothing to configure: a ZeroMQ link has neither speed nor port number."""

    def flush(self) -> None:
        self._pending.clear()
        while self._receive(0)[1]:
            pass

    def send_timecode(self, timecode: int) -> None:
        self._send(bytes((_KIND_TIMECODE,)), TimecodePacket.from_timecode(timecode).packet_as_bytes)

    def write_packet(self, data: bytes | memoryview, flags: int = EOP) -> None:
        """Sends one packet, without waiting.

        Args:
            data: the packet; a timecode packet is sent as timecode.
            flags: how it ends, `EOP` or `EEP`.

        Raises:
            SpaceWireLinkError: when it cannot be sent: nobody is at the other end, or it does not read.
        """
        self._send(bytes((_KIND_TIMECODE,)) if is_timecode(data) else _HEADS[flags], data)

    def _send(self, head: bytes, data: bytes | memoryview) -> None:
        sock = self._open_socket()
        frames = [self._identity, head, data] if self._bind else [head, data]
        try:
            sock.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again as error:
            if self._bind:
                raise SpaceWireBufferFullError(f"{self._endpoint}: the other end does not read") from error
            raise SpaceWireLinkError(f"{self._endpoint}: the other end is away or does not read") from error
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            raise SpaceWireLinkError(f"{self._endpoint}: nobody is at the other end") from error

    def _receive(self, timeout: int | None) -> tuple[int, bytes]:
        sock = self._open_socket()
        while True:
            try:
                frames = sock.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                if timeout == 0 or not sock.poll(timeout, zmq.POLLIN):
                    return EOP, b""
                continue
            packet = self._unpack(frames)
            if packet is not None:
                return packet
            self.unknown += 1

    def poll(self, timeout: float, others: Sequence[Pollable] = ()) -> list[Pollable]:
        if self._pending:
            timeout = 0
        sock = self._open_socket()
        if self._poller is None or self._polled != (sock, *others):
            self._poller, self._polled = zmq.Poller(), (sock, *others)
            for waited in self._polled:
                self._poller.register(waited, zmq.POLLIN)
        ready = dict(self._poller.poll(math.ceil(timeout * 1000)))
        return [other for other in others if _key(other) in ready]

    def _unpack(self, frames: list[bytes]) -> tuple[int, bytes] | None:
        if self._bind and (not frames or frames.pop(0) != self._identity):
            return None
        if len(frames) != 2 or len(frames[0]) != 1 or not frames[1]:
            return None
        head = frames[0][0]
        kind = head & 0xF0
        if kind == _KIND_TIMECODE:
            return (EOP, frames[1]) if is_timecode(frames[1]) else None
        if kind == _KIND_PACKET and not is_timecode(frames[1]):
            return head & 0x0F, frames[1]
        return None

    def _open_socket(self) -> zmq.Socket[bytes]:
        if self._socket is None:
            raise SpaceWireLinkError(f"the SpaceWire link at {self._endpoint} is not open")
        return self._socket


def _key(pollable: Pollable) -> zmq.Socket[bytes] | int:
    """A poller tells ZeroMQ's own sockets as they are, and others by their descriptor."""
    return pollable if isinstance(pollable, zmq.Socket) else pollable.fileno()


def _checked_endpoint(endpoint: str, allow_remote: bool) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme in ("ipc", "inproc"):
        return endpoint
    host, _, port = parts.netloc.rpartition(":")
    if parts.scheme != "tcp" or not host or not port:
        raise ValueError(f"no endpoint of a SpaceWire link: {endpoint!r}, expected tcp://HOST:PORT")
    if host not in _LOCAL_HOSTS and not allow_remote:
        raise ValueError(
            f"{endpoint!r} is not on the loopback interface; give allow_remote=True if that is intended"
        )
    if host == "localhost":
        host = "127.0.0.1"
    return f"tcp://{host}:{'*' if port == '0' else port}"
