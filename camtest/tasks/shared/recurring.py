"""What the status bar shows: observation and Setup of the site."""

from __future__ import annotations

from camtest.core import services
from camtest.tasks.exec import StatusType, exec_recurring_task


@exec_recurring_task(status_type=StatusType.PERMANENT)
def show_setup_and_obsid() -> str:
    """Returns the running observation of the site, whoever has it, and the active Setup."""
    try:
        with services.configuration_manager(timeout=2.0) as manager:
            last = manager.list_observations(last=1)
            setup_id = manager.get_setup()["setup_id"]
    except OSError:
        return "the configuration manager does not answer"
    running = [record for record in last if not record.get("status")]
    obsid = f"Obsid = {running[0]['obsid']}, " if running else ""
    return f"{obsid}Setup ID = {setup_id}"
