"""The DPU of a dry run: DPU core and model of the N-FEE joined in the calling thread, on the clock of the dry run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from egse.clock import Clock
from egse.dpu.core import DPUCore
from egse.dpu.errors import FEERestartedError
from egse.dpu.maps import FEEMaps
from egse.dpu.slot import Commands
from egse.dpu.state import NFEEState
from egse.dpu.tickets import Effect, TicketBook, TicketRecord, TicketState
from egse.fee.model import NFEEModel
from egse.h5 import Kind
from egse.reg import RegisterMap
from egse.zmq import MessageIdentifier

_SMALLEST_STEP = 1e-3
_LONGEST_SLOT_WAIT = 60.0
_ENDED = (TicketState.ACKNOWLEDGED, TicketState.IN_EFFECT, TicketState.FAILED)


class DryBackend:
    """Both ends of the SpaceWire link without link, process, socket or file. Also the sink of the core.

    Every call first brings core and model to the present time of the clock; a command lets time pass until its slot.

    Args:
        clock: virtual, usually.
        camera: "em", "pfm" or "fm".
        seed: of the random parts of that one.
        model: the FEE; one without pixels when None. Its times are those of `clock.monotonic()`.
    """

    def __init__(
        self, clock: Clock, camera: str = "fm", model: NFEEModel | None = None, *, seed: int = 0
    ) -> None:
        self._clock = clock
        self._now = clock.monotonic()
        self.model = model or NFEEModel(camera, start=self._now, pixels=False, seed=seed)
        self.maps = FEEMaps.of(None, camera)
        state = NFEEState(RegisterMap("N-FEE", self.maps.layout), self.maps.numbering)
        self._core = DPUCore(state, self, self._now, expect_data=False)
        self._replies: deque[bytes] = deque()
        self.tickets = TicketBook()
        self._requests = 0
        state.on_read(bytes(self.model.registers.memory))  # the real one reads it in its first slot

    # -- time ----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Lets everything happen that is due up to now, in its order."""
        target = self._clock.monotonic()
        while True:
            due = min(self.model.next_event(), self._core.next_event(self._now))
            if due > target:
                break
            self._step(min(target, max(due, self._now + _SMALLEST_STEP)))
            if self._now >= target:
                break
        self._step(target)

    def _step(self, now: float) -> None:
        self._now = now
        timestamp = self._clock.now() - (self._clock.monotonic() - now)
        while self.model.next_event() <= now:
            for packet in self.model.step(now):
                self._core.handle(packet, now, timestamp)
        self._core.step(now, timestamp)
        while self._replies:
            self._core.handle(self._replies.popleft(), now, timestamp)
            self._core.step(now, timestamp)

    # -- backend -------------------------------------------------------------------------------------------------

    def query(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """See `DPUBackend`."""
        self._advance()
        if name == "registers":
            return bytes(self._core.state.registers.memory)
        if name == "register_value":
            return self._core.state.registers[(arguments or {})["name"]]
        if name == "housekeeping":
            return {"rows": [], "first": 0}  # a dry run keeps nothing
        return self._core.status()

    def command(self, commands: Commands) -> dict[str, Any]:
        """See `DPUBackend`."""
        record = self.submit(commands)
        self._let_pass(lambda: self.tickets.find(record.id).state in _ENDED, _LONGEST_SLOT_WAIT)
        record = self.tickets.find(record.id)
        if not record.has_reached(TicketState.ACKNOWLEDGED):
            raise TimeoutError(f"{record.commands[0]} was not sent within {_LONGEST_SLOT_WAIT:g} s")
        return {"timecode": record.timecode, "timestamp": record.acknowledged, "ticket": record.id}

    def submit(self, commands: Commands) -> TicketRecord:
        """See `DPUBackend`."""
        self._advance()
        self._requests += 1
        record = self.tickets.open(f"dry-{self._requests}", [name for name, _ in commands], self._clock.now())
        self._core.submit(self._requests, commands)
        self._advance()
        return record

    def wait(self, ticket: str, state: TicketState, timeout: float) -> TicketRecord:
        """See `DPUBackend`."""
        reached = (state, TicketState.FAILED, TicketState.IN_EFFECT)
        self._let_pass(lambda: self.tickets.find(ticket).state in reached, timeout)
        return self.tickets.find(ticket)

    def _let_pass(self, condition: Callable[[], bool], longest: float) -> None:
        """Lets time pass until a condition holds, or it is `longest` [s] later."""
        deadline = self._clock.monotonic() + longest
        self._advance()
        while not condition():
            now = self._clock.monotonic()
            if now > deadline:
                return
            due = min(self.model.next_event(), self._core.next_event(now))
            self._clock.sleep(min(max(due - now, 0.01), 0.25))
            self._advance()

    def is_up_to_date(self) -> bool:
        """Always: the maps are those of the model."""
        return True

    def hdf5_files(self, obsid: str) -> list[str]:
        """A dry run writes no files."""
        return []

    def connect(self) -> None:
        """There is nothing to connect."""

    def disconnect(self) -> None:
        """There is nothing to disconnect."""

    def is_connected(self) -> bool:
        """Always: the model is in this process."""
        self._advance()
        return True

    def is_simulator(self) -> bool:
        """Always."""
        return True

    def status(self) -> dict[str, Any]:
        """Nothing besides the mirror."""
        return {}

    # -- what the core asks for ----------------------------------------------------------------------------------

    def send(self, packet: bytes) -> None:
        """Passes a packet to the model."""
        self._replies.extend(self.model.handle(packet, self._now))

    def pulse(self, number: int, is_long: bool, timestamp: float) -> None:
        """Tickets look at the pulses."""
        self.tickets.on_pulse(number, is_long, timestamp)

    def sending(self, request: int, timecode: int | None, timestamp: float) -> None:
        """Notes it on the ticket."""
        self.tickets.on_sent(f"dry-{request}", timecode, timestamp)

    def finished(self, request: int, value: Any, error: Exception | None) -> None:
        """Notes it on the ticket."""
        if error is not None:
            self.tickets.on_failed(f"dry-{request}", error)
            return
        self.tickets.on_acknowledged(
            f"dry-{request}", Effect(value["effect"]), value["timecode"], value["pulse"], value["timestamp"]
        )

    def counting(self, num_cycles: int, frame_counter: int) -> None:
        """There is no successor."""

    def fee_found(self, restarted: bool, reason: str, timestamp: float) -> None:
        """Tickets of what has not taken effect yet fail."""
        self.tickets.on_fee_lost(FEERestartedError(reason))

    def is_wanted(self, identifier: MessageIdentifier) -> bool:
        return False

    def publish(self, identifier: MessageIdentifier, payload: Any) -> None:
        """Nobody listens."""

    def begin_cycle(self, timestamp: float, facts: dict[str, Any]) -> None:
        """Nothing is kept."""

    def record(self, kind: Kind, payload: bytes | bytearray | memoryview, timestamp: float) -> None:
        """Nothing is kept."""

    def record_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> None:
        """Nothing is kept."""

    def end_cycle(self) -> None:
        """Nothing is kept."""

    def housekeeping(self, area: bytes, timestamp: float) -> None:
        """Nothing is kept."""
