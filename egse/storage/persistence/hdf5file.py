"""HDF5 persistence of the storage manager: named values that grow along their first axis.

The raw files of the camera are not made here but by the DPU processor (storage ICD, section 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egse.files import fsync_folder
from egse.mode import current_mode
from egse.storage.persistence.base import Persistence, Prepared, Rows, set_aside
from egse.storage.persistence.redo import RedoFile
from egse.storageerrors import StorageError

ROWS = "rows"
"""Attribute of the file: how many rows were written."""


class HDF5(Persistence):
    """Datasets that grow with every row; raw data of the camera excepted, they stay in `daily/` only.

    * `prep`: `attributes`, a mapping of attributes of the file.
    * `data`: a mapping of dataset name (may hold `/` for groups) to a number, a text or an array; or a list of them.
      Each name is one dataset of shape (rows, *shape of the value); rows of one name must agree in shape and type.
      Python numbers are stored as 64 bit, arrays in their own type, texts as variable-length UTF-8.
    * `select` of `read`: `names` (of datasets), `last` (number of values). `read` returns a dictionary of lists (texts)
      or arrays.

    A `save` changes the file as a whole (`RedoFile`): killed at any moment it holds whole rows and every reader can
    read it, once the storage manager has opened it again.
    """

    extension = "hdf5"
    mirrored = False

    def __init__(self, path: Path, prep: Mapping[str, Any] | None = None) -> None:
        super().__init__(path, prep)
        self._redo: RedoFile | None = None
        self._file: Any = None

    def open(self) -> None:
        if self._file is not None:
            return
        new = not self.path.exists() or self.path.stat().st_size == 0
        self._redo = RedoFile(self.path)
        import h5py

        try:
            self._file = h5py.File(self._redo, "w" if new else "r+")
        except OSError as exc:
            self._redo.close()
            if new:
                raise
            set_aside(self.path, exc)
            self._redo = RedoFile(self.path)
            self._file = h5py.File(self._redo, "w")
            new = True
        if new:
            self._file.attrs["mode"] = current_mode()
            for name, value in dict(self.prep.get("attributes") or {}).items():
                self._file.attrs[str(name)] = value
            self._commit()
            fsync_folder(self.path.parent)

    def _commit(self) -> None:
        assert self._redo is not None
        try:
            self._file.flush()
            self._redo.commit()
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Closes the file as it is on disk."""
        if self._file is not None and self._redo is not None:
            self._file.close()  # what the library still writes goes into memory only
            self._redo.discard()
            self._redo.close()
        self._file = self._redo = None

    def prepare(self, rows: Rows) -> Prepared:
        for row in rows:
            if not isinstance(row, Mapping):
                raise StorageError(f"a row of {self.path.name} must be a mapping of name to value")
        prepared = [[(str(name), _as_array(name, value)) for name, value in row.items()] for row in rows]
        self.open()
        shapes: dict[str, Any] = {}
        for row in prepared:
            for name, array in row:
                _check_fits(self._file, name, array)
                first = shapes.setdefault(name, array)
                if _shape(first) != _shape(array):
                    raise StorageError(f"{name}: the rows do not agree in shape")
        return Prepared(len(prepared), len(prepared), prepared)

    def write(self, prepared: Prepared) -> None:
        self.open()
        try:
            for row in prepared.payload:
                for name, array in row:
                    _append_value(self._file, name, array)
            self._file.attrs[ROWS] = self.position() + prepared.count
        except BaseException:
            self._forget()
            raise
        self._commit()

    def position(self) -> int:
        self.open()
        return int(self._file.attrs.get(ROWS, 0))

    def rollback(self, position: int) -> None:
        """Not needed: nothing is written behind an HDF5 file that could fail."""

    def settle(self, start: int, size: int, count: int) -> int:
        return min(count, max(0, self.position() - start)) if self.exists() else 0

    def read(self, select: Mapping[str, Any] | None = None) -> dict[str, Any]:
        import h5py

        chosen = dict(select or {})
        names, last = chosen.get("names"), chosen.get("last")
        found: dict[str, Any] = {}
        if not self.exists():
            return found
        self.open()
        part = slice(None) if last is None else slice(-int(last), None) if int(last) > 0 else slice(0, 0)

        def collect(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset) and (names is None or name in names):
                text = h5py.check_string_dtype(node.dtype) is not None
                rows = (
                    slice(max(0, node.shape[0] + part.start), None) if part.start and part.start < 0 else part
                )
                found[name] = node.asstr()[rows].tolist() if text else node[rows]

        self._file.visititems(collect)
        return found

    def close(self) -> None:
        self._forget()

    def descriptors(self) -> list[int]:
        return super().descriptors() if self._redo is None else [self._redo.descriptor()]


def _shape(value: Any) -> tuple[int, ...] | None:
    return None if isinstance(value, str) else tuple(value.shape)


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
        raise StorageError(f"{name}: shape {tuple(shape)} does not fit what is in the file")
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
