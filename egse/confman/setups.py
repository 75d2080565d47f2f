"""`load_setup()`, `get_setup()`, `submit_setup()` and `list_setups()` by way of the configuration manager.

`egse.setup` finds `SetupProvider` through the entry point group `egse.setup_provider`.
"""

from __future__ import annotations

import logging
from typing import Any

from egse.clock import system_clock
from egse.confman.interface import ConfigurationManagerProxy
from egse.setup import Setup

LOGGER = logging.getLogger(__name__)

PATIENCE = 3.0
"""How long `load_setup` waits for the servers that must apply a Setup before it names them [s]."""


class SetupProvider:
    """Setups of the configuration manager of this site; a connection is open only during a call."""

    def load_setup(self, setup_id: int | None) -> Setup:
        """Makes a Setup the loaded one and returns it; for None, returns the one that is loaded."""
        with ConfigurationManagerProxy() as cm:
            if setup_id is None:
                return as_setup(cm.get_setup(None))
            setup = as_setup(cm.load_setup(setup_id))
            report_listeners_behind(cm, setup)
            return setup

    def get_setup(self, setup_id: int | None) -> Setup:
        """Returns a Setup, the loaded one for None; nothing changes."""
        with ConfigurationManagerProxy() as cm:
            return as_setup(cm.get_setup(setup_id))

    def submit_setup(self, setup: Setup, description: str) -> Setup:
        """Hands in a copy of `setup` with `description` added to its history; returns the Setup with its new id."""
        text = setup.to_yaml_string(generated_by="submit_setup()")
        submitted = Setup.from_yaml_string(text, setup.get_filename())
        submitted.add_history(description)
        text = submitted.to_yaml_string(generated_by="submit_setup()")
        with ConfigurationManagerProxy(timeout=60.0) as cm:
            submitted = as_setup(cm.submit_setup(text, description))
            report_listeners_behind(cm, submitted)
            return submitted

    def list_setups(self, **filters: Any) -> list[tuple[Any, ...]]:
        """Returns (id, site, description, camera) for every Setup that fits, `camera__ID="achel"`."""
        with ConfigurationManagerProxy(timeout=30.0) as cm:
            return [tuple(row) for row in cm.list_setups(filters)]


def as_setup(answer: dict[str, Any]) -> Setup:
    """Returns what the configuration manager sent as a Setup; its relative paths start in the folder of its file."""
    return Setup.from_yaml_string(answer["yaml"], answer["path"])


LISTENER_STATES = {
    "told": "has been told",
    "waiting": "has not been reached yet",
    "lost": "could not be reached",
}


def report_listeners_behind(
    cm: ConfigurationManagerProxy, setup: Setup, patience: float = PATIENCE
) -> list[str]:
    """Waits until every listener of the configuration manager has applied the loaded Setup; warns of those that do not.

    Args:
        cm: the configuration manager.
        setup: the Setup that was just loaded.
        patience: how long to wait for them [s].

    Returns:
        One text for each listener that has not.
    """
    clock = system_clock()
    deadline = clock.monotonic() + patience
    with cm.get_service_proxy() as services:
        while True:
            states = services.get_event_states()
            behind = [
                f"{name} ({LISTENER_STATES[state]})" for name, state in states.items() if state != "applied"
            ]
            if not behind or clock.monotonic() > deadline:
                break
            clock.sleep(0.05)
    if behind:
        LOGGER.warning("Setup %s is loaded, but not applied yet by %s", setup.get_id(), ", ".join(behind))
    return behind
