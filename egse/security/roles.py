"""Roles, and which role a command asks for.

There are two roles: `observe` may look (status, housekeeping, queries), `command` may do everything. The role of a
command follows from its definition: a device command of type `query` or `read` observes, everything else commands.
What the definition cannot tell is said by a decorator on the interface, next to `dynamic_command` or
`dynamic_interface`:

    @observe
    @dynamic_interface
    def get_obsid(self) -> str | None: ...

A command that stops or makes safe is open to every key of role `command`, whoever holds control. That goes for commands
whose name begins with the word abort, stop or safe, and for those with `always_allowed`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from egse.command import CommandDefinition

F = TypeVar("F", bound=Callable[..., Any])

_MARKS = "__security_marks__"
_OBSERVE, _CHANGES, _ALWAYS, _CONTROL = "observe", "changes", "always allowed", "needs control"
_OBSERVING_TYPES = ("query", "read")
_SAFE_WORDS = ("abort", "stop", "safe")


class Role(enum.StrEnum):
    """What a key is good for."""

    OBSERVE = "observe"
    COMMAND = "command"

    def permits(self, wanted: Role) -> bool:
        """Says whether this role may execute a command that asks for `wanted`."""
        return self is Role.COMMAND or wanted is Role.OBSERVE


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a command.

    Attributes:
        person: name that the key stands for; empty on a connection without keys.
        role: what that key is good for.
        authenticated: the person has proved to hold the key; otherwise whatever a request says is only claimed.
    """

    person: str
    role: Role
    authenticated: bool

    def origin(self, claimed: str) -> str:
        """Returns who asks, for records: `person (authenticated) user@host:pid` or the bare claim."""
        return f"{self.person} (authenticated) {claimed}" if self.authenticated else claimed


ANYBODY = Caller("", Role.COMMAND, False)
"""The caller on a loopback connection without keys: whoever can log in on this machine."""

_caller: ContextVar[Caller] = ContextVar("caller", default=ANYBODY)


def current_caller() -> Caller:
    """Returns who sent the command that this thread executes."""
    return _caller.get()


def set_current_caller(caller: Caller) -> None:
    """Tells the command that this thread executes next who sent it."""
    _caller.set(caller)


def observe(function: F) -> F:
    """Decorator for a command that changes nothing: role `observe` is enough, and control is not needed."""
    return _mark(function, _OBSERVE)


def changes(function: F) -> F:
    """Decorator for a device command of type `query` or `read` that does change something: asks for role `command`."""
    return _mark(function, _CHANGES)


def always_allowed(function: F) -> F:
    """Decorator for a command that makes safe: role `command` is enough, whoever holds control."""
    return _mark(function, _ALWAYS)


def needs_control(function: F) -> F:
    """Decorator for a command of a core service that only the holder of control may send.

    All commands of devices do, unless they observe or make safe; those of core services do not unless marked.
    """
    return _mark(function, _CONTROL)


def role_of(definition: CommandDefinition) -> Role:
    """Returns the role that a command asks for."""
    marks = _marks(definition.function)
    if _CHANGES in marks:
        return Role.COMMAND
    if _OBSERVE in marks or definition.cmd_type in _OBSERVING_TYPES:
        return Role.OBSERVE
    return Role.COMMAND


def is_under_control(definition: CommandDefinition, *, device: bool) -> bool:
    """Says whether only the holder of control may send a command (where control is required).

    Args:
        definition: the command.
        device: it is a command of a device, not of a core service.
    """
    marks = _marks(definition.function)
    if role_of(definition) is Role.OBSERVE or _ALWAYS in marks:
        return False
    if definition.name.split("_")[0] in _SAFE_WORDS:
        return _CONTROL in marks
    return device or _CONTROL in marks


def _mark(function: F, mark: str) -> F:
    definition = getattr(function, "__command__", None)
    bare = function if definition is None else definition.function
    setattr(bare, _MARKS, _marks(bare) | {mark})
    return function


def _marks(function: Callable[..., Any]) -> frozenset[str]:
    return getattr(function, _MARKS, frozenset())
