"""`load_setup()` and its friends: the Setups of the configuration manager, without knowing it.

The toolkit stands below the core services, so the client of the configuration manager is found through the entry point
group `egse.setup_provider`. Whoever wants to follow the active Setup of this process subscribes with `on_active_setup`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from egse.setup.errors import SetupError
from egse.setup.setup import Setup
from egse.setup.stamp import issue_commands_under

LOGGER = logging.getLogger(__name__)

GROUP = "egse.setup_provider"


class Provider(Protocol):
    """What a client of the configuration manager offers."""

    def load_setup(self, setup_id: int | None) -> Setup:
        """Makes a Setup the active one and returns it; returns the active one for None."""
        ...

    def get_setup(self, setup_id: int | None) -> Setup:
        """Returns a Setup (the active one for None) and changes nothing."""
        ...

    def submit_setup(self, setup: Setup, description: str) -> Setup:
        """Saves a Setup under a new id, makes it active and returns it."""
        ...

    def list_setups(self, **filters: Any) -> Iterable[tuple[Any, ...]]:
        """Returns (id, site, description, camera) for every Setup that fits."""
        ...


Callback = Callable[[Setup], object]

_lock = threading.Lock()
_provider: Provider | None = None
_callbacks: list[Callback] = []


def set_provider(provider: Provider | None) -> None:
    """Replaces the provider of this process; None goes back to the installed one."""
    global _provider
    with _lock:
        _provider = provider


def get_provider() -> Provider:
    """Returns the provider of this process, made from the entry point when first needed.

    Raises:
        SetupError: when none or more than one is installed, or it cannot be imported.
    """
    global _provider
    with _lock:
        if _provider is None:
            _provider = _installed_provider()
        return _provider


def _installed_provider() -> Provider:
    from importlib.metadata import entry_points  # takes a while

    points = list(entry_points(group=GROUP))
    if len(points) != 1:
        found = ", ".join(f"{point.name} ({point.value})" for point in points) or "none"
        raise SetupError(f"expected one entry point in the group {GROUP!r}, found: {found}")
    try:
        provider: Provider = points[0].load()()
    except (ImportError, AttributeError) as exc:
        raise SetupError(f"the Setup provider {points[0].value} cannot be imported: {exc}") from exc
    return provider


def load_setup(setup_id: int | str | None = None) -> Setup:
    """Makes a Setup the active one, in the configuration manager and in this process.

    Args:
        setup_id: its number; the one that is active already when None.

    Returns:
        The Setup.

    Raises:
        ConnectionError: when the configuration manager is not there.
        SetupError: when there is no such Setup.
    """
    setup = get_provider().load_setup(_number(setup_id))
    _announce(setup)
    return setup


def get_setup(setup_id: int | str | None = None) -> Setup:
    """Returns a Setup without making it the active one.

    Args:
        setup_id: its number; the active one when None.

    Raises:
        ConnectionError: when the configuration manager is not there.
        SetupError: when there is no such Setup.
    """
    return get_provider().get_setup(_number(setup_id))


def submit_setup(setup: Setup, description: str) -> Setup:
    """Hands a changed Setup to the configuration manager, which gives it a new id and makes it the active one.

    Args:
        setup: the Setup; it is not changed.
        description: what was changed and why; becomes part of the history.

    Returns:
        The new Setup, to be used from now on: `setup = submit_setup(setup, description="...")`.

    Raises:
        ValueError: without a description.
        ConnectionError: when the configuration manager is not there.
        SetupError: when the configuration manager refuses it.
    """
    if not description or not description.strip():
        raise ValueError("submit_setup() needs a description of what was changed")
    submitted = get_provider().submit_setup(setup, description.strip())
    _announce(submitted)
    return submitted


class SetupList(list[tuple[Any, ...]]):
    """A list of (id, site, description, camera), shown as a table."""

    HEADER = ("id", "site", "description", "camera")

    def __repr__(self) -> str:
        if not self:
            return "no Setups"
        rows = [
            self.HEADER,
            *([f"{row[0]:0>5}", *("" if cell is None else str(cell) for cell in row[1:])] for row in self),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.HEADER))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
        )

    __str__ = __repr__


def list_setups(**filters: Any) -> SetupList:
    """Lists the Setups of the configuration manager; at a prompt the result shows as a table.

    Args:
        filters: only Setups with these values; `__` navigates, as in `camera__ID="achel"`, and all must fit.

    Returns:
        Tuples (id, site, description, camera).

    Raises:
        ConnectionError: when the configuration manager is not there.
    """
    return SetupList(tuple(row) for row in get_provider().list_setups(**filters))


def on_active_setup(callback: Callback) -> Callable[[], None]:
    """Subscribes to the active Setup of this process.

    Args:
        callback: called with the Setup after every `load_setup()` and `submit_setup()`, in the thread that called
            them. What it raises is logged and stops nothing.

    Returns:
        A function that ends the subscription.
    """
    with _lock:
        _callbacks.append(callback)

    def unsubscribe() -> None:
        with _lock:
            if callback in _callbacks:
                _callbacks.remove(callback)

    return unsubscribe


def _announce(setup: Setup) -> None:
    issue_commands_under(setup)
    with _lock:
        callbacks = list(_callbacks)
    for callback in callbacks:
        try:
            callback(setup)
        except Exception:  # a subscriber must not keep the others, or the caller, from the new Setup
            LOGGER.exception("a subscriber failed on Setup %s", setup.get_id())


def _number(setup_id: int | str | None) -> int | None:
    try:
        number = None if setup_id is None else int(setup_id)
    except (TypeError, ValueError):
        raise SetupError(f"a Setup id is a number, not {setup_id!r}") from None
    if number is not None and number < 0:
        raise SetupError(f"a Setup id is not negative: {number}")
    return number
