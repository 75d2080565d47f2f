"""`python -m egse`: what is installed here, for which site, and which commands tell more."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

from egse.env import EnvError, describe_env, get_site_id
from egse.settings import Settings, SettingsError
from egse.system import describe_system
from egse.tree import format_tree
from egse.version import get_version_info

_MORE = {
    "python -m egse.settings [--local]": "all settings",
    "python -m egse.setup [--use-cm]": "the current Setup",
    "python -m egse.system": "operating system, Python, clock",
    "python -m egse.version": "version numbers compared",
    "cgse --help": "start, stop and look after services",
}


def main() -> int:
    """Prints the overview; returns the exit code, 1 when the settings cannot be read."""
    try:
        info = get_version_info()
        try:
            site = get_site_id()
        except EnvError as exc:
            site = f"unknown: {exc}"
        overview = {
            "Version": {
                "Common-EGSE": info["cgse"],
                "Test scripts": info["ts"],
                "Installed": info["installed"],
            },
            "Site": site,
            "Environment": describe_env(),
            "Settings files": {str(i): path for i, path in enumerate(Settings.get_memoized_locations(), 1)},
            "System": describe_system(),
            "Control servers": {ep.name: ep.value for ep in entry_points(group="egse.control_server")},
            "See also": _MORE,
        }
    except SettingsError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(format_tree("Common-EGSE", overview) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
