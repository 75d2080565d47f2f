"""Whose turn it is on a busy processor: the threads that carry messages do not push the others aside.

A thread that is woken by a message usually takes the processor from the one that runs there. Where a server, its clients
and the input/output threads of their sockets share few processors, each message then costs several changes of thread, and
each change costs the caches. A thread that waits its turn finds several messages at once. It gets as much of the processor as
before; on Linux this is the policy `SCHED_BATCH`, elsewhere nothing changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def wait_for_turns() -> None:
    """Has this thread wait for its turn, and the threads and processes that it starts from now on; nothing where that is forbidden."""
    _set_policy("SCHED_BATCH", "SCHED_OTHER")


@contextmanager
def patient_threads() -> Iterator[None]:
    """Has the threads that are started inside wait for their turn; the calling thread is as before afterwards."""
    changed = _set_policy("SCHED_BATCH", "SCHED_OTHER")
    try:
        yield
    finally:
        if changed:
            _set_policy("SCHED_OTHER", "SCHED_BATCH")


def _set_policy(name: str, instead_of: str) -> bool:
    """Changes the policy of this thread when it is `instead_of` another; a real-time policy is somebody's choice."""
    with suppress(AttributeError, OSError):  # not Linux, or forbidden
        if os.sched_getscheduler(0) == getattr(os, instead_of):
            os.sched_setscheduler(0, getattr(os, name), os.sched_param(0))
            return True
    return False
