"""`GlobalState`: what all test scripts of a session share: the Setup, the dry-run flag, the clock.

For test scripts only; the Common-EGSE does not use it (chapter 10 of the manual).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from camtest.core import services
from camtest.core.answers import DryRunOptions
from camtest.core.dryrun import DryRun, DryRunError
from camtest.core.sequence import CommandSequence
from camtest.core.variables import (
    DRY_RUN_OPTIONS_VARIABLE,
    DRY_RUN_VARIABLE,
    RUN_ID_VARIABLE,
    SETUP_FILE_VARIABLE,
)
from camtest.core.waiting import SessionClock
from egse.clock import Clock
from egse.control import site_clock
from egse.env import EnvError
from egse.settings import SettingsError
from egse.setup import Setup, SetupError, get_setup, on_active_setup
from egse.setup.conf import setup_from_disk
from egse.setup.stamp import issue_commands_under

LOGGER = logging.getLogger(__name__)

_RETRY_AFTER = 5.0
"""A configuration manager that was away is asked again after this time [s]."""


class _Shared:
    """The shared values; everything else here is a view on them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.asking = threading.Lock()
        self.dry_run: DryRun | None = None
        self.sequence = CommandSequence("", mode="operations")
        self.clock: Clock | None = None
        self.setup: Setup | None = None
        self.asked = float("-inf")


_shared = _Shared()


def active_dry_run() -> DryRun | None:
    """Returns the dry run that takes the commands now, None in operations."""
    return _shared.dry_run


def set_command_sequence(sequence: CommandSequence) -> None:
    """Makes `sequence` that of this session; called when an observation or a dry run begins."""
    with _shared.lock:
        _shared.sequence = sequence


def install_dry_run(dry_run: DryRun | None) -> DryRun | None:
    """Lets `dry_run` take all commands of this process; None goes back to operations.

    Returns:
        The dry run that was active before.
    """
    with _shared.lock:
        previous, _shared.dry_run = _shared.dry_run, dry_run
        if dry_run is not None:
            dry_run.activate()
            _shared.sequence = dry_run.sequence
        elif previous is not None:
            previous.release()
        return previous


class _GlobalStateType(type):
    """Makes the shared values attributes of the class itself: `GlobalState.setup`."""

    @property
    def setup(cls) -> Setup | None:
        """The active Setup; None when the configuration manager is not running."""
        with _shared.lock:
            if _shared.dry_run is not None:
                return _shared.dry_run.setup
            if _shared.setup is not None:
                return _shared.setup
        return _fetch_setup()

    @setup.setter
    def setup(cls, setup: Setup | None) -> None:
        with _shared.lock:
            if _shared.dry_run is not None:
                _shared.dry_run.setup = setup
            else:
                _set_setup(setup)

    @property
    def dry_run(cls) -> bool:
        """True when commands go to models and are logged instead of sent."""
        return _shared.dry_run is not None

    @dry_run.setter
    def dry_run(cls, enabled: bool) -> None:
        if enabled == (_shared.dry_run is not None):
            return
        if not enabled and is_dry_run_only():
            raise DryRunError(
                "this process is for dry runs only and stays one: use the kernel camtest for operations"
            )
        supervised = bool(os.environ.get(RUN_ID_VARIABLE))
        options = _dry_run_options() if enabled else None
        install_dry_run(
            DryRun(setup_for_dry_run(), supervised=supervised, options=options) if enabled else None
        )

    @property
    def command_sequence(cls) -> CommandSequence:
        """The command sequence of the observation or dry run of this session, or of the last one."""
        return _shared.sequence

    @property
    def clock(cls) -> Clock:
        """The clock that test scripts wait on: virtual in a dry run, at the speed of the site otherwise."""
        with _shared.lock:
            if _shared.dry_run is not None:
                return _shared.dry_run.clock
            if _shared.clock is None:
                _shared.clock = _site_clock()
            return _shared.clock

    @clock.setter
    def clock(cls, clock: Clock) -> None:
        _shared.clock = clock


def is_dry_run_only() -> bool:
    """True in a process that was started for a dry run (`CAMTEST_DRY_RUN`, kernel camtest-dry-run): it stays one."""
    return os.environ.get(DRY_RUN_VARIABLE, "").lower() in ("1", "true", "yes")


