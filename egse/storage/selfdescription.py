"""What makes the folder of an observation readable without this software: README and the meaning of its parameters.

The README is written when the folder is made and once more when it is sealed, then with how the observation ended and
what every file is. `<prefix>_telemetry.csv` has one row for each housekeeping parameter in the folder: its file, its
unit, and what the telemetry dictionary of the Setup says about it.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egse.files import write_atomically
from egse.storage.naming import parse_filename
from egse.yamlfile import YAMLFileError, parse_yaml

if TYPE_CHECKING:
    from egse.storage.observation import ObservationInfo

LOGGER = logging.getLogger(__name__)

README = "README.txt"
TELEMETRY = "telemetry.csv"
"""Name, without prefix, of the file with the meaning of the parameters."""
NAME, UNIT, DESCRIPTION = "CAM EGSE mnemonic", "unit cal1", "Description"
"""Columns of the telemetry dictionary (storage ICD, section 7.3)."""
OWN_COLUMNS = ("file", "mnemonic", "parameter", "unit")
"""Columns of `telemetry.csv` before those of the dictionary."""

_KINDS = (
    (
        "observation.json",
        "what was known when the observation started: obsid, who, notebook, parameters, versions",
    ),
    (
        "_setup.yaml",
        "the Setup, frozen (YAML); values like yaml//..., csv//... refer to the files conf_* here",
    ),
    (f"_{TELEMETRY}", "meaning, unit and limits of every column of the housekeeping files (CSV, UTF-8)"),
    ("_events.jsonl", "what happened, in order; one JSON object per line, `t` is Unix time [s]"),
    (
        "_commands.jsonl",
        "every device command: arguments, building block, outcome; one JSON object per line, UTC",
    ),
    ("_log.jsonl", "extract of the log, from start to end; one JSON object per line, `ts` is UTC"),
    ("_versions.json", "versions of software, Python, packages and kernel (JSON)"),
    ("_parameters.json", "parameters of the run, all and given (JSON)"),
    ("_input.ipynb", "the procedure as it was before the run (Jupyter notebook, JSON)"),
    (".ipynb", "the procedure as executed, with outputs (Jupyter notebook, JSON)"),
    (
        "_cube.fits",
        "images (FITS): one extension per product, CCD and side, axes column, row, exposure; BZERO 32768",
    ),
    (".csv", "housekeeping of one producer: comma, one header line, column `timestamp` in UTC"),
    (".hdf5", "rows of one producer (HDF5)"),
    (".sqlite", "rows of one producer (SQLite)"),
    (".fits", "rows of one producer (FITS table)"),
    (".txt", "lines of one producer, or text added by the run"),
)
"""What files are, by the end of their names; the first that fits."""


def write_readme(folder: Path, info: ObservationInfo, ended: Mapping[str, str] | None = None) -> None:
    """Writes the README of an observation.

    Args:
        folder: of the observation.
        info: the observation.
        ended: `status`, `reason` and `end` when it is over; then the README also lists the files.

    Raises:
        OSError: when it cannot be written.
    """
    write_atomically(folder / README, _readme(folder, info, ended or {}).encode())


def describe_parameters(folder: Path, info: ObservationInfo) -> None:
    """Writes what the housekeeping parameters in a folder mean; nothing when it holds no housekeeping.

    The telemetry dictionary is the one that the frozen Setup names (`telemetry.dictionary`); without one, or when it
    cannot be read, the file names the parameters and leaves the rest empty.

    Raises:
        OSError: when the file cannot be written.
    """
    columns = {path: _header(path) for path in sorted(folder.glob("*.csv")) if _mnemonic(path)}
    if not columns:
        return
    known = {row[NAME]: row for row in _dictionary_rows(folder, info)}
    more = [name for name in next(iter(known.values()), {}) if name not in (NAME, UNIT)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*OWN_COLUMNS, *more])
    for path, names in columns.items():
        for name in names:
            row = known.get(name, {})
            unit = row.get(UNIT) or ("UTC" if name == "timestamp" else "")
            writer.writerow([path.name, _mnemonic(path), name, unit, *(row.get(key, "") for key in more)])
    write_atomically(folder / f"{info.prefix}_{TELEMETRY}", text.getvalue().encode())


def read_units(path: Path) -> dict[str, str]:
    """Returns the units in a `telemetry.csv` or a telemetry dictionary, by parameter.

    Raises:
        OSError: when it cannot be read.
    """
    rows = read_rows(path)
    pairs = ((row.get("parameter") or row.get(NAME), row.get("unit") or row.get(UNIT)) for row in rows)
    return {name: unit for name, unit in pairs if name and unit}


def read_rows(path: Path, separator: str | None = None) -> list[dict[str, str]]:
    """Returns the rows of a table in CSV form by column name.

    Args:
        path: the file.
        separator: of the cells; None for the one of `;` and `,` that the header has more of.

    Raises:
        OSError: when it cannot be read.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    head = text.partition("\n")[0]
    delimiter = separator or (";" if head.count(";") >= head.count(",") else ",")
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    return [
        {key.strip(): (value or "").strip() for key, value in row.items() if isinstance(key, str)}
        for row in rows
    ]


