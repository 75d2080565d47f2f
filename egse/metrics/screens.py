"""Panels of housekeeping parameters, made of the TM dictionary: one dashboard for each of its MON screens. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from egse.metrics.figures import metric_name
from egse.metrics.panels import SITE, Dashboard, Panel, Query, Row, grafana_unit
from egse.tmdict import TMDictionary
from egse.tmdict.parameter import Limits, Parameter
from egse.tmdict.prefixes import site_of, site_prefix

MOST_SERIES = 16
"""So many parameters one panel shows at most."""
FEWEST_SERIES = 3
"""Groups with fewer parameters are shown together."""
ANY_SITE = "G[A-Z0-9_]+_"
"""Stands for the prefix of any site in expressions: a dashboard serves all of them."""
RAW = "ADU"
TEMPERATURES = ("DegCelsius", "Kelvin")


def pattern_of(parameter: Parameter) -> str:
    """Returns the regular expression for the name of the metric of a parameter, at any site."""
    name = metric_name(parameter.synoptic_name if parameter.is_synoptic else parameter.name)
    site = site_of(name)
    return name if site is None else ANY_SITE + name.removeprefix(site_prefix(site))


def selection(parameters: Iterable[Parameter], texts: bool = False) -> str:
    """Returns the expression that shows parameters, under their own names.

    Args:
        parameters: at least one.
        texts: values that are texts too.
    """
    names = "|".join(dict.fromkeys(pattern_of(parameter) for parameter in parameters))
    return f'{{__name__=~"({names}){"(_info)?" if texts else ""}", {SITE}}}'


def parameter_panel(title: str, parameters: Sequence[Parameter], width: int = 8) -> Panel:
    """Returns the panel of parameters with the same unit: curves, or states for those without a unit."""
    unit = parameters[0].unit
    described = "\n".join(
        dict.fromkeys(f"{_short(row)}: {row.description}" for row in parameters if row.description)
    )
    if not unit:
        return Panel(
            title,
            (Query(selection(parameters, texts=True), "{{__name__}} {{value}}"),),
            kind="state-timeline",
            width=width,
            description=described,
        )
    return Panel(
        title,
        (Query(selection(parameters), "{{__name__}}"),),
        unit=grafana_unit(unit),
        width=width,
        description=described,
        lines=_lines(parameters),
    )


def _short(parameter: Parameter) -> str:
    name = parameter.synoptic_name if parameter.is_synoptic else parameter.name
    site = site_of(name)
    return name if site is None else name.removeprefix(site_prefix(site))


def _lines(parameters: Sequence[Parameter]) -> tuple[tuple[float, str], ...]:
    """Returns the limits that all parameters of a panel have in common, as lines."""
    found: list[tuple[float, str]] = []
    for attribute, colour in (("ops", "orange"), ("nonops", "red")):
        limits: set[Limits] = {getattr(parameter, attribute) for parameter in parameters}
        if len(limits) == 1:
            (common,) = limits
            found += [(value, colour) for value in (common.low, common.high) if value is not None]
    return tuple(found)


def _stem(parameter: Parameter) -> str:
    """Returns the part of a name by which parameters belong together, `CCD1` of `NFEE_CCD1_TS`."""
    parts = _short(parameter).split("_")
    return parts[1] if len(parts) > 2 else ""


def grouped(parameters: Sequence[Parameter]) -> Iterator[tuple[str, list[Parameter]]]:
    """Parts parameters into panels: by unit, by stem where many share one, and never too many.

    Yields:
        Title and parameters.
    """
    for unit in dict.fromkeys(parameter.unit for parameter in parameters):
        members = [parameter for parameter in parameters if parameter.unit == unit]
        name = unit or "States"
        if len({pattern_of(parameter) for parameter in members}) <= MOST_SERIES:
            yield name, members
            continue
        stems: dict[str, list[Parameter]] = {}
        for parameter in members:
            stems.setdefault(_stem(parameter), []).append(parameter)
        few = [row for rows in stems.values() if len(rows) < FEWEST_SERIES for row in rows]
        many = {stem: rows for stem, rows in stems.items() if len(rows) >= FEWEST_SERIES}
        for stem, rows in (*many.items(), ("others", few)):
            for number, part in enumerate(_parts(rows)):
                yield f"{name}: {stem}{f' ({number + 1})' if number else ''}", part


def _parts(rows: Sequence[Parameter]) -> Iterator[list[Parameter]]:
    """Yields as many parameters as one panel shows; those of several sites under one name count once."""
    patterns = list(dict.fromkeys(pattern_of(row) for row in rows))
    for start in range(0, len(patterns), MOST_SERIES):
        chosen = set(patterns[start : start + MOST_SERIES])
        yield [row for row in rows if pattern_of(row) in chosen]


def producer_row(dictionary: TMDictionary, mnemonic: str, parameters: Sequence[Parameter]) -> Row:
    """Returns the panels of one producer."""
    source = next((row.source for row in dictionary.of(mnemonic) if row.source), mnemonic)
    panels = tuple(parameter_panel(title, rows) for title, rows in grouped(parameters))
    return Row(f"{source} ({mnemonic})", panels)


def screen_dashboards(dictionary: TMDictionary) -> Iterator[Dashboard]:
    """Yields one dashboard for each MON screen of the dictionary."""
    screens: dict[str, dict[str, list[Parameter]]] = {}
    for row in dictionary.parameters:
        if row.screen and row.mnemonic:
            screens.setdefault(row.screen, {}).setdefault(row.mnemonic, []).append(row)
    for screen, producers in screens.items():
        rows = tuple(producer_row(dictionary, name, parameters) for name, parameters in producers.items())
        yield Dashboard(f"egse-screen-{_slug(screen)}", f"EGSE screen {screen}", rows, ("screen",))


def temperature_rows(dictionary: TMDictionary) -> Iterator[Row]:
    """Yields the temperatures of each producer."""
    for mnemonic in dictionary.mnemonics:
        rows = [row for row in dictionary.of(mnemonic) if row.unit in TEMPERATURES]
        if rows:
            yield producer_row(dictionary, mnemonic, rows)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
