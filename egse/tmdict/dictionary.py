"""Reading a TM dictionary, and looking things up in it."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from egse.advice import or_meant
from egse.packages import files_of_packages
from egse.response import register_error
from egse.setup import NavigableDict, Setup, SetupError
from egse.setup.directives import is_directive, split_directive
from egse.tmdict.parameter import ORIGIN, Parameter
from egse.tmdict.prefixes import SITES, site_of, site_prefix

LOGGER = logging.getLogger(__name__)

GROUP = "egse.tm_dictionary"
"""Entry point group of packages that bring rows."""

TEMPLATE = Path(__file__).resolve().parent.parent / "data" / "common" / "telemetry" / "tm-dictionary.csv"
"""The dictionary that comes with this package; configuration repositories start with a copy."""

NEEDED = ("Storage mnemonic", "CAM EGSE mnemonic")
"""Columns without which a file is no TM dictionary."""

SYNOPTICS_MNEMONIC = "SYN-HK"
"""Storage mnemonic of the synoptics (storage ICD, section 6.3)."""

ENCODINGS = ("utf-8-sig", "cp1252", "latin-1")
"""Tried in this order: the files come from spreadsheets on all kinds of machines."""

DELIMITERS = ";,\t"


@register_error
class TMDictionaryError(LookupError):
    """A TM dictionary that cannot be read, or a name that it does not have."""


class TMDictionary:
    """All housekeeping parameters by name, by producer and by original name.

    Args:
        parameters: the rows in their order; of several with the same name the first one counts.
        where: what to call the dictionary in messages: its path, if it has one.
    """

    def __init__(self, parameters: Iterable[Parameter], where: str | Path = "TM dictionary") -> None:
        self.where = where
        self.parameters = tuple(parameters)
        self._by_name: dict[str, Parameter] = {}
        self._by_mnemonic: dict[str, list[Parameter]] = {}
        for parameter in self.parameters:
            name = parameter.synoptic_name if parameter.is_synoptic else parameter.name
            if name:
                self._by_name.setdefault(name, parameter)
            self._by_mnemonic.setdefault(parameter.mnemonic, []).append(parameter)

    def __repr__(self) -> str:
        return f"<TMDictionary of {len(self)} parameters from {self.where}>"

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Parameter:
        """Returns a parameter.

        Raises:
            TMDictionaryError: when there is none of this name, with the closest one.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise TMDictionaryError(
                f"the TM dictionary {self.where} has no parameter {name!r}{or_meant(name, self._by_name)}"
            ) from None

    def get(self, name: str) -> Parameter | None:
        """Returns a parameter, None when there is none of this name."""
        return self._by_name.get(name)

    @property
    def mnemonics(self) -> list[str]:
        """The storage mnemonics in the order of the file."""
        return [mnemonic for mnemonic in self._by_mnemonic if mnemonic]

    def of(self, mnemonic: str) -> list[Parameter]:
        """Returns the parameters of one producer in the order of the file.

        Raises:
            TMDictionaryError: when it has none.
        """
        if mnemonic not in self._by_mnemonic:
            known = ", ".join(self.mnemonics) or "none"
            raise TMDictionaryError(
                f"the TM dictionary {self.where} has no storage mnemonic {mnemonic!r}"
                f"{or_meant(mnemonic, self.mnemonics)} (there are: {known})"
            )
        return list(self._by_mnemonic[mnemonic])

    def find_original(self, original: str, mnemonic: str | None = None) -> list[Parameter]:
        """Returns the parameters with this original name, of one producer or of all."""
        rows = self.parameters if mnemonic is None else self._by_mnemonic.get(mnemonic, ())
        return [parameter for parameter in rows if parameter.original == original]

    @property
    def synoptics(self) -> list[Parameter]:
        """The synoptics, in the order of the file."""
        return [parameter for parameter in self.parameters if parameter.is_synoptic]

    # -- translation tables --------------------------------------------------------------------------------------

    def conversion(self, mnemonic: str, site_id: str | None = None) -> dict[str, str]:
        """Returns the translation table of a producer, original to EGSE-conform names (manual, section 5.6.4).

        Args:
            mnemonic: storage mnemonic; for `SYN-HK` the values are the names of synoptics.
            site_id: only what is particular to this site; None for what all have (and, where a producer has names of
                sites only, the first of them).

        Raises:
            TMDictionaryError: when the dictionary does not know the producer.
        """
        rows = self.of(mnemonic)
        if any(row.is_synoptic for row in rows):
            return self.common_synoptics() if site_id is None else self.site_synoptics(site_id)
        table: dict[str, str] = {}
        if site_id is not None:
            prefixes = tuple(site_prefix(site) for site in dict.fromkeys((site_id, _house_of(site_id))))
            return {row.original: row.name for row in rows if row.original and row.name.startswith(prefixes)}
        for row in sorted(rows, key=lambda row: site_of(row.name) is not None):
            if row.original and row.name:
                table.setdefault(row.original, row.name)
        return table

    def common_synoptics(self) -> dict[str, str]:
        """Returns the names of synoptics by the EGSE-conform names of what all test houses have."""
        return {row.common_origin: row.synoptic_name for row in self.synoptics if row.common_origin}

    def site_synoptics(self, site_id: str) -> dict[str, str]:
        """Returns the names of synoptics by the EGSE-conform names of a site's own devices.

        They stand in the column of the site or of its test house (`CSL` for `CSL1`, whose own prefix is accepted too). A
        site without a column takes those of all, with its own prefix in place of the others'.
        """
        house = _house_of(site_id)
        table: dict[str, str] = {}
        for row in self.synoptics:
            origins = [row.origins[place] for place in (site_id, house) if place in row.origins][:1]
            if not self._has_column(site_id, house):
                origins = list(row.origins.values())
            for origin in origins:
                if self._has_column(site_id, house):
                    table.setdefault(origin, row.synoptic_name)
                table.setdefault(_at_site(origin, site_id), row.synoptic_name)
        return table

    def _has_column(self, site_id: str, house: str) -> bool:
        return house in SITES.values() or any(site_id in row.origins for row in self.synoptics)


