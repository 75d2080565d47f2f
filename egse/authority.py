"""Commanding authority: who may command a site now.

One operator session at a time holds *control* of a site: a kernel with its panels, or a queue with what it starts. The
configuration manager grants it with a number, the epoch, that grows with every grant; servers refuse commands that come
under an older one. It is a lease: it falls free when the session dies. Where the Settings say `SITE: CONTROL: required`
the commands of devices (and those of core services that ask for it) need it:

    with control(reason="thermal balance test"):
        lakeshore.set_temperature(...)

Others can look on; abort, stop and safe commands are open to every key that may command. Somebody else's control is
taken over with `control(reason="...", force=True)`.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from egse.command import CommandDefinition, dynamic_interface
from egse.proxy import DynamicProxy, command_origin
from egse.response import register_error
from egse.security.keys import SERVER, is_required
from egse.security.roles import ANYBODY, Caller, Role, is_under_control, observe, role_of, set_current_caller
from egse.security.token import clear_token, current_token, new_session, session_digest, set_token
from egse.wire import Request

logger = logging.getLogger(__name__)

STALE = 2.0
"""A server asks the configuration manager again who holds control after this long [s]."""
RETRY = 5.0
"""The same while the configuration manager is away [s]; what was known last stays true meanwhile."""
PATIENCE = 0.3
"""How long a command waits for that answer [s]."""


@register_error
class AuthorityError(PermissionError):
    """A command was refused because of who sent it."""


@register_error
class RoleError(AuthorityError):
    """The key of the caller is good for observing only."""


@register_error
class ControlError(AuthorityError):
    """The caller does not hold control of the site."""


class ControlInterface:
    """Commands of the configuration manager about the control of its site."""

    @dynamic_interface
    def take_control(
        self, session: str, reason: str = "", force: bool = False, member: str = "", origin: str = ""
    ) -> dict[str, Any]:
        """Takes control for an operator session; a session that has it already is joined by one more member.

        Args:
            session: secret name of the session, made up by its first client.
            reason: what for; needed to take over.
            force: take over from whoever has it.
            member: name of the client process within the session.
            origin: who asks, `user@host:pid`; filled in by the client.

        Returns:
            As `get_control`, and `lease`: how long it lasts without `renew_control` [s].

        Raises:
            ControlError: when somebody else has it (the text names holder, reason and time), or a reason is missing.
        """

    @dynamic_interface
    def release_control(self, session: str, epoch: int, member: str = "") -> bool:
        """Gives control back; it is free when the last member of the session did so. False when it was lost before."""

    @dynamic_interface
    def renew_control(self, session: str, epoch: int, member: str = "") -> float:
        """Keeps control; returns the length of the lease [s].

        Raises:
            ControlError: when it is lost; the text names the new holder.
        """

    @observe
    @dynamic_interface
    def get_control(self) -> dict[str, Any]:
        """Returns who has control.

        Returns:
            `epoch` (of the last grant), `holder` (who, empty when it is free), `person` (when authenticated),
            `session` (digest of its name), `since` (UTC), `reason`.
        """


class ControlProxy(DynamicProxy, ControlInterface):
    """Client of the configuration manager for the control of the site."""

    settings_name = "Configuration Manager Control Server"
    server_name = "cm_cs"


class ControlState(msgspec.Struct, frozen=True):
    """What `get_control` tells."""

    epoch: int = 0
    holder: str = ""
    person: str = ""
    session: str = ""
    since: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if not self.holder:
            return "nobody has control of this site"
        return f"control is held by {self.holder} since {self.since}" + (
            f" ({self.reason})" if self.reason else ""
        )


# -- client ------------------------------------------------------------------------------------------------------------


class Grant:
    """Control of the site, as this process holds it.

    Attributes:
        epoch: number of the grant.
        lost: True once somebody took it over, or the lease lapsed.
    """

    def __init__(self, proxy: ControlProxy, session: str, answer: dict[str, Any], member: str) -> None:
        self.epoch = int(answer["epoch"])
        self.lease = float(answer["lease"])
        self.lost = False
        self.depth = 1
        self._proxy = proxy
        self._session = session
        self._member = member
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        if self.lease > 0:  # a dry run grants without a lease, and its token means nothing to a server
            set_token(session, self.epoch)
            self._thread = threading.Thread(target=self._renew, name="control-lease", daemon=True)
            self._thread.start()

    def __repr__(self) -> str:
        return f"<control of the site, epoch {self.epoch}{', lost' if self.lost else ''}>"

    def _renew(self) -> None:
        while not self._end.wait(self.lease / 3):
            try:
                self._proxy.renew_control(self._session, self.epoch, self._member)
            except AuthorityError as exc:
                self.lost = True
                logger.warning("control of the site is lost: %s", exc)
                return
            except (OSError, KeyError) as exc:
                logger.debug("control not renewed, tried again: %s", exc)

    def release(self) -> None:
        """Gives control back."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=self._proxy.timeout)
        try:
            if not self.lost:
                self._proxy.release_control(self._session, self.epoch, self._member)
        except (OSError, AuthorityError) as exc:
            logger.warning("control not given back, it falls free in %g s: %s", self.lease, exc)
        finally:
            self._proxy.disconnect_cs()


