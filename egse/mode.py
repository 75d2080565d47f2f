"""The mode in which this process works: operations, simulator or dry run.

It stands in every log record, command record, manifest, header of a data file, exported sequence and notebook, so that
nobody ever takes simulated data for those of a camera.
"""

from __future__ import annotations

from egse.settings import Settings, SettingsError

OPERATIONS, SIMULATOR, DRY_RUN = MODES = ("operations", "simulator", "dry-run")

_own: str = ""


def set_mode(mode: str) -> None:
    """Says that this process works in another mode than its site, e.g. a server started with `--simulator`.

    Args:
        mode: one of `MODES`, or empty: that of the site.

    Raises:
        ValueError: for anything else.
    """
    global _own
    if mode and mode not in MODES:
        raise ValueError(f"{mode!r} is no mode; it is one of {', '.join(MODES)}")
    _own = mode


def current_mode() -> str:
    """Returns the mode of this process."""
    return _own or site_mode()


def site_mode() -> str:
    """Returns the mode of the site: `simulator` when its devices are simulators (Settings `SITE: MODE`).

    A sandbox writes it into its settings; anywhere else it is `operations` unless somebody says otherwise.
    """
    try:
        mode = str(Settings.load("SITE").get("MODE") or OPERATIONS)
    except (SettingsError, OSError):
        return OPERATIONS
    return mode if mode in MODES else OPERATIONS
