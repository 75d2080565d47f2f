"""The names under which task packages that were written for the Qt original find the Tasks GUI (`camtest.tasks`)."""

from __future__ import annotations

RUNNABLE_KERNEL, RUNNABLE_APP, RUNNABLE_SCRIPT = "kernel", "app", "script"
RUNNABLE_NON_SELECTED = ""

__all__ = ["RUNNABLE_APP", "RUNNABLE_KERNEL", "RUNNABLE_NON_SELECTED", "RUNNABLE_SCRIPT"]
