"""Observations: end the one of this kernel, abort the one of the site."""

from __future__ import annotations

from camtest.core import exec as core
from camtest.core import services
from camtest.tasks import exec_ui

UI_MODULE_DISPLAY_NAME = "2 - Managing observations"


@exec_ui(display_name="start_observation")
def start_observation(description: str = "contingency") -> str:
    """Starts an observation; tasks in this kernel run in it until it is ended."""
    return core.start_observation(description)


@exec_ui(display_name="end_observation")
def end_observation() -> None:
    """Ends the observation of this kernel."""
    core.end_observation()


@exec_ui(display_name="Abort the running observation", allow_kernel_interrupt=True)
def abort_observation(reason: str, make_safe: bool = True) -> str:
    """Aborts the observation that runs at this site, whoever has it.

    Args:
        reason: for the record.
        make_safe: run its safes; without them nothing more is commanded.
    """
    with services.configuration_manager() as manager:
        desk = manager.give_verb(verb="abort" if make_safe else "halt", reason=reason)
        found = manager.find_observation(run_id=desk["run_id"]) or {}
    return f"asked {found.get('obsid', desk['run_id'])} to {'abort' if make_safe else 'halt'}"
