"""Options that commands on notebooks share: parameters in papermill's four forms."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from camtest.run.manager import Reporter

F = TypeVar("F", bound=Callable[..., Any])

NOTEBOOK = click.argument("notebook", type=click.Path(exists=True, dir_okay=False, path_type=Path))


def parameter_options(command: F) -> F:
    """Adds `-p`, `-r`, `-y` and `-f`."""
    options = (
        click.option(
            "-p",
            "--parameters",
            nargs=2,
            multiple=True,
            metavar="NAME VALUE",
            help="A parameter; VALUE is read in the type that the notebook declares.",
        ),
        click.option(
            "-r",
            "--parameters_raw",
            nargs=2,
            multiple=True,
            metavar="NAME TEXT",
            help="A parameter whose value is the text as it stands.",
        ),
        click.option(
            "-y", "--parameters_yaml", multiple=True, metavar="YAML", help="Parameters as a YAML mapping."
        ),
        click.option(
            "-f",
            "--parameters_file",
            multiple=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A YAML file with parameters.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def gather_parameters(
    notebook: Path,
    texts: Iterable[tuple[str, str]],
    raw: Iterable[tuple[str, str]],
    yaml_texts: Iterable[str],
    files: Iterable[Path],
) -> dict[str, Any]:
    """Returns all parameters of a command line; files first, then YAML, then `-p`, then `-r`."""
    from camtest.run.notebooks import read_notebook
    from camtest.run.parameters import convert_texts

    values: dict[str, Any] = {}
    for file in files:
        values |= _mapping(file.read_text(encoding="utf-8"), str(file))
    for text in yaml_texts:
        values |= _mapping(text, "-y")
    try:
        values |= convert_texts(read_notebook(notebook), dict(texts))
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc
    return values | dict(raw)


def _mapping(text: str, where: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise click.UsageError(f"{where} is not valid YAML: {exc}") from exc
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise click.UsageError(f"{where} must be a mapping of names to values, got {text.strip()!r}")
    return {str(key): value for key, value in content.items()}


_COLOURS = {"passed": "green", "skipped": "yellow"}


def progress() -> Reporter:
    """Returns a reporter that prints one line per cell; on a terminal the running cell is shown, too."""
    live = sys.stdout.isatty()

    def report(cell: int, count: int, title: str, status: str, duration: float) -> None:
        number = f"[{cell:>{len(str(count))}}/{count}]"
        if status == "running":
            if live:
                click.echo(f"{number} {title} ...", nl=False)
            return
        start = "\r\x1b[2K" if live else ""
        ending = click.style(status, fg=_COLOURS.get(status, "red"))
        took = "" if status == "skipped" else f"  {duration:.1f} s"
        click.echo(f"{start}{number} {title}  {ending}{took}")

    return report
