"""`cgse systemd install`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from egse.cli.common import tells_errors
from egse.site.sites import join_current_site
from egse.site.systemd import GeneratedFile, install, make_files


@click.group()
def systemd() -> None:
    """Unit files for an operational machine, where systemd keeps the servers running.

    Example: cgse systemd install --print
    """


@systemd.command("install")
@click.option("--print", "only_print", is_flag=True, help="Print the files instead of writing them.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write the files into; /etc/systemd/system is where the units belong.",
)
@click.option("--user", default="", help="Who runs the servers; default: you.")
@click.option("--group", default="", help="The group of the servers; default: yours.")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the environment file belongs; default: env.txt in PLATO_INSTALL_LOCATION, or /cgse/env.txt.",
)
@tells_errors
def install_command(
    only_print: bool, folder: Path | None, user: str, group: str, env_file: Path | None
) -> None:
    """Make the environment file, the units of the core services and the template of device servers.

    They are for the site that the environment names. Without --dir they are only printed.

    Example: cgse systemd install --dir ~/units --user plato-data
    """
    join_current_site()
    if not user and os.getuid() == 0:
        click.echo("These units run everything as root: choose another user with --user.", err=True)
    files = make_files(user, group, env_file)
    if only_print or folder is None:
        for file in files:
            click.echo(f"# ==== {file.path}\n{file.text}")
        return
    for file, path in zip(files, install(files, folder.expanduser())):
        click.echo(f"{path}" + ("" if path == file.path else f"   belongs to {file.path}"))
    click.echo(_advice(files, folder))


def _advice(files: list[GeneratedFile], folder: Path) -> str:
    moves = [f"  sudo install -m {file.mode:o} {folder / file.path.name} {file.path}" for file in files]
    units = " ".join(f.path.name for f in files if f.path.suffix == ".service" and "@" not in f.path.name)
    lines = [
        "",
        "To put them into place and start the core services:",
        *moves,
        "  sudo systemctl daemon-reload",
        f"  sudo systemctl enable --now {units}",
    ]
    return "\n".join(lines)
