"""What a SpaceWire link can do: the methods of the developer manual, section 15.2, and RMAP on top of packets."""

from __future__ import annotations

import socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias

import zmq

from egse.rmap import (
    AddressRules,
    RMAPCommand,
    RMAPDecodeError,
    RMAPError,
    RMAPReply,
    RMAPStatus,
    RMAPTimeoutError,
    decode_reply,
    is_rmap_reply,
    read_command,
    write_command,
)
from egse.rmap.constants import RMAP_TIMEOUT
from egse.spw.errors import SpaceWireEEPError, SpaceWireLinkError

EOP: Final = 0
"""Flags of a packet that ended well (end of packet)."""

EEP: Final = 1
"""Flags of a packet that was cut by an error (error end of packet)."""

Pollable: TypeAlias = "zmq.Socket[bytes] | socket.socket"
"""What can be waited for together with a link."""

_SLICE = 5
"""How long a link that cannot be waited for together with sockets is waited for before they are looked at [ms]."""


class SpaceWireInterface(ABC):
    """A SpaceWire link; also a context manager that opens the link on entry and closes it on exit.

    All that is needed to establish the connection is given when the concrete class is instantiated. A link belongs to
    one thread.
    """

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.disconnect()

    @abstractmethod
    def connect(self) -> None:
        """Opens the link."""

    @abstractmethod
    def disconnect(self) -> None:
        """Closes the link; harmless when it is not open."""

    @abstractmethod
    def configure(self) -> None:
        """Configures the link (speed, active port) where there is something to configure."""

    @abstractmethod
    def flush(self) -> None:
        """Throws away what has arrived and was not read."""

    @abstractmethod
    def send_timecode(self, timecode: int) -> None:
        """Sends a timecode, 0..63.

        Raises:
            SpaceWireLinkError: when nobody is at the other end.
        """

    @abstractmethod
    def read_packet(self, timeout: int | None = None) -> tuple[int, bytes]:
        """Reads one packet.

        Args:
            timeout: longest time to wait [ms]; 0 only looks, None waits for ever.

        Returns:
            (flags, data). Flags: 0 when the packet ended well (EOP), 1 when an error cut it (EEP). Data: the packet as
            bytes, for `SpaceWirePacket.create_packet`; a timecode is the 2 bytes 0x91 and timecode. (0, b"") when
            nothing came in time.

            This is what the example of section 15.2 unpacks, `flags, data = transport.read_packet(timeout=2000)`; the
            text beside it says "bytes object", which is `data`. A packet of a real link with 0 or 1 byte ends its loop.

        Raises:
            SpaceWireLinkError: when the link is not open, or its more specific kinds when it failed.
        """

    @abstractmethod
    def write_packet(self, data: bytes | memoryview) -> None:
        """Sends one packet, without waiting.

        Raises:
            SpaceWireLinkError: when it cannot be sent: nobody is at the other end, or it does not read.
        """

    @abstractmethod
    def read_register(self, address: int, length: int = 4, strict: bool = True) -> bytes:
        """Reads from the memory of the FEE in one transaction.

        Args:
            address: first address.
            length: number of bytes.
            strict: enforce the rules of the FEE's memory on address and length before anything is sent.

        Raises:
            RMAPAddressError: when strict and the rules are broken.
            RMAPTimeoutError: when no reply came.
            SpaceWireEEPError: when the reply was cut by an error.
            RMAPError: when the FEE refused, with its status code.
        """

    @abstractmethod
    def write_register(self, address: int, data: bytes) -> None:
        """Writes one register and waits for the acknowledgement.

        Args:
            address: address of the register.
            data: at least 4 bytes, of which the first 4 are written.

        Raises:
            ValueError: when data has less than 4 bytes.
            RMAPAddressError: when the address is no register that can be written.
            RMAPTimeoutError: when no acknowledgement came: it is unknown whether it was written.
            RMAPError: when the FEE refused, with its status code.
        """

    @abstractmethod
    def read_memory_map(self, address: int, size: int) -> bytes:
        """Reads a range of the FEE's memory, in as many transactions as its rules ask for.

        Args:
            address: first address, a multiple of 4.
            size: number of bytes, a multiple of 4.

        Raises:
            As `read_register`.
        """