def _dictionary_rows(folder: Path, info: ObservationInfo) -> Iterable[dict[str, str]]:
    """Returns the rows of the telemetry dictionary that the frozen Setup names."""
    try:
        content = parse_yaml((folder / f"{info.prefix}_setup.yaml").read_text(encoding="utf-8"), "setup.yaml")
    except (OSError, YAMLFileError) as exc:
        LOGGER.debug("no telemetry dictionary for %s: %s", info.obsid, exc)
        return []
    telemetry = _at(content, "Setup", "telemetry")
    value = str(_at(telemetry, "dictionary") or "")
    frozen = info.details.get("setup_files", {})
    name = frozen.get(value) if isinstance(frozen, Mapping) else None
    if not name:
        if value:
            LOGGER.warning("%s: the telemetry dictionary %s is not in its folder", info.obsid, value)
        return []
    try:
        rows = read_rows(folder / f"{info.prefix}_{name}", str(_at(telemetry, "separator") or "") or None)
    except (OSError, csv.Error, TypeError) as exc:
        LOGGER.warning("%s: the telemetry dictionary %s cannot be read: %s", info.obsid, name, exc)
        return []
    return [row for row in rows if row.get(NAME)]


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _mnemonic(path: Path) -> str:
    """Returns the producer of a housekeeping file, empty for other files."""
    try:
        return parse_filename(path.name).mnemonic
    except ValueError:
        return ""


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            return next(csv.reader(file), [])
    except OSError:
        return []


def _readme(folder: Path, info: ObservationInfo, ended: Mapping[str, str]) -> str:
    title = f"Observation {info.obsid}"
    runner = "a runner" if info.supervised else "a session at a prompt"
    facts = [
        ("test id", info.name.test),
        ("site", info.site_id),
        ("camera", info.camera or "(not named by the Setup)"),
        ("Setup", f"{info.setup_id:05d}     (frozen copy: {info.prefix}_setup.yaml)"),
        ("started", f"{info.start}     by {info.origin or 'unknown'} ({runner})"),
        ("ended", ended.get("end") or "(not yet, or this file was not completed: see manifest.json)"),
        ("status", ended.get("status") or "(open)"),
        ("reason", ended.get("reason", "")),
        ("function", info.function),
        ("description", info.description or "(none)"),
    ]
    lines = [title, "=" * len(title), *(f"{name:<13}{value}" for name, value in facts if value)]
    if ended:
        lines += ["", "Files", "-----", *_list_files(folder)]
    return "\n".join(lines) + "\n" + _GUIDE.format(prefix=info.prefix, test=info.test_id)


def _list_files(folder: Path) -> Iterable[str]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.name != README:
            kind = next((text for end, text in _KINDS if path.name.endswith(end)), "")
            if path.name.startswith(f"{folder.name}_conf_"):
                kind = "a file that the Setup refers to, frozen"
            yield f"{path.name}\n    {kind or 'added by the run'}"


_GUIDE = """
How to read it
--------------
*.csv          header line with the names of the columns; address columns by name, their order is not fixed.
               `timestamp` is UTC, %Y-%m-%dT%H:%M:%S.%f%z; empty cells: no value. The same rows are in daily/ of those days.
               What the columns mean, and their units: {prefix}_telemetry.csv
*.jsonl        one JSON object per line
*.fits         any FITS reader; unsigned 16-bit pixels. Times: table WCS-TAB_<ccd>_<side>, seconds after DATE-OBS of the
               primary header
*.hdf5         raw camera packets, one file per readout cycle, in daily/ of the site (storage ICD, section 8); those of this
               observation are listed under "external" in manifest.json, relative to the data folder of the site
manifest.json  written last: who, where, when, why, Setup, software, which file is what, the manifest before this one, and
               size and SHA-256 of every file here and of the raw files
supplements.jsonl
               files derived later (FITS cubes, reports), with their SHA-256

With this software: egse.archive.Observation({test}) reads all of it. Nothing that the manifest lists may change;
`camtest verify {test}` checks it, any `sha256sum` does as well.
"""
