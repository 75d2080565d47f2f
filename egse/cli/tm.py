"""`cgse tm check|show|list`: the TM dictionary."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from egse.cli.common import tells_errors
from egse.env import EnvError, get_site_id
from egse.hk import current_dictionary
from egse.tmdict import (
    Limits,
    Parameter,
    TMDictionary,
    TMDictionaryError,
    check_file,
    read_dictionary,
    template_dictionary,
)
from egse.tmdict.check import KINDS

P = ParamSpec("P")
T = TypeVar("T")

FILE = click.Path(path_type=Path, dir_okay=False)


def _tells_dictionary_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: a dictionary that cannot be read, or a name that it does not have, ends the command with its text."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return tells_errors(function)(*args, **kwargs)
        except TMDictionaryError as exc:
            raise click.ClickException(str(exc)) from exc

    return wrapper


def _dictionary(path: Path | None) -> TMDictionary:
    """Returns the dictionary in a file, that of the loaded Setup for None, or that of this package without one."""
    if path is not None:
        return read_dictionary(path)
    try:
        get_site_id()  # without a site there is no configuration manager to ask
        return current_dictionary()
    except EnvError:
        return template_dictionary()


_file_option = click.option(
    "--file",
    "path",
    type=FILE,
    help="The dictionary; default: that of the loaded Setup, or of this package.",
)


@click.group()
def tm() -> None:
    """The TM dictionary: all housekeeping parameters, their units, limits and translations.

    Example: cgse tm check tm-dictionary.csv
    """


@tm.command(
    epilog="\b\nKinds of findings:\n" + "\n".join(f"  {kind:<10} {text}" for kind, text in KINDS.items())
)
@click.argument("path", metavar="[FILE]", type=FILE, required=False)
@click.option("--separator", help="What parts the columns; found out when not given.")
@click.option(
    "--ignore", multiple=True, type=click.Choice(list(KINDS)), help="Leave this kind of finding out."
)
@_tells_dictionary_errors
def check(path: Path | None, separator: str | None, ignore: tuple[str, ...]) -> None:
    """Check a dictionary: one line FILE:LINE: KIND: TEXT for each finding, exit code 1 when there are any.

    Example: cgse tm check tm-dictionary.csv --ignore screen
    """
    chosen = path if path is not None else Path(_dictionary(None).where)
    findings = [finding for finding in check_file(chosen, separator) if finding.kind not in ignore]
    for finding in findings:
        click.echo(str(finding))
    if findings:
        counts = Counter(finding.kind for finding in findings)
        summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        raise click.ClickException(f"{len(findings)} finding(s) in {chosen}: {summary}")
    click.echo(f"{chosen}: {len(read_dictionary(chosen, separator))} parameters, nothing to complain about")


@tm.command()
@click.argument("name")
@_file_option
@_tells_dictionary_errors
def show(name: str, path: Path | None) -> None:
    """Show one parameter, by its EGSE-conform name or by its name in the device.

    Example: cgse tm show GOGSE_ATT_LVL
    """
    dictionary = _dictionary(path)
    found = [dictionary[name]] if name in dictionary else dictionary.find_original(name)
    if not found:
        found = [dictionary[name]]  # raises with the closest name
    click.echo("\n\n".join(_describe(parameter) for parameter in found))


@tm.command("list")
@click.option("--mnemonic", help="Only the parameters of this producer.")
@click.option("--filter", "part", default="", help="Only names that contain this text.")
@_file_option
@_tells_dictionary_errors
def list_(mnemonic: str | None, part: str, path: Path | None) -> None:
    """List the parameters; without options the producers and how many parameters each has.

    Example: cgse tm list --mnemonic N-FEE-HK --filter CCD
    """
    dictionary = _dictionary(path)
    if mnemonic is None and not part:
        for known in dictionary.mnemonics:
            rows = dictionary.of(known)
            click.echo(f"{known:<12} {len(rows):5d}  {rows[0].source}")
        return
    rows = list(dictionary.parameters) if mnemonic is None else dictionary.of(mnemonic)
    chosen = [row for row in rows if part.lower() in row.name.lower()]
    width = max((len(row.name) for row in chosen), default=0)
    units = max((len(row.unit) for row in chosen), default=0)
    for row in chosen:
        click.echo(f"{row.name:<{width}}  {row.unit:<{units}}  {row.description}".rstrip())


def _describe(parameter: Parameter) -> str:
    """Returns a parameter as lines; what it does not have is left out."""
    calibration = ""
    if parameter.is_calibrated:
        slope, offset = parameter.slope, parameter.offset
        calibration = f"{1.0 if slope is None else slope:g} * raw + {0.0 if offset is None else offset:g}"
    lines = {
        "description": parameter.description,
        "TM source": parameter.source,
        "storage mnemonic": parameter.mnemonic,
        "original name": parameter.original,
        "timestamp": parameter.timestamp,
        "unit": parameter.unit,
        "calibration": calibration,
        "operational": _range(parameter.ops),
        "non-operational": _range(parameter.nonops),
        **{f"origin at {place}": origin for place, origin in parameter.origins.items()},
        "MON screen": parameter.screen,
        "comment": parameter.comment,
        "line": str(parameter.line or ""),
    }
    shown = [f"  {key:<16} {value}" for key, value in lines.items() if value]
    return "\n".join([parameter.name, *shown])


def _range(limits: Limits) -> str:
    if not limits:
        return ""
    low = "" if limits.low is None else f"{limits.low:g}"
    high = "" if limits.high is None else f"{limits.high:g}"
    return f"{low} .. {high}"
