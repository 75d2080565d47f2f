"""Errors of the storage manager, known to every process that hands data to it."""

from __future__ import annotations

from egse.response import register_error


@register_error
class StorageError(Exception):
    """Data that cannot be stored, or a call that does not fit the state of the storage manager."""


@register_error
class StorageFullError(OSError):
    """The disk is full: nothing of the request was stored; the same request works when there is room again.

    No `StorageError`: that is a refusal for good.
    """
