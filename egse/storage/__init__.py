"""The storage manager's client side, its persistence classes, and the names and layout of the archive."""

from egse.storage.interface import StorageInterface, StorageProxy
from egse.storage.manifest import FileEntry, Manifest, Supplement, read_manifest, read_supplements
from egse.storage.observation import STATUSES, ObservationInfo, read_description
from egse.storage.persistence import (
    CSV,
    FITS,
    HDF5,
    TXT,
    Persistence,
    SQLite,
    StorageError,
    StorageFullError,
    persistence_class,
)

__all__ = [
    "CSV",
    "FITS",
    "HDF5",
    "STATUSES",
    "TXT",
    "FileEntry",
    "Manifest",
    "ObservationInfo",
    "Persistence",
    "SQLite",
    "StorageError",
    "StorageFullError",
    "StorageInterface",
    "StorageProxy",
    "Supplement",
    "persistence_class",
    "read_description",
    "read_manifest",
    "read_supplements",
]
