"""`cgse backup create|verify|restore`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from egse.cli.common import tells_errors
from egse.site.backup import (
    BackupError,
    Contents,
    create_backup,
    describe,
    restore_backup,
    verify_backup,
)
from egse.site.sites import join_current_site
from egse.system import format_datetime

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group()
def backup() -> None:
    """Back up what cannot be made again: configuration, record of observations, journals, settings.

    The data themselves are copied by `cgse archive sync`. Example: cgse backup create
    """


@backup.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--with-keys", is_flag=True, help="Put the keys in, secrets too: keep that file as safe as the keys."
)
@tells_errors
def create(file: Path | None, with_keys: bool) -> None:
    """Make a backup of this site; it may be running.

    Example: cgse backup create /archive/backup/csl1.tar.gz
    """
    from egse.env import get_site_id

    join_current_site()
    path = file or Path(f"backup-{get_site_id()}-{format_datetime(fmt='%Y%m%d-%H%M%S')}.tar.gz")
    try:
        contents = create_backup(path, with_keys=with_keys)
    except (BackupError, OSError) as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{path} ({path.stat().st_size:,} bytes)")
    _print(contents)


@backup.command()
@FILE
@tells_errors
def verify(file: Path) -> None:
    """Read a whole backup and check it; exit code 1 when something is wrong with it.

    Example: cgse backup verify csl1.tar.gz
    """
    try:
        contents, problems = verify_backup(file)
    except BackupError as exc:
        raise click.ClickException(str(exc)) from exc
    _print(contents)
    for problem in problems:
        click.secho(problem, fg="red", err=True)
    click.echo("It is damaged." if problems else "It is complete and undamaged.")
    sys.exit(1 if problems else 0)


@backup.command()
@FILE
@click.option(
    "--dir",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="New or empty folder for the site.",
)
@click.option(
    "--archive",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Copy of the data, made by `cgse archive sync`: its record knows the observations made after the backup.",
)
@click.option(
    "--next-obsid",
    type=int,
    help="Test id of the next observation, when numbers were given after the backup.",
)
@tells_errors
def restore(file: Path, folder: Path, archive: Path | None, next_obsid: int | None) -> None:
    """Make a site from a backup, in an empty folder.

    Example: cgse backup restore csl1.tar.gz --dir ~/csl1 --archive /archive
    """
    try:
        layout, contents = restore_backup(file, folder, archive=archive, next_obsid=next_obsid)
    except (BackupError, LookupError, OSError) as exc:
        raise click.ClickException(str(exc)) from exc
    _print(contents)
    click.echo(f"Site {layout.site_id} is in {layout.folder}")
    if archive is None and next_obsid is None:
        click.secho(
            "Observations made after the backup are not known here: their numbers would be given again. When there may be "
            "any, restore with --archive or --next-obsid.",
            fg="yellow",
            err=True,
        )
    click.echo(f"\nJoin it with:  . {layout.folder / 'env'}   then:  cgse doctor; cgse core start")


def _print(contents: Contents) -> None:
    for name, text in describe(contents).items():
        click.echo(f"{name:<14}{text}")
