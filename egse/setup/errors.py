"""What can be wrong with a Setup."""

from __future__ import annotations

from egse.system import MissingKeyError

__all__ = ["DirectiveError", "MissingKeyError", "NoSetupError", "SetupError", "UntrustedClassError"]


class SetupError(ValueError):
    """A Setup, or a file that belongs to it, cannot be used; the message says file, line and key path."""


class NoSetupError(SetupError):
    """No Setup is loaded, as at the start of a new site: load one with `cm_cs load-setup ID`."""


class DirectiveError(SetupError):
    """A special value such as `class//...` or `yaml//...` cannot be resolved."""


class UntrustedClassError(DirectiveError):
    """A Setup names a class outside the packages that a Setup may use; nothing was imported."""
