"""FITS persistence of the storage manager: images that arrive one by one, each an extension of one file.

The cubes of the camera are not made here but by the FITS generator (`egse.fits`).
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egse.mode import current_mode
from egse.storage.persistence.base import Prepared, Rows, last_of, set_aside
from egse.storage.persistence.text import GrowingFile
from egse.storageerrors import StorageError

BLOCK = 2880
"""Size of a FITS block [bytes] (FITS standard 4.0, section 3.1)."""


class FITS(GrowingFile):
    """Images, each an `IMAGE` extension behind a primary header without data.

    * `prep`: `header`, a mapping of keywords for the primary header (names longer than 8 characters become HIERARCH).
    * `data`: an array of numbers, or a mapping with `data` (the array), optional `name` (EXTNAME) and `header` (mapping
      of keywords); or a list of these. An array may have 1 to 5 axes; `NAXIS1` is its last one.
    * `select` of `read`: `names` (of extensions), `last` (number of extensions). `read` returns a list of dictionaries
      with `name`, `header` and `data`.
    """

    extension = "fits"

    def repair(self) -> None:
        if not self.exists():
            return
        end = _end_of_last_unit(self.path)
        if end == 0 and self.path.stat().st_size > 0:
            set_aside(self.path, "no FITS file")
        elif end < self.path.stat().st_size:
            os.truncate(self.path, end)

    def open(self) -> None:
        super().open()
        if super().position() == 0:
            primary = _primary({"RUNMODE": current_mode(), **(self.prep.get("header") or {})})
            super().write(Prepared(0, len(primary), primary))

    def prepare(self, rows: Rows) -> Prepared:
        data = b"".join(self._extension(row) for row in rows)
        self.open()
        return Prepared(len(rows), len(data), data)

    def _extension(self, row: Any) -> bytes:
        import numpy as np
        from astropy.io import fits

        values = row if isinstance(row, Mapping) else {"data": row}
        array = np.asarray(values.get("data"))
        if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or not 1 <= array.ndim <= 5:
            raise StorageError(
                f"{self.path.name}: an array of numbers is needed, got {array.dtype} {array.shape}"
            )
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        try:
            unit = fits.ImageHDU(array, fits.Header(), name=str(values.get("name") or ""))
            _add_keywords(unit.header, dict(values.get("header") or {}))
            return _behind_primary(unit)
        except (ValueError, TypeError, KeyError, fits.VerifyError) as exc:
            raise StorageError(f"{self.path.name}: {exc}") from exc

    def read(self, select: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        from astropy.io import fits

        chosen = dict(select or {})
        names = chosen.get("names")
        if not self.exists():
            return []
        with fits.open(self.path, memmap=False) as units:
            found = [unit for unit in units[1:] if names is None or unit.name in names]
            return [
                {"name": unit.name, "header": _plain(unit.header), "data": _native(unit.data)}
                for unit in last_of(found, chosen)
            ]


def _add_keywords(header: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        header[str(name) if len(str(name)) <= 8 else f"HIERARCH {name}"] = value


def _primary(values: Mapping[str, Any]) -> bytes:
    from astropy.io import fits

    buffer = io.BytesIO()
    unit = fits.PrimaryHDU()
    try:
        unit.header["EXTEND"] = True
        _add_keywords(unit.header, values)
        unit.writeto(buffer)
    except (ValueError, TypeError, fits.VerifyError) as exc:
        raise StorageError(f"`header` of `prep` does not go into a FITS header: {exc}") from exc
    return buffer.getvalue()


def _behind_primary(unit: Any) -> bytes:
    """Returns an extension as it stands in a file."""
    from astropy.io import fits

    buffer = io.BytesIO()
    units = fits.HDUList([fits.PrimaryHDU(), unit])
    units.writeto(buffer)
    return buffer.getvalue()[units[0].filebytes() :]


def _plain(header: Any) -> dict[str, Any]:
    return {
        name: value for name, value in header.items() if isinstance(value, (bool, int, float, str)) and name
    }


def _native(data: Any) -> Any:
    return None if data is None else data.astype(data.dtype.newbyteorder("="))


def _end_of_last_unit(path: Path) -> int:
    """Returns where the last complete header and data unit of a FITS file ends [bytes]."""
    from astropy.io import fits

    size = path.stat().st_size
    end = 0
    with path.open("rb") as file:
        while end < size:
            try:
                header = fits.Header.fromfile(file, padding=True)
                behind = file.tell() + _data_size(header)
            except (OSError, EOFError, ValueError, KeyError, TypeError, fits.VerifyError):
                break
            if behind > size:
                break
            end = behind
            file.seek(end)
    return end


def _data_size(header: Any) -> int:
    """Returns the size of the data behind a header, padding included [bytes] (FITS standard 4.0, section 4.4.1)."""
    axes = [int(header[f"NAXIS{number + 1}"]) for number in range(int(header["NAXIS"]))]
    elements = math.prod(axes) if axes else 0
    groups, extra = int(header.get("GCOUNT", 1)), int(header.get("PCOUNT", 0))
    size = abs(int(header["BITPIX"])) // 8 * groups * (extra + elements)
    return -(-size // BLOCK) * BLOCK
