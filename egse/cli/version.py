"""`cgse version`."""

from __future__ import annotations

import importlib.util

import click

import egse
from egse.cli.common import tells_errors
from egse.version import version_report


@click.command()
@tells_errors
def version() -> None:
    """Show the versions of this software: in the Settings, in git, as installed, with a warning when they differ.

    Example: cgse version
    """
    packages = [("CGSE", "Common-EGSE", egse.__file__, "+CGSE")]
    scripts = importlib.util.find_spec("camtest")
    if scripts is not None and scripts.origin is not None:
        packages.append(("CAMTEST", "Test Scripts", scripts.origin, "+TS"))
    for package in packages:
        lines, warnings = version_report(*package)
        click.echo("\n".join(lines))
        for warning in warnings:
            click.echo(f"WARNING: {warning}", err=True)
