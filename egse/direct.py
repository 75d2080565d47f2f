"""Controllers used directly, without their control server (manual, section 13.1.1): recorded, and refused in operations.

A Controller in a notebook reaches the hardware past everything that protects it: the order of commands, the control of the
site, the journal. In the laboratory that is handy, so such commands are executed and stand in a journal of their own,
`<data>/<SITE>/journal/direct_<Controller>`. Where the settings require control of the site (`SITE: CONTROL: required`) they
are refused, unless somebody gives a reason and holds control:

    with control(reason="the server is being repaired"), direct_use("reading the error memory"):
        with PunaController() as puna:
            puna.info()
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import msgspec

from egse.command import CommandDefinition
from egse.context import get_command_context
from egse.device import DeviceError, DeviceTransport
from egse.env import EnvError, get_data_storage_location
from egse.journal import Journal
from egse.response import register_error
from egse.security.keys import is_required
from egse.security.token import current_token

T = TypeVar("T")


@register_error
class DirectUseError(DeviceError):
    """A Controller was used without its control server where that is not allowed; nothing was sent."""


_serving = False
_reason: ContextVar[str] = ContextVar("direct_use", default="")
_inside: ContextVar[bool] = ContextVar("inside_direct_command", default=False)
_journals: dict[str, Journal] = {}
_lock = threading.Lock()


def serve_devices() -> None:
    """Says that this process is a control server: Controllers are in their place here."""
    global _serving
    _serving = True


@contextmanager
def direct_use(reason: str) -> Iterator[None]:
    """Allows Controllers without their control server inside the `with` block, also in operations.

    Args:
        reason: why; it stands in the journal.

    Raises:
        DirectUseError: when there is no reason, or the site requires control and this session does not hold it.
    """
    if not reason.strip():
        raise DirectUseError("direct use of a device needs a reason, it stands in the journal")
    if is_required("CONTROL") and not current_token()[0]:
        raise DirectUseError("direct use of a device needs control of the site: `with control(reason=...):`")
    token = _reason.set(reason)
    try:
        yield
    finally:
        _reason.reset(token)


def is_direct(transport: DeviceTransport | None) -> bool:
    """Returns True when a command on this transport goes to hardware from outside a control server."""
    return not _serving and transport is not None and transport.reaches_hardware and not _inside.get()


def execute_directly(
    controller: Any, definition: CommandDefinition, arguments: dict[str, Any], function: Callable[[], T]
) -> T:
    """Executes a command of a Controller that is used without its server, between the two records of the journal.

    Args:
        controller: the Controller.
        definition: the command.
        arguments: all of them by name.
        function: does it; commands that it sends on its way are part of this one.

    Raises:
        DirectUseError: the site does not allow it.
    """
    if is_required("CONTROL") and not _reason.get():
        raise DirectUseError(
            f"{type(controller).__name__}.{definition.name}: this site requires control, and a Controller without its "
            "control server goes past it. Use the Proxy, or say why not: `with direct_use(reason):` (egse.direct)"
        )
    journal = _journal_of(type(controller).__name__)
    token = _inside.set(True)
    try:
        if journal is None:
            return function()
        number = f"direct-{secrets.token_hex(6)}"
        context = get_command_context()
        reason = f" (directly: {_reason.get() or 'no reason given'})"
        journal.begin(
            number,
            definition.name,
            arguments,
            msgspec.structs.replace(context, origin=context.origin + reason),
            time.time(),
        )
        try:
            value = function()
        except Exception as exc:
            journal.end(number, "failed", f"{type(exc).__name__}: {exc}")
            raise
        journal.end(number, "done")
        return value
    finally:
        _inside.reset(token)


def _journal_of(name: str) -> Journal | None:
    """Returns the journal of the Controllers of one class; None outside any site, where there is no place for it."""
    try:
        folder = get_data_storage_location() / "journal" / f"direct_{name}"
    except EnvError:
        return None
    with _lock:
        journal = _journals.get(str(folder))
        if journal is None:
            journal = _journals[str(folder)] = Journal(folder, f"direct_{name}", secrets.token_hex(4))
        return journal
