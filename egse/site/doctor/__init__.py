"""Checks of a site: each finding is one line, with what to do next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from egse.site.doctor import machine, records, surroundings
from egse.site.doctor.findings import Check, Finding, Level, SiteView

LOGGER = logging.getLogger(__name__)

CHECKS: dict[str, Check] = {
    "environment": surroundings.environment,
    "settings": surroundings.settings,
    "versions": surroundings.versions,
    "programs": surroundings.programs,
    "limits": surroundings.limits,
    "keys": surroundings.keys,
    "clock": machine.clock,
    "disk space": machine.disk_space,
    "disk speed": machine.disk_speed,
    "ports": machine.ports,
    "servers": records.servers,
    "setups": records.setups,
    "remote": records.remote,
    "record": records.record,
    "leftovers": records.leftovers,
    "index": records.index,
    "copies": records.copies,
}
"""All checks, in the order in which they are made."""


def examine(names: Iterable[str] = (), tell: Callable[[str], None] | None = None) -> Iterator[Finding]:
    """Checks the site of this environment.

    Args:
        names: which checks; all of them when empty.
        tell: is told the name of each check before it is made.

    Yields:
        What was found, at once.
    """
    wanted = list(names) or list(CHECKS)
    site = SiteView()
    for name in wanted:
        if tell is not None:
            tell(name)
        try:
            for finding in CHECKS[name](site):
                yield replace(finding, check=name)
        except (
            Exception
        ) as exc:  # one check that breaks must not hide what the others find: its error is a finding
            LOGGER.debug("the check %r broke", name, exc_info=True)
            text = f"could not be checked: {type(exc).__name__}: {exc}"
            yield Finding(
                Level.FAIL, text, "correct what it says, or report it with the output of cgse version", name
            )


__all__ = ["CHECKS", "Finding", "Level", "examine"]
