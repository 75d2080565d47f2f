"""The persistence classes: in which form the rows of a producer land on disk.

On the wire a class is called by its name ("CSV"); `egse.storage.StorageProxy` also takes the class itself.
"""

from __future__ import annotations

from typing import Any

from egse.advice import did_you_mean
from egse.storage.persistence.base import Persistence
from egse.storage.persistence.csvfile import CSV
from egse.storage.persistence.fitsfile import FITS
from egse.storage.persistence.hdf5file import HDF5
from egse.storage.persistence.sqlitefile import SQLite
from egse.storage.persistence.text import TXT
from egse.storageerrors import StorageError, StorageFullError

__all__ = [
    "CSV",
    "FITS",
    "FORMATS",
    "HDF5",
    "TXT",
    "Persistence",
    "SQLite",
    "StorageError",
    "StorageFullError",
    "format_name",
    "persistence_class",
]

FORMATS: dict[str, type[Persistence]] = {"CSV": CSV, "HDF5": HDF5, "FITS": FITS, "TXT": TXT, "SQLite": SQLite}
_BY_UPPER_CASE = {name.upper(): kind for name, kind in FORMATS.items()}


def persistence_class(name: str) -> type[Persistence]:
    """Returns the class that is called `name` in a registration; capitals do not matter.

    Raises:
        StorageError: when there is none.
    """
    kind = _BY_UPPER_CASE.get(name.upper())
    if kind is None:
        raise StorageError(f"unknown persistence class {name!r}.{did_you_mean(name, FORMATS)}")
    return kind


def format_name(kind: Any) -> str:
    """Returns the name of a persistence class, given as the class or by name.

    Raises:
        StorageError: when it is none.
    """
    return persistence_class(kind.__name__ if isinstance(kind, type) else str(kind)).__name__