class GlobalState(metaclass=_GlobalStateType):
    """State that all instances and the class itself share.

    Attributes:
        setup: the active Setup, fetched from the configuration manager when first asked for; None when that is away.
            Follows `load_setup()` and `submit_setup()`.
        dry_run: set it to True and commands are logged instead of sent; see `camtest.core.dryrun`.
        command_sequence: the building blocks (in a dry run also the commands) of the observation or dry run, or of the
            last one.
        clock: what test scripts wait on.
    """

    def __getattr__(self, name: str) -> Any:
        if name in _SHARED_NAMES:
            return getattr(GlobalState, name)
        raise AttributeError(f"GlobalState has no {name!r}; it has {', '.join(_SHARED_NAMES)}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _SHARED_NAMES:
            raise AttributeError(f"GlobalState has no {name!r}; it has {', '.join(_SHARED_NAMES)}")
        setattr(GlobalState, name, value)

    @staticmethod
    def reset() -> None:
        """Forgets everything, as in a new session; for tests."""
        install_dry_run(None)
        with _shared.lock:
            _shared.sequence = CommandSequence("", mode="operations")
            _shared.clock = None
            _set_setup(None)
            _shared.asked = float("-inf")

    @staticmethod
    @contextmanager
    def isolated() -> Iterator[None]:
        """Gives a test a state of its own: everything is forgotten, and as it was before at the end.

        The state belongs to the process: other threads see the same one.
        """
        with _shared.lock:
            before = (_shared.sequence, _shared.clock, _shared.setup, _shared.asked)
            dry_run = _shared.dry_run
        GlobalState.reset()
        try:
            yield
        finally:
            GlobalState.reset()
            install_dry_run(dry_run)
            with _shared.lock:
                _shared.sequence, _shared.clock, setup, _shared.asked = before
                _set_setup(setup)


_SHARED_NAMES = ("setup", "dry_run", "command_sequence", "clock")


def _dry_run_options() -> DryRunOptions | None:
    """Returns the options that a runner has set for this kernel."""
    text = os.environ.get(DRY_RUN_OPTIONS_VARIABLE)
    return DryRunOptions.from_json(text) if text else None


def setup_for_dry_run() -> Setup | None:
    """Returns the Setup for a dry run.

    The file named by `CAMTEST_SETUP_FILE` (`--setup FILE`), else the active Setup, else the newest Setup in the
    configuration folder of the site (the one last active, else the newest); None when there is none of these.
    """
    chosen = os.environ.get(SETUP_FILE_VARIABLE)
    if chosen:
        return Setup.from_yaml_file(chosen)
    known = known_setup()
    if known is not None:
        return known
    active = _ask_for_setup() if services.is_configuration_manager_listening() else None
    if active is not None:
        return active
    try:
        return setup_from_disk()
    except (EnvError, SetupError) as exc:
        LOGGER.info("no Setup for the dry run: %s", exc)
        return None


def known_setup() -> Setup | None:
    """Returns the Setup of this session as far as it is known; nobody is asked."""
    return _shared.setup if _shared.dry_run is None else _shared.dry_run.setup


def setup_at_hand() -> Setup | None:
    """Returns the active Setup, None without a word when the configuration manager is not running."""
    known = known_setup()
    if known is not None or not services.is_configuration_manager_listening():
        return known
    return GlobalState.setup


def _fetch_setup() -> Setup | None:
    """Asks the configuration manager, one thread at a time; nobody else has to wait for it."""
    with _shared.asking:
        with _shared.lock:
            if _shared.setup is not None or time.monotonic() - _shared.asked <= _RETRY_AFTER:
                return _shared.setup
        setup = _ask_for_setup()
        with _shared.lock:
            _shared.asked = time.monotonic()
            if _shared.setup is None:  # load_setup() of another thread may have been faster
                _set_setup(setup)
            return _shared.setup


def _set_setup(setup: Setup | None) -> None:
    """Keeps the Setup of this session; its commands carry the stamp of it."""
    _shared.setup = setup
    issue_commands_under(setup)


def _ask_for_setup() -> Setup | None:
    if not services.is_configuration_manager_listening():
        LOGGER.warning("no Setup: the configuration manager is not running")
        return None
    try:
        return get_setup()
    except (ConnectionError, TimeoutError, SetupError, SettingsError) as exc:
        LOGGER.warning("no Setup: the configuration manager does not answer (%s)", exc)
        return None


def _site_clock() -> SessionClock:
    try:
        return SessionClock(site_clock().speed)
    except (SettingsError, OSError) as exc:
        LOGGER.info("no site settings (%s): the clock runs at true speed", exc)
        return SessionClock()


def _follow(setup: Setup) -> None:
    GlobalState.setup = setup


on_active_setup(_follow)

if is_dry_run_only():
    GlobalState.dry_run = True
