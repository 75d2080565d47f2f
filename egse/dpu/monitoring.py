"""Listening to the DPU Processor: timecodes, pulses, finished files, error flags.

with DPUMonitoring() as moni:
    while moni.wait_for_timecode():
        ...
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, Self

import zmq

from egse.dpu.messages import MONITORING_STREAM, decode_message
from egse.fee.hk import decode_hk
from egse.proxy import endpoint_from_settings
from egse.spw import HousekeepingPacket
from egse.zmq import MessageIdentifier, subscribed

SETTINGS = "DPU Control Server"
PORT = "DPU_PROCESSOR_MONITORING_PORT"


class DPUMonitoring:
    """A subscription to the monitoring stream of the DPU Processor; belongs to one thread.

    Args:
        endpoint: `tcp://host:port` of the stream; from the settings when None.
        identifiers: messages wanted; all by default.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        identifiers: Collection[MessageIdentifier] = MONITORING_STREAM,
    ) -> None:
        self._endpoint = endpoint or endpoint_from_settings(SETTINGS, PORT)
        self._identifiers = tuple(identifiers)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None

    def connect(self) -> None:
        """Subscribes; messages count from now on."""
        if self._socket is None:
            self._context = zmq.Context()
            topics = [identifier.frame for identifier in self._identifiers]
            try:
                self._socket = subscribed(self._context, self._endpoint, topics)
            except BaseException:
                self.disconnect()
                raise

    def disconnect(self) -> None:
        """Ends the subscription."""
        if self._context is not None:
            self._context.destroy(linger=0)
        self._socket = self._context = None

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.disconnect()

    def receive(self, timeout: float | None = None) -> tuple[MessageIdentifier, Any] | None:
        """Returns the next message: identifier and payload, see `egse.dpu.messages`.

        Args:
            timeout: how long to wait [s]; None for ever.

        Returns:
            None when none came in time.

        Raises:
            ConnectionError: when not connected.
        """
        if self._socket is None:
            raise ConnectionError("DPUMonitoring is not connected: use it in a with statement")
        if not self._socket.poll(None if timeout is None else int(timeout * 1000), zmq.POLLIN):
            return None
        return decode_message(self._socket.recv_multipart())

    def wait_for(
        self,
        identifier: MessageIdentifier,
        timeout: float | None = None,
        condition: Callable[[Any], bool] = lambda payload: True,
    ) -> Any:
        """Waits for a message and returns its payload.

        Args:
            identifier: which message.
            timeout: how long to wait [s]; None for ever.
            condition: the payload must fulfil it.

        Returns:
            The payload; None when none came in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while deadline is None or time.monotonic() < deadline:
            message = self.receive(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if message is not None and message[0] is identifier and condition(message[1]):
                return message[1]
        return None

    def wait_for_timecode(self, timeout: float | None = None) -> tuple[int, str] | None:
        """Waits for the next timecode.

        Args:
            timeout: how long to wait [s]; None for ever.

        Returns:
            Timecode 0..63 and its time of reception (UTC text); None when none came in time.
        """
        timecode: tuple[int, str] | None = self.wait_for(MessageIdentifier.SYNC_TIMECODE, timeout)
        return timecode

    def wait_for_long_pulse(self, timeout: float | None = None) -> HousekeepingPacket | None:
        """Waits for the next cycle to begin.

        Args:
            timeout: how long to wait [s]; None for ever.

        Returns:
            The first housekeeping packet of the cycle; None when none began in time.
        """
        return self._wait_for_pulse(lambda frame: frame == 0, timeout)

    def wait_for_short_pulse(self, timeout: float | None = None) -> HousekeepingPacket | None:
        """Waits for the next pulse within a cycle.

        Args:
            timeout: how long to wait [s]; None for ever.

        Returns:
            Its housekeeping packet; None when none came in time.
        """
        return self._wait_for_pulse(lambda frame: frame != 0, timeout)

    def _wait_for_pulse(
        self, condition: Callable[[int], bool], timeout: float | None
    ) -> HousekeepingPacket | None:
        def fits(payload: Any) -> bool:
            return condition(payload[0].type.frame_number)

        payload = self.wait_for(MessageIdentifier.SYNC_HK_PACKET, timeout, fits)
        return None if payload is None else payload[0]

    def wait_for_num_cycles(self, num_cycles: int, timeout: float | None = None) -> bool:
        """Waits until the counter of image cycles reaches `num_cycles`.

        Args:
            num_cycles: image cycles still to come, the running one included.
            timeout: how long to wait [s]; None for ever.

        Returns:
            False when it did not in time.
        """
        wanted = self.wait_for(MessageIdentifier.NUM_CYCLES, timeout, lambda counter: counter == num_cycles)
        return wanted is not None

    def wait_for_hdf5_filenames(self, timeout: float | None = None) -> list[str]:
        """Waits for finished raw files.

        Args:
            timeout: how long to wait [s]; None for ever.

        Returns:
            Their paths; empty when there were none in time.
        """
        return self.wait_for(MessageIdentifier.HDF5_FILENAMES, timeout) or []

    def wait_for_error_flags(self, timeout: float | None = None) -> tuple[int, int, str] | None:
        """Waits for error flags that are not 0.

        Args:
            timeout: how long to wait [s]; None for ever.

        Returns:
            Error flags, frame counter (16 bits) and time of the readout (UTC text); None when all was well.
        """
        flags: tuple[int, int, str] | None = self.wait_for(
            MessageIdentifier.SYNC_ERROR_FLAGS, timeout, lambda payload: payload[0] != 0
        )
        return flags

    def wait_for_fee_resync(self, timeout: float | None = None) -> tuple[bool, str, str] | None:
        """Waits for a FEE that is not as its mirror in the DPU was: restarted, or commanded by somebody else.

        Args:
            timeout: how long to wait [s]; None for ever.

        Returns:
            True for a restart, what was found, and when (UTC text); None when all was well.
        """
        finding: tuple[bool, str, str] | None = self.wait_for(MessageIdentifier.N_FEE_RESYNC, timeout)
        return finding


def housekeeping_values(packet: HousekeepingPacket) -> dict[str, int]:
    """Returns the raw values in a housekeeping packet, by name."""
    return decode_hk(packet.packet_as_bytes)
