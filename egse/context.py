"""What every command carries along: who sends it, and the Setup, observation and building block that it belongs to."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

import msgspec


class CommandContext(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The circumstances of a command; they travel with it and stand in the journal.

    Attributes:
        origin: who asks, `user@host:pid`; claimed, not authenticated.
        setup: the Setup that the client works with, empty when none is loaded; see `egse.setup.stamp`.
        obsid: full obsid of the running observation, empty outside.
        block: name of the active building block, empty outside.
    """

    origin: str = ""
    setup: str = ""
    obsid: str = ""
    block: str = ""

    def within(self, base: CommandContext) -> CommandContext:
        """Returns this context with what it leaves open taken from `base`; the building block is its own."""
        return CommandContext(base.origin, self.setup or base.setup, self.obsid or base.obsid, self.block)


def command_origin() -> str:
    """Returns who sends commands from this process: `user@host:pid`."""
    return f"{getpass.getuser()}@{socket.gethostname()}:{os.getpid()}"


_context: ContextVar[CommandContext | None] = ContextVar("command_context", default=None)
_process_context = CommandContext(command_origin())
_setup_source: Callable[[], str] | None = None
_guard: Callable[[], None] | None = None


def guard_commands(guard: Callable[[], None] | None) -> None:
    """Has `guard` called before each command of this process, in the thread that sends it; None ends that.

    What it raises reaches the caller of the command, which is not sent.
    """
    global _guard
    _guard = guard


def get_command_context() -> CommandContext:
    """Returns the context that commands are sent with now, unless the guard of commands raises."""
    if _guard is not None:
        _guard()
    if _setup_source is None and _context.get() is None:
        return _process_context  # as `peek_command_context` says, only sooner
    return peek_command_context()


def peek_command_context() -> CommandContext:
    """Returns the context that commands are sent with now, for records of other things than commands."""
    if _setup_source is not None and (setup := _setup_source()) != _process_context.setup:
        set_command_context(setup=setup)
    context = _context.get()
    return _process_context if context is None else context.within(_process_context)


def set_command_context(*, obsid: str | None = None, setup: str | None = None) -> None:
    """Sets observation or Setup for all commands of this process; None leaves a field as it is."""
    global _process_context
    base = _process_context
    _process_context = CommandContext(
        base.origin, base.setup if setup is None else setup, base.obsid if obsid is None else obsid
    )


def follow_setup(source: Callable[[], str] | None) -> None:
    """Has `source` asked for the Setup of each command of this process; None ends that, with no Setup."""
    global _setup_source
    _setup_source = source
    if source is None:
        set_command_context(setup="")


@contextmanager
def command_context(*, obsid: str = "", block: str = "", setup: str = "") -> Iterator[None]:
    """Sets the context for commands sent inside the `with` block (by this thread or task)."""
    token = _context.set(CommandContext("", setup, obsid, block))
    try:
        yield
    finally:
        _context.reset(token)


enter_command_context: Callable[[CommandContext], Token[CommandContext | None]] = _context.set
"""Sets the context for commands of this thread or task until `leave_command_context`; see `command_context`."""

leave_command_context: Callable[[Token[CommandContext | None]], None] = _context.reset
"""Sets the context back to what it was; takes what `enter_command_context` returned."""


def _renew_origin() -> None:
    global _process_context
    base = _process_context
    _process_context = CommandContext(command_origin(), base.setup, base.obsid)


os.register_at_fork(after_in_child=_renew_origin)
