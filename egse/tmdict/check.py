"""What is wrong with the file of a TM dictionary, line by line (`cgse tm check`)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from egse.advice import or_meant
from egse.tmdict.dictionary import NEEDED, SYNOPTICS_MNEMONIC, find_separator, read_rows, read_text
from egse.tmdict.parameter import COLUMNS, NUMBERS, ORIGIN, Limits, Parameter, parse_number
from egse.tmdict.prefixes import SITES, TEST_HOUSES, PrefixError, check_prefix, site_of

UNITS = (
    "Volts",
    "Ampère",
    "Watts",
    "Ohms",
    "Seconds",
    "Milliseconds",
    "Hertz",
    "Degrees",
    "DegCelsius",
    "Kelvin",
    "Percent",
    "Millimetres",
    "Metres",
    "Millibars",
    "Bytes",
    "ADU",
    "Counts",
)
"""Known units; those of the manual (section 5.6.1) and their like. A parameter without a unit (flag, state, text) has an
empty cell."""

METRIC_WORDS = frozenset(
    [
        "s",
        "ms",
        "us",
        "ns",
        "sec",
        "m",
        "h",
        "d",
        "b",
        "kb",
        "mb",
        "gb",
        "tb",
        "pb",
        "counter",
        "gauge",
        "histogram",
        "summary",
    ]
)
"""What no part of a name between underscores may be, in either case: a parameter is a metric of the same name (manual, section
5.6.1), in which Prometheus reads these as units or types. Source: the checks of `promtool check metrics`."""

KINDS = {
    "file": "the file cannot be read as a TM dictionary",
    "column": "a column is missing, unknown or twice there, or a row has too many cells",
    "duplicate": "the same name (or the same original name of one producer) twice",
    "prefix": "a name that is not EGSE-conform",
    "metric": "a part of a name that Prometheus takes for a unit or a type",
    "mnemonic": "no storage mnemonic",
    "timestamp": "no name of the corresponding timestamp",
    "unit": "an unknown unit",
    "screen": "no MON screen",
    "order": "a row that stands before or after its place: common, CSL, SRON, IAS, INTA, other sites",
    "origin": "a synoptic without origin, or an origin in a row that is no synoptic, or of another site",
    "limits": "a lower limit above the upper one, operational limits outside the non-operational ones",
    "number": "a number that cannot be read",
}
"""What `check_file` looks for."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something wrong.

    Attributes:
        line: line of the file, the first one being 1.
        kind: one of `KINDS`.
        message: what is wrong, and with which parameter.
        path: the file.
    """

    line: int
    kind: str
    message: str
    path: Path = Path()

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.message}"


def check_file(path: str | Path, separator: str | None = None) -> list[Finding]:
    """Returns what is wrong with a TM dictionary file, in the order of its lines; empty when nothing is.

    Args:
        path: the file.
        separator: what parts the columns; found out when None.

    Raises:
        TMDictionaryError: when it cannot be read at all.
    """
    path = Path(path)
    text = read_text(path)
    rows = read_rows(text, separator or find_separator(text))
    try:
        content = list(rows)
    except csv.Error as exc:
        return [Finding(1, "file", f"this is no table: {exc}", path)]
    if not content:
        return [Finding(1, "file", "the file is empty", path)]
    (line, header), *body = content
    found = [Finding(line, kind, message) for kind, message in _check_header(header)]
    if not all(name in header for name in NEEDED):
        return [_at(finding, path) for finding in found]
    parameters = []
    for line, cells in body:
        row = dict(zip(header, cells))
        if len(cells) > len(header) and any(cells[len(header) :]):
            found.append(Finding(line, "column", f"{len(cells)} cells, the header has {len(header)}"))
        parameter = Parameter.from_row(row, line)
        parameters.append(parameter)
        found += [Finding(line, kind, message) for kind, message in _check_row(parameter, row)]
    found += [*_check_duplicates(parameters), *_check_order(parameters)]
    return [_at(finding, path) for finding in sorted(found)]


def _at(finding: Finding, path: Path) -> Finding:
    return Finding(finding.line, finding.kind, finding.message, path)


Problem = tuple[str, str]


def _check_header(header: list[str]) -> Iterator[Problem]:
    for name in COLUMNS:
        if name not in header:
            yield "column", f"there is no column {name!r}"
    for name in dict.fromkeys(header):
        if name not in COLUMNS and not name.startswith(ORIGIN):
            yield "column", f"unknown column {name!r}{or_meant(name, COLUMNS)}"
        if header.count(name) > 1:
            yield "column", f"the column {name!r} is there {header.count(name)} times"


def _check_row(parameter: Parameter, row: Mapping[str, str]) -> Iterator[Problem]:
    yield from _check_names(parameter)
    name = parameter.name or "the row"
    if not parameter.timestamp:
        yield "timestamp", f"{name} has no name of the corresponding timestamp"
    if not parameter.screen:
        yield "screen", f"{name} has no MON screen"
    if parameter.unit and parameter.unit not in UNITS:
        yield "unit", f"{name} has the unknown unit {parameter.unit!r}{or_meant(parameter.unit, UNITS)}"
    for column in NUMBERS:
        try:
            parse_number(row.get(column) or "")
        except ValueError:
            comma = " (a decimal comma?)" if "," in row[column] else ""
            yield "number", f"{column} of {name} is no number: {row[column]!r}{comma}"
    yield from _check_limits(parameter)
    yield from _check_origins(parameter)


def _check_names(parameter: Parameter) -> Iterator[Problem]:
    if not parameter.mnemonic:
        yield "mnemonic", f"{parameter.name or 'the row'} has no storage mnemonic"
    if not parameter.name:
        yield "prefix", "the row has no CAM EGSE mnemonic"
        return
    words = [word for word in parameter.name.split("_") if word.lower() in METRIC_WORDS]
    if words:
        yield (
            "metric",
            f"{parameter.name}: Prometheus takes {words[0]} for a unit or a type; join it to its neighbour (TEMPB)",
        )
    # A common synoptic may stand there with its original name (manual, section 5.6.3).
    swapped = parameter.is_synoptic and parameter.synoptic_name != parameter.name
    sites = tuple(place for place in parameter.origins if place not in SITES)
    try:
        check_prefix(parameter.name, "" if swapped else parameter.mnemonic, sites)
    except PrefixError as exc:
        yield "prefix", str(exc)


def _check_limits(parameter: Parameter) -> Iterator[Problem]:
    ops, nonops, name = parameter.ops, parameter.nonops, parameter.name
    for kind, limits in (("ops", ops), ("nonops", nonops)):
        if limits.low is not None and limits.high is not None and limits.low > limits.high:
            yield "limits", f"MIN {kind} {limits.low:g} of {name} is above MAX {kind} {limits.high:g}"
    for end, value in (("MIN", ops.low), ("MAX", ops.high)):
        if value is not None and not _within(value, nonops):
            yield (
                "limits",
                f"{end} ops {value:g} of {name} is outside the non-operational limits {_show(nonops)}",
            )


def _within(value: float, limits: Limits) -> bool:
    wrong_way = limits.low is not None and limits.high is not None and limits.low > limits.high
    return wrong_way or value in limits


def _show(limits: Limits) -> str:
    low = "" if limits.low is None else f"{limits.low:g}"
    high = "" if limits.high is None else f"{limits.high:g}"
    return f"{low}..{high}"


def _check_origins(parameter: Parameter) -> Iterator[Problem]:
    if not parameter.is_synoptic:
        if parameter.mnemonic == SYNOPTICS_MNEMONIC:
            return  # named by its prefix already
        for place, origin in parameter.origins.items():
            yield "origin", f"{parameter.name} is no synoptic but has an origin at {place}: {origin}"
        return
    if not parameter.common_origin and not parameter.origins:
        yield (
            "origin",
            f"the synoptic {parameter.synoptic_name} has no origin, neither common nor at a test house",
        )
    for place, origin in parameter.origins.items():
        site = site_of(origin, tuple(parameter.origins))
        if site is not None and SITES.get(site, "") not in (place, "") and site != place:
            yield "origin", f"the origin of {parameter.synoptic_name} at {place} is one of {site}: {origin}"


def _check_duplicates(parameters: list[Parameter]) -> Iterator[Finding]:
    names: dict[str, int] = {}
    originals: dict[tuple[str, str, str], int] = {}
    for parameter in parameters:
        if parameter.name:
            first = names.setdefault(parameter.name, parameter.line)
            if first != parameter.line:
                yield Finding(parameter.line, "duplicate", f"{parameter.name} stands in line {first} already")
        if parameter.original:
            key = (parameter.mnemonic, parameter.original, site_of(parameter.name) or "")
            first = originals.setdefault(key, parameter.line)
            if first != parameter.line:
                yield Finding(
                    parameter.line,
                    "duplicate",
                    f"the original name {parameter.original} of {parameter.mnemonic} stands in line {first} already",
                )


_GROUPS = ("common", *TEST_HOUSES, "other sites")


def _group(parameter: Parameter) -> int:
    """Returns the place of a row in the order of the file: 0 common, 1 CSL .. 4 INTA, 5 other sites."""
    site = site_of(parameter.name)
    if site is None:
        return 0
    house = SITES.get(site, "")
    return 1 + TEST_HOUSES.index(house) if house else len(_GROUPS) - 1


def _check_order(parameters: list[Parameter]) -> Iterator[Finding]:
    """Names the first row of each block that comes after a block of a later group."""
    highest, told = 0, ""
    for parameter in parameters:
        group = _group(parameter)
        if group >= highest:
            highest, told = group, ""
            continue
        block = f"{parameter.mnemonic} {group}"
        if block != told:
            told = block
            yield Finding(
                parameter.line,
                "order",
                f"{parameter.name} ({_GROUPS[group]}) stands after rows of {_GROUPS[highest]}",
            )
