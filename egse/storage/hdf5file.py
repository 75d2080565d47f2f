"""HDF5 persistence of the storage manager: named values that grow along their first axis.

The raw files of the camera are not made here but by the DPU processor (storage ICD, section 8).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egse.files import fsync_folder
from egse.storage.persistence import Persistence, Rows, StorageError

LOGGER = logging.getLogger(__name__)


class HDF5File(Persistence):
    """A row is a mapping of dataset name (may hold `/` for groups) to a number, a text or an array.

    Each name is one dataset of shape (rows, *shape of the value); rows of one name must agree in shape and type.
    Python numbers are stored as 64 bit, arrays in their own type, texts as variable-length UTF-8. The file is closed between two calls, so that a crash
    between them cannot damage it; a file that a crash in mid-write left unreadable is set aside as `*.damaged` and a
    new one is begun. `prep["attributes"]` become attributes of the file.

    `read` returns a dictionary of lists or arrays; `select={"names": [...]}` only these.
    """

    extension = "hdf5"

    def open(self) -> None:
        import h5py

        if self.path.exists():
            try:
                with h5py.File(self.path, "r"):
                    return
            except OSError as exc:
                self._set_aside(exc)
        with h5py.File(self.path, "w") as file:
            for name, value in dict(self.prep.get("attributes") or {}).items():
                file.attrs[str(name)] = value
        self.path.chmod(0o640)
        fsync_folder(self.path.parent)

    def _set_aside(self, reason: OSError) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        number = 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.damaged{number}")
        os.replace(self.path, aside)
        LOGGER.error("%s cannot be read (%s); set aside as %s", self.path, reason, aside.name)

    def append(self, rows: Rows, *, resend: bool = False) -> int:
        import h5py

        for row in rows:
            if not isinstance(row, Mapping):
                raise StorageError(f"a row of {self.path.name} must be a mapping of name to value")
        if not self.path.exists():
            self.open()
        with h5py.File(self.path, "r+") as file:
            prepared = [[(name, _as_array(name, value)) for name, value in row.items()] for row in rows]
            for row in prepared:
                for name, array in row:
                    _check_fits(file, name, array)
            for row in prepared:
                for name, array in row:
                    _append_value(file, name, array)
        return len(rows)

    def read(self, select: Mapping[str, Any] | None = None) -> dict[str, Any]:
        import h5py

        names = (select or {}).get("names")
        found: dict[str, Any] = {}
        if not self.exists():
            return found

        def collect(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset) and (names is None or name in names):
                text = h5py.check_string_dtype(node.dtype) is not None
                found[name] = node.asstr()[...].tolist() if text else node[...]

        with h5py.File(self.path, "r") as file:
            file.visititems(collect)
        return found

    def close(self) -> None:
        """Nothing stays open between two calls."""

    def sync(self) -> None:
        """Puts the file on disk."""
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _as_array(name: str, value: Any) -> Any:
    import numpy as np

    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise StorageError(f"{name}: a value of type {type(value).__name__} does not go into an HDF5 file")
    return array


def _check_fits(file: Any, name: str, value: Any) -> None:
    import numpy as np

    node = file.get(name)
    if node is None:
        return
    shape = () if isinstance(value, str) else value.shape
    if not hasattr(node, "shape") or tuple(node.shape[1:]) != tuple(shape):
        raise StorageError(f"{name}: shape {tuple(shape)} does not fit what is in {Path(file.filename).name}")
    if isinstance(value, str) != (node.dtype.kind == "O"):
        raise StorageError(f"{name}: text and numbers cannot share a dataset")
    if not isinstance(value, str) and not np.can_cast(value.dtype, node.dtype, "same_kind"):
        raise StorageError(f"{name}: {value.dtype} does not go into a dataset of {node.dtype} without loss")


def _append_value(file: Any, name: str, value: Any) -> None:
    import h5py

    text = isinstance(value, str)
    if name not in file:
        shape = () if text else value.shape
        kind = h5py.string_dtype() if text else value.dtype
        file.create_dataset(name, shape=(0, *shape), maxshape=(None, *shape), dtype=kind, chunks=True)
    dataset = file[name]
    dataset.resize(dataset.shape[0] + 1, axis=0)
    dataset[-1] = value
