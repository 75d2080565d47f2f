"""What the DPU Processor publishes: message identifiers and the encoding of the payloads.

A message on the data distribution or monitoring stream has two frames: one byte with the identifier, and the payload in
msgpack (where the original pickled it). `decode_message` gives back what the manual describes::

    SYNC_TIMECODE       (timecode, timestamp)
    SYNC_HK_PACKET      (HousekeepingPacket, timestamp)
    SYNC_DATA_PACKET    (DataDataPacket or OverscanDataPacket, timestamp)
    N_FEE_REGISTER_MAP  numpy array, uint8, shape (2048,)
    NUM_CYCLES          int
    HDF5_FILENAMES      list of paths
    SYNC_ERROR_FLAGS    (error flags, frame counter, timestamp)
    N_FEE_RESYNC        (restarted, reason, timestamp): the FEE was not as its mirror was; not in the original
    N_FEE_HK            (144 bytes, timestamp, number): housekeeping, twice a timecode (what `n_fee_hk` stores), numbered since the
                        start of the processor; not in the original

Timestamps are those of reception in the DPU Processor, UTC text `YYYY-mm-ddTHH:MM:SS.mmm+0000`. The numbers of the identifiers are
not given by any source; they are fixed here.

Source: developer manual 14.1; FEE operations reference 8.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import zmq

from egse.spw import SpaceWirePacket
from egse.zmq import MessageIdentifier

DATA_STREAM = frozenset(
    {
        MessageIdentifier.SYNC_TIMECODE,
        MessageIdentifier.SYNC_HK_PACKET,
        MessageIdentifier.SYNC_DATA_PACKET,
        MessageIdentifier.N_FEE_REGISTER_MAP,
        MessageIdentifier.NUM_CYCLES,
    }
)
"""What goes to the data distribution stream."""

MONITORING_STREAM = frozenset(
    {
        MessageIdentifier.SYNC_TIMECODE,
        MessageIdentifier.SYNC_HK_PACKET,
        MessageIdentifier.NUM_CYCLES,
        MessageIdentifier.HDF5_FILENAMES,
        MessageIdentifier.SYNC_ERROR_FLAGS,
        MessageIdentifier.N_FEE_RESYNC,
        MessageIdentifier.N_FEE_HK,
    }
)
"""What goes to the monitoring stream."""

_PACKETS = (MessageIdentifier.SYNC_HK_PACKET, MessageIdentifier.SYNC_DATA_PACKET)
_TUPLES = (
    MessageIdentifier.SYNC_TIMECODE,
    MessageIdentifier.SYNC_ERROR_FLAGS,
    MessageIdentifier.N_FEE_RESYNC,
    MessageIdentifier.N_FEE_HK,
)
_ENCODER = msgspec.msgpack.Encoder()


def encode_message(identifier: MessageIdentifier, payload: Any) -> list[bytes]:
    """Returns the two frames of a message.

    Args:
        identifier: what it is.
        payload: plain values; packets and the register map as bytes.
    """
    return [identifier.frame, _ENCODER.encode(payload)]


class MessageStream:
    """One of the streams: what somebody has subscribed to is sent, and nothing else is even packed.

    Args:
        socket: an XPUB socket, bound.
        identifiers: what belongs to the stream.
    """

    def __init__(self, socket: zmq.Socket[bytes], identifiers: Iterable[MessageIdentifier]) -> None:
        self.socket = socket
        self._identifiers = frozenset(identifiers)
        self._prefixes: set[bytes] = set()
        self._wanted: frozenset[MessageIdentifier] = frozenset()

    def wants(self, identifier: MessageIdentifier) -> bool:
        """True when the message belongs to the stream and somebody has subscribed to it."""
        return identifier in self._wanted

    def follow_subscriptions(self) -> None:
        """Takes note of new subscriptions and cancelled ones; call it when the socket has input."""
        while self.socket.poll(0):
            message = self.socket.recv()
            if message[:1] == b"\x01":
                self._prefixes.add(message[1:])
            elif message[:1] == b"\x00":
                self._prefixes.discard(message[1:])
        self._wanted = frozenset(
            identifier
            for identifier in self._identifiers
            if any(identifier.frame.startswith(prefix) for prefix in self._prefixes)
        )

    def send(self, frames: Sequence[bytes]) -> None:
        """Sends a message; a subscriber that does not read loses it."""
        self.socket.send_multipart(frames, zmq.NOBLOCK)


def decode_message(frames: Sequence[bytes]) -> tuple[MessageIdentifier, Any]:
    """Returns identifier and payload of a message; see the module for the types of the payloads.

    Raises:
        ValueError: when the frames are no message of the DPU Processor.
    """
    if len(frames) != 2 or len(frames[0]) != 1:
        raise ValueError(
            f"a message of the DPU Processor has two frames, the first of one byte, got {len(frames)}"
        )
    identifier = MessageIdentifier(frames[0][0])
    try:
        payload = msgspec.msgpack.decode(frames[1])
    except msgspec.MsgspecError as exc:
        raise ValueError(f"the payload of {identifier.name} is damaged: {exc}") from exc
    if identifier in _PACKETS:
        packet, timestamp = payload
        return identifier, (SpaceWirePacket.create_packet(packet), timestamp)
    if identifier is MessageIdentifier.N_FEE_REGISTER_MAP:
        return identifier, np.frombuffer(payload, dtype=np.uint8)
    return identifier, tuple(payload) if _is_tuple(identifier) else payload


def _is_tuple(identifier: MessageIdentifier) -> bool:
    return identifier in _TUPLES
