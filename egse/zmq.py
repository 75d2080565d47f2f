"""The messages that processes publish over ZeroMQ: how to subscribe to them, and their identifiers."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import zmq

from egse.security.curve import secure_client


def subscribed(
    context: zmq.Context[zmq.Socket[bytes]],
    endpoint: str,
    topics: Iterable[bytes],
    high_water: int = 1000,
    reconnect: tuple[int, int] | None = None,
) -> zmq.Socket[bytes]:
    """Returns a socket that listens to what is published at an endpoint, with keys where the endpoint needs them.

    Args:
        context: of the thread that is going to receive.
        endpoint: `tcp://host:port`; nobody needs to be there yet.
        topics: first bytes of the first frame of the messages wanted.
        high_water: so many messages wait for a slow receiver before the newest are dropped.
        reconnect: how soon a publisher that is not there is looked for again, at first and at last [ms]; as ZeroMQ
            does by default when None: every 100 ms.

    Raises:
        HandshakeError: when keys are needed and there are none.
        zmq.ZMQError: when this is no endpoint.
    """
    sock = context.socket(zmq.SUB)
    try:
        sock.linger = 0
        sock.rcvhwm = high_water
        if reconnect is not None:
            sock.reconnect_ivl, sock.reconnect_ivl_max = reconnect
        for topic in topics:
            sock.subscribe(topic)
        secure_client(sock, endpoint)
        sock.connect(endpoint)
    except BaseException:
        sock.close(0)
        raise
    return sock


class MessageIdentifier(IntEnum):
    """First frame of a message, as one byte: `MessageIdentifier.SYNC_TIMECODE.to_bytes(1, byteorder="big")`."""

    SYNC_TIMECODE = 0x80
    SYNC_HK_PACKET = 0x81
    SYNC_DATA_PACKET = 0x82
    N_FEE_REGISTER_MAP = 0x83
    NUM_CYCLES = 0x84
    HDF5_FILENAMES = 0x85
    SYNC_ERROR_FLAGS = 0x86
    N_FEE_RESYNC = 0x87
    N_FEE_HK = 0x88

    @property
    def frame(self) -> bytes:
        """The identifier as it stands in front of the message: one byte."""
        return bytes((self.value,))
