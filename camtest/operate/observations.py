"""Observations: begin, end, which one runs."""

from __future__ import annotations

from camtest.core import exec as core
from camtest.tasks import exec_ui

UI_MODULE_DISPLAY_NAME = "1 - Managing observations"


@exec_ui(display_name="start_observation")
def start_observation(description: str) -> str:
    """Starts an observation; tasks in this kernel run in it until it is ended."""
    return core.start_observation(description)


@exec_ui(display_name="end_observation")
def end_observation() -> None:
    """Ends the observation of this kernel."""
    core.end_observation()


@exec_ui(display_name="get_obsid", immediate_run=True)
def get_obsid() -> str:
    """Shows the observation of this kernel."""
    return core.current_obsid() or "no observation is running in this kernel"
