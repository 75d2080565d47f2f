"""The persistence classes by the names that registrations use."""

from __future__ import annotations

from egse.advice import did_you_mean
from egse.storage.csvfile import CSVFile
from egse.storage.hdf5file import HDF5File
from egse.storage.persistence import Persistence, StorageError, TXTFile

FORMATS: dict[str, type[Persistence]] = {"CSV": CSVFile, "TXT": TXTFile, "HDF5": HDF5File}


def persistence_class(name: str) -> type[Persistence]:
    """Returns the class that is called `name` ("CSV", "TXT", "HDF5") in a registration.

    Raises:
        StorageError: when there is none.
    """
    if name not in FORMATS:
        raise StorageError(f"unknown persistence class {name!r}.{did_you_mean(name, FORMATS)}")
    return FORMATS[name]