_lock = threading.RLock()
_grant: Grant | None = None
_inherited: tuple[str, int] = ("", 0)


def take_control(reason: str = "", *, force: bool = False) -> Grant:
    """Takes control of the site until `release_control`, or the end of this process.

    Args:
        reason: what for; shown to others, and needed to take over.
        force: take it over from whoever has it.

    Raises:
        ControlError: when somebody else has it.
        ConnectionError: when the configuration manager does not answer.
    """
    global _grant, _inherited
    with _lock:
        if _grant is not None and not _grant.lost:
            _grant.depth += 1
            return _grant
        if _grant is None:
            _inherited = current_token()
        session = _inherited[0] or new_session()
        member = f"{command_origin()}-{secrets.token_hex(4)}"
        proxy = ControlProxy(timeout=5.0)
        try:
            answer = proxy.take_control(session, reason, force, member, command_origin())
        except BaseException:
            proxy.disconnect_cs()
            raise
        _grant = Grant(proxy, session, answer, member)
        return _grant


def release_control() -> None:
    """Gives control back; nothing happens when this process does not hold it."""
    global _grant
    with _lock:
        grant = _grant
        if grant is None:
            return
        grant.depth -= 1
        if grant.depth > 0:
            return
        _grant = None
        grant.release()
        if grant.lease > 0:
            # What this process got from its parent it still has: the parent's own lease keeps it alive.
            if _inherited[0]:
                set_token(*_inherited)
            else:
                clear_token()


@contextmanager
def control(reason: str = "", *, force: bool = False) -> Iterator[Grant]:
    """Holds control of the site inside the `with` block; see `take_control`."""
    grant = take_control(reason, force=force)
    try:
        yield grant
    finally:
        release_control()


def get_control(*, timeout: float = 2.0) -> ControlState:
    """Returns who has control of the site; raises ConnectionError when the configuration manager is away."""
    proxy = ControlProxy(timeout=timeout)
    try:
        return msgspec.convert(proxy.get_control(), ControlState)
    finally:
        proxy.disconnect_cs()


@atexit.register
def _release_at_exit() -> None:
    if _grant is not None:
        _grant.depth = 1
        release_control()


# -- server ------------------------------------------------------------------------------------------------------------


