"""`camtest tasks PACKAGE`: the Tasks GUI as a page."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command(epilog="Example: camtest tasks camtest.operate")
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@click.option("--kernel", default="camtest", show_default=True, help="Kernel in which tasks run.")
@click.option("--title", default="", help="Title of the GUI.")
@click.option(
    "--cmd-log",
    "command_log",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of the command log: what was run, as code.",
)
@click.option("--port", type=int, default=0, help="Port of the page; a free one by default.")
@click.option(
    "--open/--no-open", "browser", default=None, help="Open a browser; by default where there is a display."
)
@click.option("--single", is_flag=True, help="Refuse to start when this GUI is running already.")
@click.option("--list", "listing", is_flag=True, help="Only print which tasks there are.")
def tasks(
    packages: tuple[str, ...],
    kernel: str,
    title: str,
    command_log: Path | None,
    port: int,
    browser: bool | None,
    single: bool,
    listing: bool,
) -> None:
    """Show the tasks of packages as a page of buttons with forms.

    Prints the address of the page, which holds its token; Ctrl-C ends it, with all that runs in it.
    """
    from camtest.tasks.catalogue import TaskPackageError, read_catalogue
    from camtest.tasks.page import PageError, PageOptions, serve

    if "" not in sys.path:
        sys.path.insert(0, "")  # a package in the folder where the command is given, as `python -m` finds it
    try:
        if listing:
            click.echo(str(read_catalogue(packages)))
            return
        options = PageOptions(packages, kernel, title, None, command_log, None, port, browser, single)
        raise SystemExit(serve(options, click.echo))
    except (PageError, TaskPackageError) as exc:
        raise click.ClickException(str(exc)) from exc
