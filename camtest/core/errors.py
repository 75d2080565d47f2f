"""Errors of building blocks that are defined or called against the rules."""

from __future__ import annotations

from egse.command import CommandError


class BuildingBlockError(CommandError, TypeError):
    """A building block is defined or called against the rules; nothing has been executed."""
