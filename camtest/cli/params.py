"""`camtest params NOTEBOOK`: the parameters of a notebook."""

from __future__ import annotations

import json
from pathlib import Path

import click

from camtest.cli.options import NOTEBOOK


@click.command()
@NOTEBOOK
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def params(notebook: Path, as_json: bool) -> None:
    """Show name, type, unit, range, default and explanation of the parameters of a notebook."""
    from camtest.run.notebooks import read_notebook
    from camtest.run.parameters import notebook_parameters

    try:
        known = notebook_parameters(read_notebook(notebook))
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc
    rows = [
        {
            "name": parameter.name,
            "type": parameter.type_name,
            "unit": parameter.definition.unit,
            "range": "" if parameter.definition.limits is None else str(parameter.definition.limits),
            "default": "" if parameter.required else parameter.default,
            "required": parameter.required,
            "help": parameter.help,
        }
        for parameter in known.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    elif not rows:
        click.echo(f"{notebook.name} has no parameters (no cell is tagged `parameters`).")
    else:
        _print_table(notebook.name, rows)


def _print_table(name: str, rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Parameters of {name}")
    for column in ("name", "type", "unit", "range", "default", "help"):
        table.add_column(column, overflow="fold")
    for row in rows:
        default = "must be given" if row["required"] else str(row["default"])
        table.add_row(*(str(row[c]) for c in ("name", "type", "unit", "range")), default, str(row["help"]))
    Console().print(table)
