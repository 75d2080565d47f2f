"""The target's side of RMAP: answers commands out of a memory, without any I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from egse.rmap.codec import COMMAND, RMAPCommand, RMAPReply, decode_command
from egse.rmap.constants import FEE_LOGICAL_ADDRESS, RMAP_KEY
from egse.rmap.errors import RMAPAddressError, RMAPDecodeError, RMAPStatus
from egse.rmap.memory import AddressRules


class RMAPTarget:
    """A memory that is read and written by RMAP commands.

    Args:
        memory: the bytes from address 0 on; written in place.
        rules: what may be read and written where.
        logical_address: commands to another address are answered with status 12.
        key: commands with another key are answered with status 3.
        on_write: called with address and data after each write.

    Attributes:
        counters: number of commands by outcome ("read", "write", and names of `RMAPStatus` or "dropped").
    """

    def __init__(
        self,
        memory: bytearray,
        rules: AddressRules | None = None,
        *,
        logical_address: int = FEE_LOGICAL_ADDRESS,
        key: int = RMAP_KEY,
        on_write: Callable[[int, bytes], None] | None = None,
    ) -> None:
        self.memory = memory
        self.rules = rules or AddressRules()
        self.logical_address = logical_address
        self.key = key
        self.on_write = on_write
        self.counters: Counter[str] = Counter()

    def handle(self, packet: bytes, path_length: int = 0) -> bytes | None:
        """Executes a command.

        As the standard has it, a packet whose header cannot be trusted (wrong CRC, truncated, not RMAP) is dropped
        without an answer, and so is the answer when the command asks for none.

        Args:
            packet: the command as it came from the link.
            path_length: number of path bytes still in front of it.

        Returns:
            The reply packet (path bytes in front, from the reply address), or None when none is due.
        """
        try:
            command = decode_command(bytes(packet), path_length)
        except RMAPDecodeError:
            self.counters["dropped"] += 1
            return None
        status = self._check(command)
        data = b""
        if status is RMAPStatus.SUCCESS:
            data = self._execute(command)
        else:
            self.counters[status.name] += 1
        return self._reply(command, status, data) if command.acknowledge else None

    def _check(self, command: RMAPCommand) -> RMAPStatus:
        """Returns what speaks against a command, in the order of the standard."""
        if command.is_rmw or not (command.is_write or command.acknowledge):
            return RMAPStatus.UNUSED_COMMAND
        if command.key != self.key:
            return RMAPStatus.INVALID_KEY
        if command.target != self.logical_address:
            return RMAPStatus.INVALID_TARGET_ADDRESS
        if command.is_write:
            if len(command.data) < command.length:
                return RMAPStatus.EARLY_EOP
            if len(command.data) > command.length:
                return RMAPStatus.TOO_MUCH_DATA
            if not command.data_crc_ok:
                return RMAPStatus.INVALID_DATA_CRC
        try:
            self.rules.check(command.address, command.length, write=command.is_write)
        except RMAPAddressError:
            return RMAPStatus.NOT_AUTHORISED
        if command.address + command.length > len(self.memory):
            return RMAPStatus.NOT_AUTHORISED
        return RMAPStatus.SUCCESS

    def _execute(self, command: RMAPCommand) -> bytes:
        end = command.address + command.length
        if not command.is_write:
            self.counters["read"] += 1
            return bytes(self.memory[command.address : end])
        self.counters["write"] += 1
        self.memory[command.address : end] = command.data
        if self.on_write is not None:
            self.on_write(command.address, command.data)
        return b""

    def _reply(self, command: RMAPCommand, status: RMAPStatus, data: bytes) -> bytes:
        return RMAPReply(
            instruction=command.instruction & ~COMMAND,
            status=status,
            data=data,
            transaction_id=command.transaction_id,
            initiator=command.initiator,
            target=command.target,
            reply_path=command.reply_address,
        ).encode()
