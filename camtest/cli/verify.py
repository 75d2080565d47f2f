"""`camtest verify`: is everything still as it was recorded?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from camtest.cli.obs import LOCATION, find, site_of

if TYPE_CHECKING:
    from egse.archive import Problem


@click.command()
@click.argument("obsid", required=False)
@click.option("--all", "everything", is_flag=True, help="Check all observations of the site.")
@LOCATION
def verify(obsid: str | None, everything: bool, location: Path | None) -> None:
    """Check every file of an observation against its manifest, raw files in daily/ included.

    With --all also that no observation was removed or replaced, the newest included: record, obsid table, folders, the
    chain of manifests and the archive index have to agree. Names whatever was altered, removed or added; exit code 1 when
    there is something.
    """
    from egse.archive.siteverification import verify_observation, verify_site

    if everything == (obsid is not None):
        raise click.UsageError("give an OBSID, or --all")
    if everything:
        problems = verify_site(site_of(location))
    else:
        problems = verify_observation(find(str(obsid), location))
    wrong = _show(problems)
    if wrong:
        raise SystemExit(1)
    click.echo(f"{'All observations are' if everything else f'{obsid} is'} as recorded.")


def _show(problems: list[Problem]) -> bool:
    """Shows what was found; returns True when something is wrong."""
    for problem in problems:
        if problem.kind == "open":
            click.echo(problem.text)
    texts = list(dict.fromkeys(str(p) for p in problems if p.kind not in ("open", "pruned")))
    for text in texts:
        click.secho(text, fg="red", err=True)
    pruned = sum(problem.kind == "pruned" for problem in problems)
    if pruned:
        click.secho(
            f"{pruned} files were removed here by `cgse archive prune`; verified copies are elsewhere.",
            fg="yellow",
        )
    return bool(texts)
