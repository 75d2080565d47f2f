"""Execution of the commands of one Controller: found, checked, journalled, done, and remembered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import asdict

from egse.authority import AuthorityError
from egse.command import CommandDefinition, CommandError, commands_of, is_urgent
from egse.context import command_context
from egse.deferral import Deferred, is_deferred
from egse.journal import Journal
from egse.maintenance import DeviceReservedError
from egse.outcomes import Outcomes
from egse.response import Failure, Message, Response, Success, describe_error, register_error
from egse.security.roles import ANYBODY, Caller, Role, role_of
from egse.setup.errors import NoSetupError
from egse.wire import DECODING_ERRORS, Reply, Request, encode, encode_bare

logger = logging.getLogger(__name__)


@register_error
class ExpiredCommandError(TimeoutError):
    """A command came too late: its client had given up already, so it was not executed."""


REFUSALS = (CommandError, ExpiredCommandError, AuthorityError, DeviceReservedError, NoSetupError)
"""Errors of commands that were not executed."""

_Plan = tuple[CommandDefinition, Callable[..., Any], Callable[[Any], Any], bool]
"""Definition, method, the quick way to the arguments of a request, and whether the result stands in the journal."""


def _no_quick_way(packed: Any) -> Any:
    raise TypeError


class Dispatcher:
    """Finds the commands of an interface on the object that executes them."""

    def __init__(self, interface: type, target: Any) -> None:
        self.table: dict[str, tuple[CommandDefinition, Callable[..., Any]]] = {}
        self.add(interface, target)
        self.urgent = frozenset(name for name in self.table if is_urgent(interface, name))
        self.deferred = frozenset(name for name in self.table if is_deferred(interface, name))
        self.plans: dict[str, _Plan] = {}

    def add(self, interface: type, target: Any) -> None:
        """Adds the commands of one more interface, and the object that executes them."""
        for name, definition in commands_of(interface).items():
            self.table[name] = definition, getattr(target, name)

    def find(self, name: str) -> _Plan:
        """Returns what is needed to execute a command, and keeps it in `plans`; raises CommandError when there is none."""
        entry = self.table.get(name)
        if entry is None:
            raise CommandError(f"there is no command `{name}` here")
        definition, method = entry
        decode = definition.codec.decode if definition.codec else _no_quick_way
        plan = definition, method, decode, role_of(definition) is Role.OBSERVE
        self.plans[name] = plan
        return plan


class CommandExecutor:
    """Executes requests one after the other, each at most once.

    Args:
        dispatcher: finds the commands.
        journal: where begin and end of each command are recorded; None for a core service.
        incarnation: which life of the server answers.
        inline: commands of the server itself, by name; everybody who may connect may send them.
        admit: raises AuthorityError for a command that its caller may not send now; None when everybody may.
        check_setup: raises CommandError for a command that was issued under another Setup than is loaded.
        check_device: raises an error for a command that the device cannot take now.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        journal: Journal | None,
        incarnation: str,
        inline: dict[str, Callable[[], Any]],
        admit: Callable[[CommandDefinition, Request, Caller], None] | None = None,
        check_setup: Callable[[CommandDefinition, str], None] | None = None,
        check_device: Callable[[CommandDefinition], None] | None = None,
    ) -> None:
        self.commands = dispatcher
        self.counters = {
            "commands": 0,
            "failures": 0,
            "refused": 0,
            "expired": 0,
            "dropped": 0,
            "repeated": 0,
        }
        self.outcomes = Outcomes(None if journal is None else journal.folder)
        self._journal = journal
        self._incarnation = incarnation
        self._inline = inline
        self._admit = admit
        self._check_setup = check_setup
        self._check_device = check_device

    def answer(self, request: Request, caller: Caller = ANYBODY) -> bytes | Deferred | None:
        """Executes a request and returns the encoded reply: the one place where errors become data.

        Returns:
            None for a request that was executed before and whose answer is not there (yet, or any more); a `Deferred`
            for one that was begun and is answered later.
        """
        outcomes = self.outcomes
        if request.id in outcomes.newer or request.id in outcomes.older:
            self.counters["repeated"] += 1
            return outcomes.answer(request.id)
        inline = request.name in self._inline
        try:
            value = self._inline[request.name]() if inline else self._execute(request, caller)
            if isinstance(value, Future):
                return self._defer(request, caller, value)
            reply = Reply(request.id, self._incarnation, value)
            try:
                answer = encode_bare(reply)
            except DECODING_ERRORS:
                answer = encode(reply)  # which tells what is wrong
        except Exception as exc:
            self._count_failure(request, exc, caller)
            answer = encode(Reply(request.id, self._incarnation, None, describe_error(exc)))
            if not inline:
                outcomes.end(request.id, answer, failed=True)
            return answer
        if not inline:
            outcomes.end(request.id, answer)
        return answer

    def _defer(self, request: Request, caller: Caller, future: Future[Any]) -> Deferred:
        if request.name not in self.commands.deferred:
            raise TypeError(f"{request.name} returned a Future; mark it as `deferred` on its interface")
        return Deferred(request.id, partial(self._finish, request, caller, future), future)

    def _finish(self, request: Request, caller: Caller, future: Future[Any]) -> bytes:
        """Ends a deferred command whose future is done, as `answer` and `_execute` end the others."""
        try:
            answer = encode(Reply(request.id, self._incarnation, plain_result(future.result(timeout=0))))
            status, error = "done", ""
        except Exception as exc:
            self._count_failure(request, exc, caller)
            answer = encode(Reply(request.id, self._incarnation, None, describe_error(exc)))
            status, error = "failed", f"{type(exc).__name__}: {exc}"
        if self._journal is not None:
            self._journal.end(request.id, status, error)
        self.outcomes.end(request.id, answer, failed=status == "failed")
        return answer

    def _count_failure(self, request: Request, exc: Exception, caller: Caller) -> None:
        origin = caller.origin(request.context.origin)
        if isinstance(exc, REFUSALS):
            self.counters["refused"] += 1
            logger.warning("%s refused for %s: %s", request.name, origin, exc)
        else:
            self.counters["failures"] += 1
            logger.error("%s failed for %s: %s", request.name, origin, exc, exc_info=exc)

    def _execute(self, request: Request, caller: Caller) -> Any:
        commands = self.commands
        definition, method, decode, is_told = commands.plans.get(request.name) or commands.find(request.name)
        if self._admit is not None:
            self._admit(definition, request, caller)
        now = time.time()
        if 0 < request.deadline < now:
            self.counters["expired"] += 1
            raise ExpiredCommandError(f"{request.name} came after its deadline and was not executed")
        if self._check_device is not None:
            self._check_device(definition)
        if definition.needs_setup and self._check_setup is not None:
            self._check_setup(definition, request.context.setup)
        try:
            arguments = asdict(decode(request.args))
        except DECODING_ERRORS:
            arguments = definition.unpack(request.args)  # which tells what is wrong
        self.counters["commands"] += 1
        self.outcomes.newer[request.id] = None  # it has begun
        journal = self._journal
        if journal is None:
            return plain_result(method(**arguments))
        context = request.context
        if caller is not ANYBODY:
            context = msgspec.structs.replace(context, origin=caller.origin(context.origin))
        journal.begin(request.id, request.name, arguments, context, now)
        try:
            if context.obsid or context.block:
                with command_context(obsid=context.obsid, block=context.block, setup=context.setup):
                    value = method(**arguments)
            else:
                value = method(**arguments)
            if isinstance(value, Response):
                value = plain_result(value)
        except Exception as exc:
            journal.end(request.id, "failed", f"{type(exc).__name__}: {exc}")
            raise
        if not isinstance(value, Future):
            journal.end(request.id, "done", "", value if is_told else None)
        return value


def plain_result(value: Any) -> Any:
    """Takes the result out of a `Success`, raises the cause of a `Failure` (older Controllers return them)."""
    if not isinstance(value, Response):
        return value
    if isinstance(value, Failure):
        raise value.cause if isinstance(value.cause, Exception) else RuntimeError(str(value))
    if isinstance(value, Success):
        return value.return_code
    if isinstance(value, Message):
        return value.message
    return value
