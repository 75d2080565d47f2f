"""The environment variables that say where a site keeps its things (manual ch. 26.4, storage reference ch. 1).

Every function reads the environment when it is called, and a variable that is needed but not set raises `EnvError`,
which names the variable and how to set it.
"""

from __future__ import annotations

import os
from pathlib import Path

from egse.settings import Settings

SITE_ID = "SITE_ID"
DATA_STORAGE_LOCATION = "PLATO_DATA_STORAGE_LOCATION"
CONF_DATA_LOCATION = "PLATO_CONF_DATA_LOCATION"
CONF_REPO_LOCATION = "PLATO_CONF_REPO_LOCATION"
LOG_FILE_LOCATION = "PLATO_LOG_FILE_LOCATION"
LOCAL_SETTINGS = "PLATO_LOCAL_SETTINGS"
INSTALL_LOCATION = "PLATO_INSTALL_LOCATION"
COMMON_EGSE_PATH = "PLATO_COMMON_EGSE_PATH"
CAMERA_IS_EM = "PLATO_CAMERA_IS_EM"
KEYS_LOCATION = "PLATO_KEYS_LOCATION"
KEY_NAME = "PLATO_KEY_NAME"

VARIABLES: dict[str, tuple[str, str]] = {
    SITE_ID: ("the site, in upper case", "CSL1"),
    DATA_STORAGE_LOCATION: ("root of all test data; the site id is appended", "/data"),
    CONF_DATA_LOCATION: ("folder with the Setups of this site", "/data/CSL1/conf"),
    CONF_REPO_LOCATION: ("git checkout that holds the Setups", "~/git/plato-cgse-conf"),
    LOG_FILE_LOCATION: ("folder for the log files", "/data/CSL1/log"),
    LOCAL_SETTINGS: ("settings file of this site", "/cgse/local_settings.yaml"),
    INSTALL_LOCATION: ("target of an operational installation", "/cgse"),
    COMMON_EGSE_PATH: ("git checkout of this software", "~/git/plato-common-egse"),
    KEYS_LOCATION: ("folder with the keys of people and servers", "~/.config/camtest/keys"),
    KEY_NAME: ("whose key this process uses", "alice"),
    CAMERA_IS_EM: ("True when the camera is the engineering model", "False"),
}
"""All variables, with their meaning and an example."""


class EnvError(OSError):
    """An environment variable is missing or has a value that makes no sense.

    Attributes:
        variable: its name.
    """

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(problem)
        self.variable = variable


def get_site_id() -> str:
    """Returns the site id: the variable `SITE_ID`, or `SITE: ID` of the Settings.

    Raises:
        EnvError: when neither says it, or it cannot be part of a file name.
    """
    site_id = os.environ.get(SITE_ID, "").strip() or str(Settings.load("SITE").get("ID") or "").strip()
    if not site_id:
        problem = f"{_not_set(SITE_ID)}, or set SITE: ID in the local settings"
        raise EnvError(SITE_ID, problem)
    if not site_id.replace("-", "").isalnum():
        raise EnvError(
            SITE_ID, f"{SITE_ID} is {site_id!r}: a site id consists of letters, digits and '-' only"
        )
    return site_id


def get_data_storage_location(site_id: str | None = None) -> Path:
    """Returns the folder of the site's data: `PLATO_DATA_STORAGE_LOCATION` with the site id appended.

    Since release 2023.6.0 the variable does not contain the site id; a site id that is already its last part (as in
    older environments) is not appended again.

    Args:
        site_id: the site; the one of this environment when None.

    Raises:
        EnvError: when the variable or the site id is not set.
    """
    root = _path(DATA_STORAGE_LOCATION)
    site_id = site_id or get_site_id()
    return root if root.name == site_id else root / site_id


def get_conf_data_location() -> Path:
    """Returns the folder of the site's Setups, `PLATO_CONF_DATA_LOCATION`; raises EnvError when it is not set."""
    return _path(CONF_DATA_LOCATION)


def get_conf_repo_location() -> Path:
    """Returns the git checkout that holds the Setups, `PLATO_CONF_REPO_LOCATION`; raises EnvError when not set."""
    return _path(CONF_REPO_LOCATION)


def get_log_file_location() -> Path:
    """Returns the folder for log files, `PLATO_LOG_FILE_LOCATION`; raises EnvError when it is not set."""
    return _path(LOG_FILE_LOCATION)


def get_local_settings() -> Path:
    """Returns the local settings file, `PLATO_LOCAL_SETTINGS`; raises EnvError when it is not set."""
    return _path(LOCAL_SETTINGS)


def get_install_location() -> Path:
    """Returns the target of an operational installation, `PLATO_INSTALL_LOCATION`; raises EnvError when not set."""
    return _path(INSTALL_LOCATION)


def get_common_egse_path() -> Path:
    """Returns the checkout of this software, `PLATO_COMMON_EGSE_PATH`; raises EnvError when it is not set."""
    return _path(COMMON_EGSE_PATH)


def camera_is_em() -> bool:
    """Says whether the camera is the engineering model, whose image data are two's complement.

    Returns:
        `PLATO_CAMERA_IS_EM`, False when it is not set.

    Raises:
        EnvError: when it is neither True nor False (also accepted: 1, 0, yes, no).
    """
    value = os.environ.get(CAMERA_IS_EM, "").strip().lower()
    if value in ("true", "1", "yes"):
        return True
    if value in ("", "false", "0", "no"):
        return False
    raise EnvError(CAMERA_IS_EM, f"{CAMERA_IS_EM} is {value!r}: it must be True or False")


def describe_env() -> dict[str, str]:
    """Returns every variable with its value, `(not set)` where it has none."""
    return {name: os.environ.get(name) or "(not set)" for name in VARIABLES}


def _path(variable: str) -> Path:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise EnvError(variable, _not_set(variable))
    return Path(value).expanduser()


def _not_set(variable: str) -> str:
    meaning, example = VARIABLES[variable]
    return f"the environment variable {variable} is not set ({meaning}): export {variable}={example}"