class RMAPLink(SpaceWireInterface):
    """RMAP for links that only know packets.

    Packets that arrive while a reply is awaited are kept, in order, for the next `read_packet`.

    Args:
        rules: address rules of the memory at the other end.
        rmap_timeout: time to wait for a reply [s].

    Attributes:
        stale_replies: RMAP replies that came too late, or damaged, and were dropped.
    """

    def __init__(self, rules: AddressRules | None = None, rmap_timeout: float = RMAP_TIMEOUT) -> None:
        self.rules = rules or AddressRules()
        self.rmap_timeout = rmap_timeout
        self.stale_replies = 0
        self._pending: deque[tuple[int, bytes]] = deque()
        self._failure: SpaceWireLinkError | None = None
        self._transaction_id = 0

    @abstractmethod
    def _receive(self, timeout: int | None) -> tuple[int, bytes]:
        """Reads one packet from the link itself, as `read_packet`."""

    def read_packet(self, timeout: int | None = None) -> tuple[int, bytes]:
        if self._pending:
            return self._pending.popleft()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return self._receive(timeout)

    @property
    def is_running(self) -> bool:
        """False when the link is known to be down; asked after an error, to decide whether it is worth while to go on."""
        return True

    def poll(self, timeout: float, others: Sequence[Pollable] = ()) -> list[Pollable]:
        """Waits until a packet can be read, one of the other sockets has input, or the time is over.

        Args:
            timeout: longest time to wait [s].
            others: sockets to wait for beside the link.

        Returns:
            The other sockets that have input.
        """
        if not self._pending and self._failure is None:
            wait = int(timeout * 1000)
            packet = self._receive(min(wait, _SLICE) if others else wait)
            if packet[1]:
                self._pending.append(packet)
        return [other for other in others if zmq.select([other], [], [], 0)[0]]

    def read_packets(self, max_packets: int = 1024, timeout: int | None = 0) -> list[tuple[int, bytes]]:
        """Reads what is there.

        Args:
            max_packets: largest number of packets to return.
            timeout: longest time to wait for the first one [ms]; 0 only looks, None waits for ever.

        Returns:
            List of (flags, data) as `read_packet` returns them; empty when nothing came. What came before an error of the link
            is returned, and the error raised by the next call.
        """
        packets: list[tuple[int, bytes]] = []
        wait = timeout
        while len(packets) < max_packets:
            try:
                packet = self.read_packet(wait)
            except SpaceWireLinkError as error:
                if not packets:
                    raise
                self._failure = error
                break
            if not packet[1]:
                break
            packets.append(packet)
            wait = 0
        return packets

    def read_register(self, address: int, length: int = 4, strict: bool = True) -> bytes:
        if strict:
            self.rules.check(address, length, write=False)
        reply = self._transaction(read_command(address, length))
        if len(reply.data) != length or not reply.data_crc_ok:
            raise RMAPError(
                f"read of {length} bytes at {address:#010x}: got {len(reply.data)} bytes, or a wrong CRC"
            )
        return reply.data

    def write_register(self, address: int, data: bytes) -> None:
        if len(data) < 4:
            raise ValueError(f"the data of a register are at least 4 bytes, got {len(data)}")
        area = self.rules.check(address, 4, write=True)
        self._transaction(write_command(address, bytes(data[:4]), verify=area.verify))

    def read_memory_map(self, address: int, size: int) -> bytes:
        return b"".join(
            self.read_register(start, length) for start, length in self.rules.split(address, size)
        )

    def _transaction(self, command: RMAPCommand) -> RMAPReply:
        """Sends a command and returns its successful reply."""
        self._transaction_id = (self._transaction_id + 1) & 0xFFFF
        identifier = self._transaction_id
        what = (
            f"{'write' if command.is_write else 'read'} of {command.length} bytes at {command.address:#010x}"
        )
        self.write_packet(_with_id(command, identifier).encode())
        deadline = time.monotonic() + self.rmap_timeout
        while (left := deadline - time.monotonic()) > 0:
            flags, data = self._receive(int(left * 1000) + 1)
            if not is_rmap_reply(data):
                if data:
                    self._pending.append((flags, data))
                continue
            reply = self._match(data, identifier)
            if flags != EOP and (reply is not None or data[5:7] == identifier.to_bytes(2, "big")):
                raise SpaceWireEEPError(f"{what}: the reply was cut by an error (EEP)", RMAPStatus.EEP)
            if reply is None:
                self.stale_replies += 1
            elif reply.status:
                raise RMAPError.from_status(reply.status, what)
            else:
                return reply
        raise RMAPTimeoutError(f"{what}: no reply within {self.rmap_timeout:g} s")

    @staticmethod
    def _match(data: bytes, identifier: int) -> RMAPReply | None:
        try:
            reply = decode_reply(data)
        except RMAPDecodeError:
            return None
        return reply if reply.transaction_id == identifier else None


def _with_id(command: RMAPCommand, identifier: int) -> RMAPCommand:
    return RMAPCommand(command.instruction, command.address, command.length, command.data, identifier)
