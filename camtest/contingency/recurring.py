"""What the status bar shows: observation and Setup of the site."""

from __future__ import annotations

from camtest.tasks.shared.recurring import show_setup_and_obsid

__all__ = ["show_setup_and_obsid"]
