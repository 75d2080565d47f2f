"""`cgse conf init|check|starters`."""

from __future__ import annotations

from pathlib import Path

import click

from egse.cli.common import tells_errors
from egse.env import get_conf_repo_location, get_site_id
from egse.setup import Setup, SetupError
from egse.setup.check import check_tree
from egse.setup.conf import setup_files
from egse.site.confrepo import GENERIC, init_conf_repository, starter_names


@click.group()
def conf() -> None:
    """The configuration repository of a site: its Setups and the files they refer to.

    Example: cgse conf init --site CSL1 --dir ~/git/plato-cgse-conf
    """


@conf.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The repository; by default where the environment says (PLATO_CONF_REPO_LOCATION).",
)
@click.option(
    "--site", "sites", multiple=True, metavar="ID", help="A site to make; by default that of the environment."
)
@click.option("--all-sites", is_flag=True, help="Make every site that has a starter Setup.")
@click.option(
    "--from",
    "starter",
    metavar="TEMPLATE",
    help="What the first Setup is made of: the name of a starter, or a Setup file. By default the starter of the site.",
)
@click.option("--camera", default="achel", show_default=True, help="Name of the camera.")
@tells_errors
def init(
    folder: Path | None, sites: tuple[str, ...], all_sites: bool, starter: str | None, camera: str
) -> None:
    """Make a configuration repository with Setup 1 of a site, or add a site to one that is there.

    Example: cgse conf init --site CSL1 --dir ~/git/plato-cgse-conf
    """
    names = starter_names()
    wanted = [name for name in names if name != GENERIC] if all_sites else list(sites) or [get_site_id()]
    starters = {site: starter or (site if site in names else GENERIC) for site in wanted}
    target = (folder or get_conf_repo_location()).expanduser().absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in init_conf_repository(target, starters, camera):
        click.echo(path)
    click.echo(f"\nexport PLATO_CONF_REPO_LOCATION={target}")
    click.echo(f"export PLATO_CONF_DATA_LOCATION={target}/data/{wanted[0]}/conf")


@conf.command()
@tells_errors
def starters() -> None:
    """List the starter Setups.

    Example: cgse conf starters
    """
    for name in starter_names():
        click.echo(name)


@conf.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--no-classes", is_flag=True, help="Do not import the classes of devices.")
@tells_errors
def check(files: tuple[Path, ...], no_classes: bool) -> None:
    """Look Setups through: files, classes, enums, unknown values, each with file, line and key path.

    Without FILES all Setups of this site are looked at. Nothing is connected to.

    Example: cgse conf check --no-classes
    """
    problems = 0
    paths = list(files) or list(setup_files().values())
    for path in paths:
        try:
            found = list(check_tree(Setup.from_yaml_file(path), not no_classes))
        except SetupError as exc:
            found = [str(exc)]
        for problem in found:
            click.echo(problem)
        problems += len(found)
    click.echo(f"{len(paths)} Setup(s), {problems or 'no'} problem{'' if problems == 1 else 's'}")
    raise SystemExit(1 if problems else 0)
