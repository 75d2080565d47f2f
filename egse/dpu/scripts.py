"""The RMAP work of the DPU: reading housekeeping and registers, writing a command slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from egse.dpu.errors import SlotOverrunError
from egse.dpu.state import NFEEState
from egse.dpu.transactions import Script
from egse.reg import RegisterWrite
from egse.rmap import AddressRules, RMAPCommand, RMAPError, read_command, write_command
from egse.rmap.constants import HK_AREA_ADDRESS, HK_AREA_SIZE
from egse.spw import SpaceWireLinkError

RULES = AddressRules()

Sent = Callable[[str], None]
"""Called with the name of every write that was acknowledged."""


def read_hk_area() -> Script[bytes]:
    """Reads the housekeeping memory area (144 bytes)."""
    reply = yield read_command(HK_AREA_ADDRESS, HK_AREA_SIZE)
    return reply.data


def read_registers(state: NFEEState) -> Script[bytes]:
    """Reads all registers that the map names, and returns the register memory with them."""
    memory = bytearray(state.registers.memory)
    for address in sorted(state.registers.registers.values()):
        reply = yield read_command(address, 4)
        memory[address : address + 4] = reply.data
    return bytes(memory)


def write_registers(
    writes: Sequence[tuple[str, RegisterWrite]],
    state: NFEEState,
    sent: Sent,
    is_open: Callable[[], bool] = lambda: True,
) -> Script[None]:
    """Writes registers in order; when one fails, those before it are put back, so that all are written or none.

    Args:
        writes: what to write, each with the name of the command that it belongs to.
        state: the mirror, which follows each acknowledged write.
        sent: called for each of them.
        is_open: False once the slot has ended.

    Raises:
        RMAPError, SpaceWireLinkError: of the write that failed.
        SlotOverrunError: when the slot ended before all was written.
    """
    before: list[tuple[str, RegisterWrite]] = []
    for name, write in writes:
        try:
            if not is_open():
                raise SlotOverrunError(f"a pulse came after {len(before)} of {len(writes)} registers")
            yield _write(write)
        except (RMAPError, SpaceWireLinkError) as exc:
            yield from _put_back(before, state, sent, exc)
            raise
        old = state.registers.get_data(write.address)
        before.append((name, RegisterWrite(write.register, write.address, old)))
        state.on_written(write)
        sent(name)


def _put_back(
    done: Sequence[tuple[str, RegisterWrite]], state: NFEEState, sent: Sent, cause: Exception
) -> Script[None]:
    for name, undo in reversed(done):
        try:
            yield _write(undo)
        except (RMAPError, SpaceWireLinkError) as exc:
            cause.add_note(f"{undo.register} could not be put back to {undo.data.hex()}: {exc}")
            continue
        state.on_written(undo)
        sent(f"{name}: put back")


def _write(write: RegisterWrite) -> RMAPCommand:
    area = RULES.check(write.address, len(write.data), write=True)
    return write_command(write.address, write.data, verify=area.verify)
