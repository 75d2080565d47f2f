"""The control token of this process: what it sends along with every command.

The operator session is one kernel with its panels, or a queue with the processes that it starts: child processes take
the token over through the environment variable `CGSE_CONTROL_TOKEN`, which like all of a process's environment only
its own user can read. Servers compare digests, so that the token itself is told by nobody but its holder.
"""

from __future__ import annotations

import hashlib
import os
import secrets

CONTROL_TOKEN = "CGSE_CONTROL_TOKEN"
"""The environment variable that hands the token of a session to child processes: `SESSION:EPOCH`."""


def _read() -> tuple[str, int]:
    session, _, epoch = os.environ.get(CONTROL_TOKEN, "").rpartition(":")
    return (session, int(epoch)) if session and epoch.isdigit() else ("", 0)


_token = _read()


def current_token() -> tuple[str, int]:
    """Returns session and epoch under which this process holds control; `("", 0)` when it does not."""
    return _token


def set_token(session: str, epoch: int) -> None:
    """Sets the token of this process and of the child processes that it starts from now on."""
    global _token
    _token = (session, epoch)
    os.environ[CONTROL_TOKEN] = f"{session}:{epoch}"


def clear_token() -> None:
    """Forgets the token."""
    global _token
    _token = ("", 0)
    os.environ.pop(CONTROL_TOKEN, None)


def new_session() -> str:
    """Returns a session name that nobody can guess."""
    return secrets.token_urlsafe(18)


def session_digest(session: str) -> str:
    """Returns what may be told about a session: enough to recognise it, not to impersonate it."""
    return hashlib.sha256(session.encode()).hexdigest() if session else ""
