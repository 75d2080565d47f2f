"""The target's side of RMAP: answers commands out of a memory, without any I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from egse.rmap.codec import COMMAND, RMAPCommand, RMAPReply, decode_command
from egse.rmap.constants import FEE_LOGICAL_ADDRESS, RMAP_KEY
from egse.rmap.errors import RMAPAddressError, RMAPDecodeError, RMAPStatus
from egse.rmap.memory import AddressRules, MemoryArea


class RMAPTarget:
    """A memory that is read and written by RMAP commands.

    A command that does not increment its address reads or writes the same 4 bytes again and again.

    Args:
        memory: the bytes from address 0 on; written in place.
        rules: what may be read and written where.
        logical_address: commands to another address are answered with status 12.
        key: commands with another key are answered with status 3.
        on_write: called with address and data after each write.
        more_memory: further memory, by the address of its first byte; written in place.
        rmw: execute read-modify-write commands; else they are answered with status 2, as the N-FEE does not know them.

    Attributes:
        counters: number of commands by outcome ("read", "write", "rmw", and names of `RMAPStatus` or "dropped").
    """

    def __init__(
        self,
        memory: bytearray,
        rules: AddressRules | None = None,
        *,
        logical_address: int = FEE_LOGICAL_ADDRESS,
        key: int = RMAP_KEY,
        on_write: Callable[[int, bytes], None] | None = None,
        more_memory: Mapping[int, bytearray] | None = None,
        rmw: bool = False,
    ) -> None:
        self.memory = memory
        self.rules = rules or AddressRules()
        self.logical_address = logical_address
        self.key = key
        self.on_write = on_write
        self.rmw = rmw
        self.counters: Counter[str] = Counter()
        self._blocks = {0: memory, **(more_memory or {})}

    def handle(self, packet: bytes, path_length: int | None = 0, *, eep: bool = False) -> bytes | None:
        """Executes a command.

        As the standard has it, a packet whose header cannot be trusted (wrong CRC, truncated, not RMAP) is dropped
        without an answer, and so is the answer when the command asks for none.

        Args:
            packet: the command as it came from the link.
            path_length: number of path bytes still in front of it; None to guess it.
            eep: the packet ended with an error marker.

        Returns:
            The reply packet (path bytes in front, from the reply address), or None when none is due.
        """
        try:
            command = decode_command(bytes(packet), path_length)
        except RMAPDecodeError:
            self.counters["dropped"] += 1
            return None
        status = self._check(command, eep)
        data = b""
        if status is RMAPStatus.SUCCESS:
            data = self._execute(command)
        else:
            self.counters[status.name] += 1
        return self._reply(command, status, data) if command.acknowledge else None

    def _check(self, command: RMAPCommand, eep: bool) -> RMAPStatus:
        """Returns what speaks against a command, in the order of the standard."""
        if not self._is_known(command):
            return RMAPStatus.UNUSED_COMMAND
        if command.key != self.key:
            return RMAPStatus.INVALID_KEY
        if command.target != self.logical_address:
            return RMAPStatus.INVALID_TARGET_ADDRESS
        if command.is_rmw and command.length not in (0, 2, 4, 6, 8):
            return RMAPStatus.RMW_DATA_LENGTH
        if eep:
            return RMAPStatus.EEP
        if command.is_write or command.is_rmw:
            if len(command.data) < command.length:
                return RMAPStatus.EARLY_EOP
            if len(command.data) > command.length:
                return RMAPStatus.TOO_MUCH_DATA
            if not command.data_crc_ok:
                return RMAPStatus.INVALID_DATA_CRC
        return self._check_memory(command)

    def _is_known(self, command: RMAPCommand) -> bool:
        """Returns False for the command codes that the standard leaves unused (table 5-1)."""
        if command.is_rmw:
            return self.rmw and command.acknowledge and command.increment
        return command.is_write or command.acknowledge

    def _check_memory(self, command: RMAPCommand) -> RMAPStatus:
        try:
            area = self.rules.area(command.address)
            if self._overruns(command, area):
                return RMAPStatus.VERIFY_BUFFER_OVERRUN
            self.rules.check(command.address, _span(command), write=command.is_write or command.is_rmw)
            if not command.increment and (command.length % 4 or command.length > area.max_length):
                return RMAPStatus.NOT_AUTHORISED
        except RMAPAddressError:
            return RMAPStatus.NOT_AUTHORISED
        if self._block(command.address, _span(command)) is None:
            return RMAPStatus.NOT_AUTHORISED
        return RMAPStatus.SUCCESS

    @staticmethod
    def _overruns(command: RMAPCommand, area: MemoryArea) -> bool:
        """True when data that are to be verified do not fit into the buffer of the area."""
        return command.is_write and command.verify and command.length > area.max_length

    def _block(self, address: int, length: int) -> tuple[bytearray, int] | None:
        """Returns the memory that holds the addresses and where they begin in it, or None."""
        for start, block in self._blocks.items():
            if start <= address and address + length <= start + len(block):
                return block, address - start
        return None

    def _execute(self, command: RMAPCommand) -> bytes:
        found = self._block(command.address, _span(command))
        assert found is not None, "checked before"
        block, start = found
        end = start + _span(command)
        before = bytes(block[start:end])
        if command.is_read:
            self.counters["read"] += 1
            return before if command.increment else before * (command.length // 4)
        data = command.data if command.increment else command.data[-4:]
        if command.is_rmw:
            half = command.length // 2
            data = _merge(before, command.data[:half], command.data[half:])
        self.counters["rmw" if command.is_rmw else "write"] += 1
        block[start:end] = data
        if self.on_write is not None:
            self.on_write(command.address, data)
        return before if command.is_rmw else b""

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


def _span(command: RMAPCommand) -> int:
    """Returns how many bytes of memory a command touches."""
    if command.is_rmw:
        return command.length // 2
    return command.length if command.increment else min(4, command.length)


def _merge(before: bytes, data: bytes, mask: bytes) -> bytes:
    """Returns `data` where the bits of `mask` are set and `before` elsewhere."""
    return bytes((d & m) | (b & ~m & 0xFF) for b, d, m in zip(before, data, mask, strict=True))
