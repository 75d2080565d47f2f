"""The storage manager's client side, its persistence classes, and the names and layout of the archive.

Proxy and persistence classes are loaded when they are used: whoever only reads the archive needs neither.
"""

from typing import TYPE_CHECKING

from egse.lazy import lazy_names
from egse.storage.manifest import FileEntry, Manifest, Supplement, read_manifest, read_supplements
from egse.storage.observation import STATUSES, ObservationInfo, read_description
from egse.storageerrors import StorageError, StorageFullError

if TYPE_CHECKING:
    from egse.storage.interface import StorageInterface, StorageProxy
    from egse.storage.persistence import CSV, FITS, HDF5, TXT, Persistence, SQLite, persistence_class

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

_MODULES = {
    **dict.fromkeys(("StorageInterface", "StorageProxy"), "interface"),
    **dict.fromkeys(
        ("CSV", "FITS", "HDF5", "Persistence", "SQLite", "TXT", "persistence_class"), "persistence"
    ),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
