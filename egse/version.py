"""Version numbers, in the calendar form of manual ch. 2: YEAR.WEEK.PATCH, then +CGSE or +TS.

`from egse.version import VERSION` gives the release of the Common-EGSE, read from the Settings when it is first asked
for. `python -m egse.version` compares it with what git and the installation say.
"""

from __future__ import annotations

import platform
import re
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from egse.gitinfo import git_info
from egse.settings import Settings

DISTRIBUTION = "camtest"
"""The name under which this software (both packages) is installed."""

VERSION: str
RELEASE: str

_PATTERN = re.compile(
    r"(?P<core>\d{4}\.\d{1,2}\.\d+)(?P<rc>-?rc\.?\d+)?(?:\+(?P<project>[A-Za-z]+))?"
    r"(?:-(?P<commits>\d+)-g(?P<hash>[0-9a-f]+))?"
)


def __getattr__(name: str) -> Any:
    if name in ("VERSION", "RELEASE"):
        return Settings.load("Common-EGSE")[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def parse_version(text: str) -> dict[str, str | None]:
    """Takes a version number apart.

    Args:
        text: e.g. `2023.6.0+TS-0-g975d38e` or `2022.3.0-rc.13+CGSE`.

    Returns:
        The parts `core`, `rc`, `project`, `commits`, `hash`; None for those that are absent.

    Raises:
        ValueError: when it is no version number.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"no version number: {text!r}, expected YEAR.WEEK.PATCH+PROJECT, e.g. 2023.6.0+CGSE")
    return match.groupdict()


def installed_version() -> str | None:
    """Returns the version of the installed distribution, None when the source is used without an installation."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None


def version_report(title: str, block: str, package_file: str, suffix: str) -> tuple[list[str], list[str]]:
    """Compares the version in the Settings with git and the installation.

    Args:
        title: how the lines begin, `CGSE` or `CAMTEST`.
        block: the block of the Settings with `VERSION`.
        package_file: `__file__` of the package.
        suffix: of its release tags, `+CGSE` or `+TS`.

    Returns:
        The lines to print as in manual ch. 26.8, and warnings.
    """
    in_settings = str(Settings.load(block)["VERSION"])
    info = git_info(package_file, suffix)
    found = {"git": info.version(in_settings) if info else None, "installed": installed_version()}
    lines = [f"{title} version in Settings: {in_settings}"]
    lines += [f"{title} {kind} version = {value}" for kind, value in found.items() if value]
    warnings = [
        f"{title} {kind} version {value} differs from the Settings ({in_settings}): {_ADVICE[kind]}"
        for kind, value in found.items()
        if value and _release(value) != _release(in_settings)
    ]
    return lines, warnings


_ADVICE = {
    "git": "update VERSION in settings.yaml, or check out the release with `cgse update ops --tag=TAG`",
    "installed": "install again, e.g. with `cgse update develop` or `pip install -e .`",
}


def _release(text: str) -> str:
    match = _PATTERN.match(text)
    return match["core"] + (match["rc"] or "").replace("-", "").replace(".", "") if match else text


def get_version_info() -> dict[str, Any]:
    """Returns what a manifest says about the software that made it.

    Returns:
        What `get_software_state` says, and `packages` (name to version of everything installed in this environment).
    """
    return {**get_software_state(), "packages": dict(_packages())}


def get_software_state() -> dict[str, Any]:
    """Returns versions and the state of the checkout, without the packages.

    Returns:
        `cgse`, `ts` and `installed` (versions), `python`, `platform`, `git` (hash, dirty, describe; None outside a
        checkout).
    """
    info = git_info(__file__, "+CGSE")
    return {
        "cgse": str(Settings.load("Common-EGSE")["VERSION"]),
        "ts": str(Settings.load("Test Scripts")["VERSION"]),
        "installed": installed_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git": {"hash": info.hash, "dirty": info.dirty, "describe": info.describe} if info else None,
    }


@cache
def _packages() -> tuple[tuple[str, str], ...]:
    found = {dist.metadata["Name"]: dist.version for dist in distributions() if dist.metadata["Name"]}
    return tuple(sorted(found.items(), key=lambda item: item[0].lower()))


def print_versions(title: str, block: str, package_file: str | Path, suffix: str) -> None:
    """Prints the report of `version_report`, warnings on the error stream."""
    lines, warnings = version_report(title, block, str(package_file), suffix)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    sys.stderr.writelines(f"WARNING: {warning}\n" for warning in warnings)


if __name__ == "__main__":
    print_versions("CGSE", "Common-EGSE", __file__, "+CGSE")