class ControlWatch:
    """What a server knows about control: asked when it may have changed, kept while nobody answers.

    Args:
        ask: returns what `get_control` returns; raises OSError when nobody answers.
        stale: how long an answer is good for [s].
    """

    def __init__(self, ask: Callable[[], dict[str, Any]], stale: float = STALE) -> None:
        self._ask = ask
        self._stale = stale
        self._state: ControlState | None = None
        self._lock = threading.Lock()
        self._away = False
        self._next = 0.0

    def state(self, epoch: int) -> ControlState | None:
        """Returns who has control; None when nobody could ever tell.

        Args:
            epoch: under which a command came; a higher one than known makes the server ask.
        """
        with self._lock:
            now = time.monotonic()
            newer = self._state is not None and epoch > self._state.epoch and not self._away
            if now >= self._next or newer:
                self._refresh()
            return self._state

    def _refresh(self) -> None:
        self._away = False
        try:
            state = msgspec.convert(self._ask(), ControlState)
            # Epochs only grow: an older answer comes from a configuration manager that has lost its memory.
            if self._state is None or state.epoch >= self._state.epoch:
                self._state = state
            else:
                logger.error("configuration manager tells epoch %d after %d", state.epoch, self._state.epoch)
        except (OSError, KeyError, msgspec.ValidationError) as exc:
            self._away = True
            logger.warning("who has control is not known: %s", exc)
        self._next = time.monotonic() + (RETRY if self._away else self._stale)


class Gate:
    """Admits or refuses the commands of one server.

    Args:
        device: they are commands of a device; those of a core service need control only where marked.
        ask: where to ask who has control, for the server that knows it itself; the configuration manager when None.
    """

    def __init__(self, *, device: bool, ask: Callable[[], dict[str, Any]] | None = None) -> None:
        self._device = device
        self._required = is_required("CONTROL")
        self._proxy = ControlProxy(timeout=PATIENCE)
        self._watch = ControlWatch(ask, 0.0) if ask else ControlWatch(self._proxy.get_control)
        self._rules: dict[str, tuple[Role, bool]] = {}

    @property
    def is_open(self) -> bool:
        """True when whoever may connect without a key may send every command."""
        return not self._required

    def admit(self, definition: CommandDefinition, request: Request, caller: Caller) -> None:
        """Returns when the command may be executed.

        Raises:
            RoleError: when the role of the caller does not permit it.
            ControlError: when it needs control and the caller does not hold it.
        """
        if caller is ANYBODY and not self._required:
            return
        set_current_caller(caller)
        rule = self._rules.get(definition.name)
        if rule is None:
            rule = (role_of(definition), is_under_control(definition, device=self._device))
            self._rules[definition.name] = rule
        role, controlled = rule
        check_role(definition.name, role, caller)
        if controlled and self._required and not (caller.authenticated and caller.person == SERVER):
            self._check_control(definition.name, request, caller)

    def admit_service(self, definition: CommandDefinition, request: Request, caller: Caller) -> None:
        """The same for a service command: control is never needed, the role is."""
        if caller is not ANYBODY:
            set_current_caller(caller)
            check_role(definition.name, role_of(definition), caller)

    def _check_control(self, name: str, request: Request, caller: Caller) -> None:
        state = self._watch.state(request.epoch)
        if state is None:
            raise ControlError(
                f"{name} needs control of the site, and who has it is not known: cm_cs does not answer"
            )
        if not state.holder:
            raise ControlError(f"{name} needs control of the site: `with control(reason=...):` ({state})")
        if session_digest(request.session) != state.session or (
            caller.authenticated and caller.person != state.person
        ):
            raise ControlError(f"{name} refused: {state}")
        if request.epoch != state.epoch:
            raise ControlError(
                f"{name} refused: it came under epoch {request.epoch}, which is over; {state}, epoch {state.epoch}"
            )

    def close(self) -> None:
        """Closes the connection to the configuration manager."""
        self._proxy.disconnect_cs()


def check_role(name: str, wanted: Role, caller: Caller) -> None:
    """Raises RoleError unless the role of the caller permits a command that asks for `wanted`."""
    if not caller.role.permits(wanted):
        raise RoleError(f"{name} needs the role `{wanted}`; the key of {caller.person} has `{caller.role}`")
