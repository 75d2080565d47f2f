"""The command `gui-executor`: the Tasks GUI of a package as a page, with the options of the original."""

from __future__ import annotations

from pathlib import Path

import click

from camtest.tasks.page import PageError, PageOptions, serve


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: gui-executor --module-path camtest.contingency",
)
@click.version_option(None, "--version", "-V", package_name="camtest", prog_name="gui-executor")
@click.option(
    "--module-path",
    "packages",
    multiple=True,
    required=True,
    metavar="PACKAGE",
    help="A task package; may be repeated.",
)
@click.option(
    "--kernel-name", "kernel", default="python3", show_default=True, help="The kernel in which tasks run."
)
@click.option("--app-name", "title", default="", help="Title of the GUI.")
@click.option("--logo", type=click.Path(path_type=Path), help="Picture beside the title (PNG or SVG).")
@click.option(
    "--cmd-log",
    "command_log",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the command log.",
)
@click.option(
    "--save-console-output",
    "save_output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that gets the output as plain text.",
)
@click.option("--port", type=int, default=0, help="Port of the page; a free one by default.")
@click.option(
    "--open/--no-open", "browser", default=None, help="Open a browser; by default where there is a display."
)
@click.option("--verbose", "-v", count=True, hidden=True)
@click.option("--debug", "-d", is_flag=True, hidden=True)
@click.option("--config", "config", type=click.Path(path_type=Path), hidden=True)
@click.option("--single", is_flag=True, help="Refuse to start when this GUI is running already.")
def main(
    packages: tuple[str, ...],
    kernel: str,
    title: str,
    logo: Path | None,
    command_log: Path | None,
    save_output: Path | None,
    port: int,
    browser: bool | None,
    verbose: int,
    debug: bool,
    config: Path | None,
    single: bool,
) -> None:
    """Show the tasks of a package as a page of buttons (chapter 22 of the manual).

    Prints the address of the page; Ctrl-C ends it.
    """
    if config is not None:
        click.echo(f"{config} is not used: what it can say are options here (see --help)", err=True)
    options = PageOptions(packages, kernel, title, logo, command_log, save_output, port, browser, single)
    try:
        raise SystemExit(serve(options))
    except PageError as exc:
        raise click.ClickException(str(exc)) from exc


if __name__ == "__main__":
    main()
