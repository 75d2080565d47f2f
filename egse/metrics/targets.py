"""Which control servers of a site Prometheus shall scrape."""

from __future__ import annotations

from collections.abc import Iterable

from egse.advice import or_meant
from egse.metrics.prometheus import Target, make_target
from egse.settings import Settings, SettingsError
from egse.site.layout import SiteError
from egse.site.programs import Kind, known_entry
from egse.site.survey import server_names, survey


def find_targets(names: Iterable[str] | None = None) -> list[Target]:
    """Returns the control servers with a metrics port, core services first.

    Args:
        names: full names of the servers; all that are installed when None.

    Raises:
        SiteError: when one of them is not installed.
    """
    installed = server_names()
    wanted = installed if names is None else list(dict.fromkeys(names))
    for name in wanted:
        if name not in installed:
            raise SiteError(f"no control server {name!r} is installed{or_meant(name, installed)}")
    found = survey(names=[name for name in wanted if not _settings_of(name)]).servers
    targets = []
    for name in wanted:
        block = _settings_of(name) or (found[name].settings if name in found else "")
        try:
            target = make_target(name, Settings.load(block), _kind(name)) if block else None
        except SettingsError:
            continue  # a package whose settings are missing cannot be started either
        if target is not None:
            targets.append(target)
    return sorted(targets, key=lambda target: (target.kind != "core", target.server))


def _settings_of(name: str) -> str:
    entry = known_entry(name)
    return "" if entry is None else entry.settings


def _kind(name: str) -> str:
    entry = known_entry(name)
    return "core" if entry is not None and entry.kind is Kind.CORE else "device"
