"""Setups: which there are, which one is active."""

from __future__ import annotations

from typing import Any

from camtest.tasks import exec_ui
from camtest.tasks.types import Callback
from egse import setup

UI_MODULE_DISPLAY_NAME = "7 - Setup"


def setup_ids() -> list[int]:
    """Returns the ids of all Setups, the newest first."""
    return sorted((int(row[0]) for row in setup.list_setups()), reverse=True)


@exec_ui(display_name="list_all_setups", immediate_run=True)
def list_all_setups() -> str:
    """Shows all Setups of the site."""
    return str(setup.list_setups())


@exec_ui(display_name="Load Setup")
def load_setup(setup_id: Callback(setup_ids, name="Setup")) -> Any:  # type: ignore[valid-type]
    """Makes a Setup the active one, in the configuration manager and in this kernel."""
    return setup.load_setup(setup_id)
