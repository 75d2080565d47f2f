"""`camtest demo`: the main job from nothing to a verified observation, in a sandbox of its own."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

PROCEDURE = Path(__file__).resolve().parents[2] / "procedures" / "short_functional_test.ipynb"


@click.command(epilog="Example: camtest demo --cycles 2 --speed 5")
@click.option(
    "--dir",
    "folder",
    default=".demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the sandbox; it is kept, its processes are not.",
)
@click.option(
    "--speed", default=5.0, show_default=True, help="How much faster than the wall the camera runs."
)
@click.option("--cycles", default=2, show_default=True, type=click.IntRange(1), help="Cycles of images.")
@click.option(
    "--notebook",
    default=PROCEDURE,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="The procedure; the short functional test by default.",
)
def demo(folder: Path, speed: float, cycles: int, notebook: Path) -> None:
    """Run a procedure notebook as an observation against simulated equipment.

    Starts a sandbox (core services, simulators, device servers), runs the short functional test as one observation,
    lists the files that were written, verifies the observation, and stops everything.
    """
    from camtest.cli.options import progress
    from camtest.run.runner import run_notebook
    from egse.site.sandbox import Sandbox

    click.secho(f"Starting the sandbox in {folder} (time runs {speed:g} x faster) ...", bold=True)
    with Sandbox(folder, speed=speed) as sandbox, sandbox.joined():
        _join_settings()
        click.secho(f"Running {notebook.name} with {cycles} cycle(s) ...", bold=True)
        result = run_notebook(
            notebook,
            {"num_cycles": cycles},
            output_dir=folder / "runs",
            report=progress(),
            on_start=lambda obsid: click.echo(f"Observation {obsid}"),
        )
        problems = _report(result.obsid)
        for line in result.lines():
            click.echo(line)
    if problems or result.exit_code:
        raise SystemExit(result.exit_code or 1)
    click.secho(f"Observation {result.obsid} is done and verified.", fg="green", bold=True)


def _join_settings() -> None:
    from egse.settings import Settings

    Settings.load(force=True)


def _report(obsid: str) -> list[str]:
    """Prints the files of an observation and what verification finds wrong; returns the latter."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    from egse.archive import Observation, verify

    observation = Observation(obsid)
    files = [*observation.files, *observation.raw_files]
    table = Table("file", Column("size [MB]", justify="right"), box=box.SIMPLE_HEAD)
    for folder, paths in groupby(files, key=lambda path: path.parent):
        table.add_row(f"[bold]{folder.relative_to(observation.site_folder)}/[/bold]")
        for path in paths:
            table.add_row(f"  {path.name}", f"{path.stat().st_size / 1e6:.3f}")
    console = Console()
    console.print(f"Files of {obsid}, below {observation.site_folder}:")
    console.print(table, width=max(console.width, 100))
    problems = [str(problem) for problem in verify(observation)]
    for problem in problems:
        click.secho(f"verify: {problem}", fg="red", err=True)
    if not problems:
        click.echo(f"verify: {len(files)} files, all as recorded")
    return problems
