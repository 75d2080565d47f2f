"""`load_setup()`, `get_setup()`, `submit_setup()` and `list_setups()` by way of the configuration manager.

`egse.setup` finds `SetupProvider` through the entry point group `egse.setup_provider`.
"""

from __future__ import annotations

from typing import Any

from egse.confman.interface import ConfigurationManagerProxy
from egse.setup import Setup


class SetupProvider:
    """Setups of the configuration manager of this site; a connection is open only during a call."""

    def load_setup(self, setup_id: int | None) -> Setup:
        """Makes a Setup the loaded one and returns it; for None, returns the one that is loaded."""
        with ConfigurationManagerProxy() as cm:
            return as_setup(cm.get_setup(None) if setup_id is None else cm.load_setup(setup_id))

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
            return as_setup(cm.submit_setup(text, description))

    def list_setups(self, **filters: Any) -> list[tuple[Any, ...]]:
        """Returns (id, site, description, camera) for every Setup that fits, `camera__ID="achel"`."""
        with ConfigurationManagerProxy(timeout=30.0) as cm:
            return [tuple(row) for row in cm.list_setups(filters)]


def as_setup(answer: dict[str, Any]) -> Setup:
    """Returns what the configuration manager sent as a Setup; its relative paths start in the folder of its file."""
    return Setup.from_yaml_string(answer["yaml"], answer["path"])