def _house_of(site_id: str) -> str:
    """Returns the test house of a site: `CSL` for `CSL1`."""
    return SITES.get(site_id, "") or site_id


def _at_site(name: str, site_id: str) -> str:
    """Returns the name of a site's parameter with the prefix of another site; other names as they are."""
    site = site_of(name)
    return name if site is None else site_prefix(site_id) + name.removeprefix(site_prefix(site))


# -- reading -------------------------------------------------------------------------------------------------------------


def read_text(path: Path) -> str:
    """Returns the text of a dictionary file, whatever its encoding.

    Raises:
        TMDictionaryError: when it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise TMDictionaryError(f"the TM dictionary {path} cannot be read: {exc.strerror or exc}") from exc
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise TMDictionaryError(f"the TM dictionary {path} is no text")


def find_separator(text: str) -> str:
    """Returns what parts the columns: the most frequent candidate in the header."""
    header = text.partition("\n")[0]
    return max(DELIMITERS, key=header.count)


def read_rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yields number of the line and cells of each row that is not empty; the header comes first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    start = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield start, [cell.strip() for cell in cells]
        start = reader.line_num + 1


def read_dictionary(path: str | Path, separator: str | None = None) -> TMDictionary:
    """Reads a TM dictionary; an unchanged file is read only once.

    Args:
        path: the file.
        separator: what parts the columns; found out when None.

    Raises:
        TMDictionaryError: when it is none; the text says what is missing.
    """
    path = Path(path).expanduser().absolute()
    try:
        state = path.stat()
    except OSError as exc:
        raise TMDictionaryError(f"there is no TM dictionary {path}: {exc.strerror or exc}") from exc
    return _read(path, separator, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=16)
def _read(path: Path, separator: str | None, *_state: int) -> TMDictionary:
    text = read_text(path)
    rows = read_rows(text, separator or find_separator(text))
    try:
        _, header = next(rows, (0, []))
        _check_header(header, path)
        parameters = [
            Parameter.from_row(dict(zip(header, cells)), line)
            for line, cells in rows
            if any(cells[: len(header)])
        ]
    except csv.Error as exc:
        raise TMDictionaryError(f"{path} is no TM dictionary: {exc}") from exc
    return TMDictionary(parameters, path)


def _check_header(header: Iterable[str], where: object) -> None:
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise TMDictionaryError(
            f"{where} is no TM dictionary: its first line has no column {' and no column '.join(missing)} "
            "(is the separator right? Setup key telemetry.separator)"
        )


def template_dictionary() -> TMDictionary:
    """Returns the dictionary that comes with this package."""
    return read_dictionary(TEMPLATE)


def dictionary_of(setup: Setup | NavigableDict) -> TMDictionary:
    """Returns the TM dictionary of a Setup: its keys `telemetry.dictionary` and `telemetry.separator`.

    Args:
        setup: whose dictionary is a `pandas//FILE`, or a DataFrame that a program has put there.

    Raises:
        TMDictionaryError: when it names none, or the file cannot be read.
    """
    telemetry = setup.get("telemetry")
    if not isinstance(telemetry, NavigableDict) or "dictionary" not in telemetry:
        raise TMDictionaryError(f"{_name_of(setup)} names no TM dictionary (key telemetry.dictionary)")
    value = telemetry.get_raw_value("dictionary")
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return _from_frame(value, _name_of(setup))
    separator = str(telemetry.get_raw_value("separator")) if "separator" in telemetry else None
    try:
        name = split_directive(str(value))[1] if is_directive(value) else str(value)
        return read_dictionary(telemetry._find_file(name), separator)
    except SetupError as exc:
        raise TMDictionaryError(f"the TM dictionary of {_name_of(setup)}: {exc}") from exc


def _name_of(setup: Any) -> str:
    identifier = setup.get_id() if isinstance(setup, Setup) else None
    return f"Setup {identifier}" if identifier else "the Setup"


def _from_frame(frame: Any, where: str) -> TMDictionary:
    """Returns the dictionary in a pandas DataFrame."""
    _check_header([str(column) for column in frame.columns], where)
    rows: list[Mapping[Any, Any]] = frame.to_dict("records")
    return TMDictionary(
        (
            Parameter.from_row({str(key): "" if cell != cell else str(cell) for key, cell in row.items()})
            for row in rows
        ),
        where,
    )


def find_dictionary(setup: Setup | None = None) -> TMDictionary:
    """Returns the dictionary of a Setup when it names one, else the one that comes with this package.

    Installed packages add the rows of producers that it does not know (entry point group `egse.tm_dictionary`).

    Raises:
        TMDictionaryError: when the Setup names one that cannot be read.
    """
    found = dictionary_of(setup) if setup is not None and "telemetry" in setup else template_dictionary()
    added = [
        parameter
        for file in files_of_packages(GROUP)
        for parameter in _of_package(file)
        if parameter.mnemonic not in found.mnemonics
    ]
    return TMDictionary((*found.parameters, *added), found.where) if added else found


def _of_package(file: Path) -> tuple[Parameter, ...]:
    """Returns the rows that a package brings; a file with a mistake is left out, and that is logged."""
    try:
        return read_dictionary(file).parameters
    except TMDictionaryError as exc:
        LOGGER.warning("rows of an installed package are left out: %s", exc)
        return ()


__all__ = [
    "ORIGIN",
    "SYNOPTICS_MNEMONIC",
    "TEMPLATE",
    "TMDictionary",
    "TMDictionaryError",
    "dictionary_of",
    "find_dictionary",
    "find_separator",
    "read_dictionary",
    "read_rows",
    "read_text",
    "template_dictionary",
]
