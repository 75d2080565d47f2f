"""The control token of a site, as the configuration manager keeps it (see `egse.authority`)."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import msgspec

from egse.authority import ControlError, ControlInterface, ControlState
from egse.clock import Clock
from egse.files import write_atomically
from egse.security.roles import current_caller
from egse.security.token import session_digest
from egse.system import format_datetime

LOGGER = logging.getLogger(__name__)

LEASE = 30.0
"""How long control lasts without being renewed [s]."""

FILENAME = "control.json"


class ControlToken:
    """Grants control to one session at a time; survives a restart of the configuration manager.

    Args:
        folder: where the last grant is kept, durably: epochs must never go back.
        clock: for leases and times.
        lease: how long control lasts without being renewed [s].

    Raises:
        ControlError: when the file of the last grant is damaged.
    """

    def __init__(self, folder: Path, clock: Clock, lease: float = LEASE) -> None:
        self._file = folder / FILENAME
        self._clock = clock
        self._lock = threading.Lock()
        self.lease = lease
        self._state = self._read()
        # After a restart the members are not known; whoever renews is one, and has a full lease to do so.
        self._members = {"": clock.monotonic() + lease} if self._state.holder else {}

    def take(
        self, session: str, reason: str = "", force: bool = False, member: str = "", origin: str = ""
    ) -> dict[str, Any]:
        """See `ControlInterface.take_control`."""
        if len(session) < 16:
            raise ControlError("the name of a session needs 16 characters or more that nobody can guess")
        with self._lock:
            self._drop_lapsed()
            caller = current_caller()
            before = self._state
            is_own = bool(before.holder) and session_digest(session) == before.session
            if is_own and caller.person == before.person:
                self._members[member] = self._clock.monotonic() + self.lease
                return self._answer()
            if before.holder and not force:
                raise ControlError(f"{before}; take it over with force=True and a reason")
            if before.holder and not reason.strip():
                raise ControlError(f"taking over needs a reason; {before}")
            self._grant(
                ControlState(
                    before.epoch + 1,
                    caller.origin(origin) or "unknown",
                    caller.person,
                    session_digest(session),
                    format_datetime(),
                    reason.strip(),
                ),
                member,
            )
            if before.holder:
                LOGGER.warning("control taken over by %s: %s (%s)", self._state.holder, reason, before)
            else:
                LOGGER.info("%s, epoch %d", self._state, self._state.epoch)
            return self._answer()

    def release(self, session: str, epoch: int, member: str = "") -> bool:
        """See `ControlInterface.release_control`."""
        with self._lock:
            if not self._is_held(session, epoch):
                return False
            self._members.pop(member, None)
            self._members.pop("", None)
            if not self._members:
                self._free("given back")
            return True

    def renew(self, session: str, epoch: int, member: str = "") -> float:
        """See `ControlInterface.renew_control`."""
        with self._lock:
            self._drop_lapsed()
            if not self._is_held(session, epoch):
                raise ControlError(f"control under epoch {epoch} is over: {self._state}")
            self._members[member] = self._clock.monotonic() + self.lease
            return self.lease

    def state(self) -> ControlState:
        """Returns who has control now."""
        with self._lock:
            self._drop_lapsed()
            return self._state

    def _answer(self) -> dict[str, Any]:
        return {**msgspec.structs.asdict(self._state), "lease": self.lease}

    def _is_held(self, session: str, epoch: int) -> bool:
        state = self._state
        return bool(state.holder) and epoch == state.epoch and session_digest(session) == state.session

    def _drop_lapsed(self) -> None:
        now = self._clock.monotonic()
        self._members = {member: due for member, due in self._members.items() if due > now}
        if self._state.holder and not self._members:
            self._free("its lease lapsed")

    def _grant(self, state: ControlState, member: str) -> None:
        # On disk before anybody knows of it: an epoch is never given twice.
        write_atomically(self._file, msgspec.json.encode(state), 0o600)
        self._state = state
        self._members = {member: self._clock.monotonic() + self.lease}

    def _free(self, why: str) -> None:
        LOGGER.info("control of %s, epoch %d: %s", self._state.holder, self._state.epoch, why)
        state = ControlState(epoch=self._state.epoch)
        write_atomically(self._file, msgspec.json.encode(state), 0o600)
        self._state = state
        self._members = {}

    def _read(self) -> ControlState:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=ControlState)
        except FileNotFoundError:
            return ControlState()
        except msgspec.MsgspecError as exc:
            raise ControlError(
                f"{self._file} is damaged ({exc}): repair it, the epoch must not go back"
            ) from exc


class ControlCommands(ControlInterface):
    """Mix-in of the configuration manager: the commands about control."""

    control: ControlToken

    def take_control(
        self, session: str, reason: str = "", force: bool = False, member: str = "", origin: str = ""
    ) -> dict[str, Any]:
        return self.control.take(session, reason, force, member, origin)

    def release_control(self, session: str, epoch: int, member: str = "") -> bool:
        return self.control.release(session, epoch, member)

    def renew_control(self, session: str, epoch: int, member: str = "") -> float:
        return self.control.renew(session, epoch, member)

    def get_control(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self.control.state())


class DryControlCommands(ControlInterface):
    """The same in a dry run: whoever asks gets control, and there is nobody else."""

    def take_control(
        self, session: str, reason: str = "", force: bool = False, member: str = "", origin: str = ""
    ) -> dict[str, Any]:
        return {**msgspec.structs.asdict(ControlState(reason=reason)), "lease": 0.0}

    def release_control(self, session: str, epoch: int, member: str = "") -> bool:
        return True

    def renew_control(self, session: str, epoch: int, member: str = "") -> float:
        return 0.0

    def get_control(self) -> dict[str, Any]:
        return msgspec.structs.asdict(ControlState())
