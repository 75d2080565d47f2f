"""`cgse site list|use|new`."""

from __future__ import annotations

from pathlib import Path

import click

from egse.cli.common import tells_errors
from egse.site.layout import format_exports
from egse.site.sites import load_sites, new_site, sites_file, use_site


@click.group()
def site() -> None:
    """The sites on this machine.

    Example: cgse site new CSL1 --dir ~/csl1
    """


@site.command("list")
@tells_errors
def list_() -> None:
    """List the sites; the current one, used when the environment names none, has an asterisk.

    Example: cgse site list
    """
    sites = load_sites()
    if not sites.folders:
        click.echo("No site yet: make one with `cgse site new ID`")
    for site_id, folder in sites.folders.items():
        mark = "*" if site_id == sites.current else " "
        missing = "" if folder.is_dir() else "  (folder is missing)"
        click.echo(f"{mark} {site_id:<12} {folder}{missing}")


@site.command()
@click.argument("site_id", metavar="ID")
@click.option("--shell", type=click.Choice(["bash", "fish"]), default="bash", show_default=True)
@tells_errors
def use(site_id: str, shell: str) -> None:
    """Make a site the current one and print the commands by which a shell joins it.

    Example: eval "$(cgse site use CSL1)"
    """
    layout = use_site(site_id)
    click.echo(format_exports(layout.environment, shell))
    click.echo(f"{site_id} is the current site now (kept in {sites_file()})", err=True)


@site.command()
@click.argument("site_id", metavar="ID")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where; default ~/.local/share."
)
@click.option("--camera", default="achel", show_default=True, help="Name of the camera in its first Setup.")
@tells_errors
def new(site_id: str, folder: Path | None, camera: str) -> None:
    """Make a site: folders, local settings with ports of its own, configuration repository with Setup 1.

    Example: cgse site new CSL1 --dir ~/csl1
    """
    layout = new_site(site_id, folder, camera)
    click.echo(f"Site {site_id} in {layout.folder}")
    click.echo(f"  settings       {layout.settings}")
    click.echo(f"  configuration  {layout.conf}")
    click.echo(f"  data           {layout.data}")
    click.echo(
        f'\nJoin it with:  eval "$(cgse site use {site_id})"   then:  cgse core start; cm_cs load-setup 1'
    )
