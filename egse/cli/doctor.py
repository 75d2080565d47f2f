"""`cgse doctor`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict

import click

from egse.cli.common import tells_errors
from egse.site.doctor import CHECKS, Level, examine
from egse.site.sites import join_current_site

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command()
@click.argument("checks", nargs=-1, metavar="[CHECK]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--problems", is_flag=True, help="Leave out what is as it should be.")
@tells_errors
def doctor(checks: tuple[str, ...], as_json: bool, problems: bool) -> None:
    """Check this site: each finding is one line with OK, WARN or FAIL, and what to do next.

    CHECK chooses some of the checks; without it all are made. The exit code is 1 when something FAILs. Example: cgse doctor
    """
    unknown = [name for name in checks if name not in CHECKS]
    if unknown:
        raise click.UsageError(f"there is no check {unknown[0]!r}; there are: {', '.join(CHECKS)}")
    join_current_site()
    counts: Counter[Level] = Counter()
    found = []
    for finding in examine(checks):
        counts[finding.level] += 1
        if problems and finding.level is Level.OK:
            continue
        if as_json:
            found.append(asdict(finding))
            continue
        level = click.style(f"{finding.level:<5}", fg=_COLOURS[finding.level])
        action = f"  ->  {finding.action}" if finding.action else ""
        click.echo(f"{level} {finding.check:<12} {' '.join(finding.text.split())}{action}")
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        click.echo(", ".join(f"{counts[level]} {level}" for level in Level))
    sys.exit(1 if counts[Level.FAIL] else 0)
