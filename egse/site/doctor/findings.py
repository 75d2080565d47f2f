"""What a check of a site finds, and what checks have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from egse.env import (
    EnvError,
    get_conf_repo_location,
    get_data_storage_location,
    get_log_file_location,
    get_site_id,
)
from egse.settings import AttributeDict, Settings

T = TypeVar("T")


class Level(StrEnum):
    """How serious a finding is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line about a site.

    Attributes:
        level: how serious it is.
        text: what was found.
        action: what to do next; empty when nothing is to be done.
        check: which check found it.
    """

    level: Level
    text: str
    action: str = ""
    check: str = ""


def ok(text: str) -> Finding:
    """Returns a finding that is as it should be."""
    return Finding(Level.OK, text)


def warn(text: str, action: str) -> Finding:
    """Returns a finding that will become a problem, or is one for some people."""
    return Finding(Level.WARN, text, action)


def fail(text: str, action: str) -> Finding:
    """Returns a finding that keeps the site from working."""
    return Finding(Level.FAIL, text, action)


class SiteView:
    """What checks want to know about the site of this environment; None where the environment does not tell."""

    @cached_property
    def site_id(self) -> str | None:
        """The site."""
        return _known(get_site_id)

    @cached_property
    def data(self) -> Path | None:
        """Data folder of the site."""
        return _known(get_data_storage_location)

    @cached_property
    def conf_repo(self) -> Path | None:
        """Checkout with the Setups."""
        return _known(get_conf_repo_location)

    @cached_property
    def log(self) -> Path | None:
        """Folder for log files."""
        return _known(get_log_file_location)

    @cached_property
    def settings(self) -> AttributeDict:
        """The settings; raises SettingsError when they cannot be used."""
        return Settings.load()


def _known(function: Callable[[], T]) -> T | None:
    try:
        return function()
    except EnvError:
        return None


Check = Callable[[SiteView], Iterator[Finding]]
"""Looks at one thing and yields what it finds."""
