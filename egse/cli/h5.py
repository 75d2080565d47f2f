"""`cgse h5`: raw camera files: what is in them, are they good, the other format."""

from __future__ import annotations

from pathlib import Path

import click

from egse.h5 import PACKED_VERSION, format_version, get_file, parse_format, show_file, show_groups
from egse.h5.convert import ConversionError, convert_file

_PATH = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def h5() -> None:
    """Raw camera files (HDF5).

    Example: cgse h5 show 20260102_LAB_N-FEE_SPW_00007.hdf5
    """


@h5.command()
@click.argument("path", type=_PATH)
@click.option("--tree", is_flag=True, help="Groups and datasets instead of a summary.")
def show(path: Path, tree: bool) -> None:
    """Shows what is in a raw file.

    Example: cgse h5 show 20260101_CSL1_N-FEE_SPW_00001.hdf5 --tree
    """
    try:
        with get_file(path) as file:
            click.echo(show_groups(file) if tree else show_file(file))
    except OSError as exc:
        raise click.ClickException(f"{path} cannot be read: {exc}") from exc


@h5.command()
@click.argument("paths", type=_PATH, nargs=-1, required=True)
@click.option(
    "--to", "version", default=None, help="Format of the new files: 2.6 or 3.0; the other one by default."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where the new files go, under their own names; not where the old ones are.",
)
def convert(paths: tuple[Path, ...], version: str | None, folder: Path) -> None:
    """Writes raw files anew in the other format, without loss.

    Example: cgse h5 convert daily/20260102/*.hdf5 --to 3.0 --folder /data/packed
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        try:
            with get_file(path) as file:
                is_new = format_version(file) >= PACKED_VERSION
            wanted = parse_format(version or ("2.6" if is_new else "3.0"))
            click.echo(str(convert_file(path, folder / path.name, wanted)))
        except (ConversionError, ValueError, OSError) as exc:
            raise click.ClickException(f"{path}: {exc}") from exc
