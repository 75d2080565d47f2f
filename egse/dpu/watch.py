"""Does the FEE do what its mirror says? A restarted FEE, or one that somebody else commands, is noticed here.

The housekeeping packet tells the mode in effect, and the counter of readouts. A mode that is not the mirror's, or a counter
that does not go on by one, is a suspicion and no more: packets are lost, and a replayed recording jumps. In the next
command slot the registers are read, before anything is written, and compared with the mirror; that decides.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from egse.dpu.state import NFEEState
from egse.fee import n_fee_mode
from egse.reg import FieldChange

LOGGER = logging.getLogger(__name__)

_NOT_COMPARED = "clear_error_flag"
"""A bit that the FEE may clear by itself."""


@dataclass(frozen=True)
class Finding:
    """The FEE is not as its mirror was.

    Attributes:
        restarted: True when it looks as after power-on; False when only its registers were changed by somebody else.
        reason: what was found, for a person.
    """

    restarted: bool
    reason: str


class FEEWatch:
    """Compares what the FEE reports with its mirror, and corrects the mirror.

    Args:
        state: the mirror.

    Attributes:
        suspicion: why the registers should be read; empty when all is well.
        restarts: how often the FEE was found restarted.
        resyncs: how often the mirror had to take over other registers, restarts included.
        corrections: how often the mirror had only missed a pulse, or a transition that the FEE refused.
    """

    def __init__(self, state: NFEEState) -> None:
        self.suspicion = ""
        self.restarts = 0
        self.resyncs = 0
        self.corrections = 0
        self._state = state
        self._mode = 0
        self._counter: int | None = None

    def on_housekeeping(self, mode: int, frame_counter: int) -> None:
        """Takes mode and frame counter of a housekeeping packet, after the mirror has followed its pulse."""
        last, self._counter, self._mode = self._counter, frame_counter, mode
        if not self._state.known:
            return
        if mode != self._state.mode:
            self.suspicion = f"it reports {_name(mode)} where {_name(self._state.mode)} should be in effect"
        elif last is not None and frame_counter != (last + 1) & 0xFFFF:
            self.suspicion = f"its frame counter went from {last} to {frame_counter}"

    def compare(self, memory: bytes) -> Finding | None:
        """Compares the registers as read now with the mirror, and corrects the mirror.

        Args:
            memory: register memory of the FEE.

        Returns:
            What is wrong; None when the registers are those of the mirror.
        """
        suspicion, self.suspicion = self.suspicion, ""
        state = self._state
        found = state.registers.copy()
        found.set_array(memory)
        changes = [change for change in state.registers.diff(found) if change.name != _NOT_COMPARED]
        if not changes:
            self._correct_mode()
            return None
        fresh = found.copy()
        fresh.reset()
        is_reset = not [change for change in fresh.diff(found) if change.name != _NOT_COMPARED]
        restarted = self._mode == n_fee_mode.ON_MODE and (is_reset or state.mode != n_fee_mode.ON_MODE)
        self.resyncs += 1
        self.restarts += restarted
        state.resynchronise(memory, self._mode)
        what = (
            "was restarted" if restarted else "was commanded by somebody else, or does not do what it is told"
        )
        return Finding(restarted, f"the N-FEE {what}: {suspicion}, and {_describe(changes)}")

    def _correct_mode(self) -> None:
        state = self._state
        if self._mode == state.mode:
            return
        if not self.corrections:
            LOGGER.warning("the mirror said %s, the N-FEE is in %s", _name(state.mode), _name(self._mode))
        self.corrections += 1
        state.correct_mode(self._mode)


def _describe(changes: list[FieldChange]) -> str:
    shown = ", ".join(f"{change.name} {change.old} -> {change.new}" for change in changes[:4])
    return f"{len(changes)} register fields differ ({shown}{', ...' if len(changes) > 4 else ''})"


def _name(mode: int) -> str:
    return n_fee_mode(mode).name if mode in n_fee_mode._value2member_map_ else str(mode)
