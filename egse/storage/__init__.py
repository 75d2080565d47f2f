"""The storage manager's client side, its persistence classes, and the names and layout of the archive."""

from egse.storage.csvfile import CSVFile
from egse.storage.formats import persistence_class
from egse.storage.hdf5file import HDF5File
from egse.storage.interface import StorageInterface, StorageProxy
from egse.storage.manifest import FileEntry, Manifest, Supplement, read_manifest, read_supplements
from egse.storage.observation import STATUSES, ObservationInfo, read_description
from egse.storage.persistence import Persistence, StorageError, TXTFile

__all__ = [
    "STATUSES",
    "CSVFile",
    "FileEntry",
    "HDF5File",
    "Manifest",
    "ObservationInfo",
    "Persistence",
    "StorageError",
    "StorageInterface",
    "StorageProxy",
    "Supplement",
    "TXTFile",
    "persistence_class",
    "read_description",
    "read_manifest",
    "read_supplements",
]
