"""The core services that an observation needs, and the patience to talk to them while they restart."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from egse.confman import ConfigurationManagerProxy
from egse.settings import SettingsError
from egse.storage import StorageFullError, StorageProxy

LOGGER = logging.getLogger(__name__)

PATIENCE = 30.0
"""How long an idempotent call is repeated while its server is away [s]: a supervised restart takes a few seconds."""
ROOM_PATIENCE = 600.0
"""How long the end of a run waits for room on a full data disk [s]: what it has measured is worth more than the time."""
REMINDER = 30.0
"""What is waited for is said once in so long [s]."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 2.0

R = TypeVar("R")


def configuration_manager(timeout: float = 10.0) -> ConfigurationManagerProxy:
    """Returns a new proxy for the configuration manager; use it as a context manager.

    Args:
        timeout: how long a call waits for its answer [s].
    """
    return ConfigurationManagerProxy(timeout=timeout)


def storage_manager(timeout: float = 10.0) -> StorageProxy:
    """Returns a new proxy for the storage manager; use it as a context manager.

    Args:
        timeout: how long a call waits for its answer [s].
    """
    return StorageProxy(timeout=timeout)


def is_configuration_manager_listening(timeout: float = 1.0) -> bool:
    """Returns True when something listens at the address of the configuration manager.

    A quick look before a session asks it for anything: a proxy gives a server on the way up more time.

    Args:
        timeout: for a host that does not even refuse [s].
    """
    try:
        address = urlsplit(ConfigurationManagerProxy().get_endpoint())
        with socket.create_connection((address.hostname or "", address.port or 0), timeout):
            return True
    except (OSError, SettingsError):
        return False


def patiently(
    action: Callable[[], R],
    what: str,
    patience: float = PATIENCE,
    room: Callable[[], float] = lambda: 0.0,
) -> R:
    """Returns the result of `action`, repeating it while the server is away or its answer got lost.

    Only for calls that may be repeated: those of an observation are idempotent by run id.

    Args:
        action: makes its own proxy at each attempt.
        what: what is tried, for the log.
        patience: how long it is repeated [s].
        room: tells how long it is repeated while the data disk is full [s].

    Raises:
        ConnectionError: when the server is still away after `patience`.
        TimeoutError: when it still does not answer.
        StorageFullError: when the disk is still full after `room`.
    """
    started, said = time.monotonic(), float("-inf")
    pause, pacer = _FIRST_PAUSE, threading.Event()
    while True:
        try:
            return action()
        except (ConnectionError, TimeoutError, StorageFullError) as exc:
            allowed = room() if isinstance(exc, StorageFullError) else patience
            now = time.monotonic()
            if now + pause > started + allowed:
                raise
            if now - said >= REMINDER:
                said = now
                LOGGER.warning("%s: %s; trying again", what, exc)
            pacer.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
