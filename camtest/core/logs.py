"""Records of kernels and runners go to the log manager too, with observation, building block and dry run."""

from __future__ import annotations

import logging

from camtest.state import active_dry_run
from egse.context import peek_command_context
from egse.logger import LogContext, set_context_source, setup_logging
from egse.logger.records import DRY_RUN
from egse.mode import current_mode


def log_as(process: str) -> None:
    """Lets all log records of this process go to the log manager; WARNING and above are shown on stderr as well.

    A process that was started for a dry run keeps them to itself: it asks and tells nobody.

    Args:
        process: name of this process in the log.
    """
    if active_dry_run() is not None:
        return
    setup_logging(process, console=logging.WARNING, mode=current_mode())
    set_context_source(_context)


def _context() -> LogContext:
    context = peek_command_context()
    return LogContext(context.obsid, context.block, DRY_RUN if active_dry_run() is not None else "")
